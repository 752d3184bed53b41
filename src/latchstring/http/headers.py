"""The headers every answer carries unless it says otherwise: what browsers may do with it, and who may keep it."""

from latchstring.domain.settings import App

Pairs = tuple[tuple[bytes, bytes], ...]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ONE_YEAR = 31_536_000


def common_headers(app: App) -> Pairs:
    """For everything. An invitation server has nothing to be found by a search engine."""
    pairs = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ]
    if app.public_url.startswith("https:"):
        pairs.append(("strict-transport-security", f"max-age={ONE_YEAR}"))
    return _encode(pairs)


def page_headers(app: App) -> Pairs:
    """For pages: everything from our own origin, nothing inline, no frames."""
    return (
        *common_headers(app),
        *_encode([("content-security-policy", PAGE_POLICY), ("cross-origin-opener-policy", "same-origin")]),
    )


def data_headers(app: App) -> Pairs:
    """For the API: nothing of it is ever a page."""
    return (*common_headers(app), *_encode([("content-security-policy", DATA_POLICY)]))


def _encode(pairs: list[tuple[str, str]]) -> Pairs:
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in pairs)
