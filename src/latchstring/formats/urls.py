"""Web addresses: which text is one, and which origin it belongs to."""

from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_web_url(text: str) -> bool:
    """Whether this is an absolute http or https URL without user information."""
    parts = _split(text)
    return parts is not None and "@" not in parts.netloc


def origin_of(url: str) -> str | None:
    """Scheme, host and port as browsers send them in `Origin` (RFC 6454 section 6.2), or None where there is no origin.

    Scheme and host are in lower case; the default port of the scheme and user information are left out.
    """
    parts = _split(url)
    if parts is None:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    is_web = parts.scheme in _DEFAULT_PORTS and parts.hostname and port != 0
    return parts if is_web else None
