"""The default headers of all responses: security policies and caching."""

from latchstring.domain.settings import App

Pairs = tuple[tuple[bytes, bytes], ...]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ONE_YEAR = 31_536_000


def common_headers(app: App) -> Pairs:
    """Return the headers of all responses. Search engines must not index an invitation server."""
    pairs = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ]
    if app.is_https:
        pairs.append(("strict-transport-security", f"max-age={ONE_YEAR}"))
    return _encode(pairs)


def page_headers(app: App) -> Pairs:
    """Return the headers of pages: resources only from our own origin, nothing inline, no frames."""
    return (
        *common_headers(app),
        *_encode([("content-security-policy", PAGE_POLICY), ("cross-origin-opener-policy", "same-origin")]),
    )


def data_headers(app: App) -> Pairs:
    """Return the headers of the API, whose responses must never be rendered as pages."""
    return (*common_headers(app), *_encode([("content-security-policy", DATA_POLICY)]))


def _encode(pairs: list[tuple[str, str]]) -> Pairs:
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in pairs)
