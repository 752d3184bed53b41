"""Validation of web URLs, and their origins."""

from urllib.parse import SplitResult, urlsplit

from latchstring.domain.settings import App, InvitationRules

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_web_url(text: str) -> bool:
    """Whether this is an absolute http or https URL without user information."""
    components = _split(text)
    return components is not None and "@" not in components.netloc


def find_origin(url: str) -> str | None:
    """Return the origin of a URL as browsers send it in `Origin` (RFC 6454 section 6.2), None if it has none.

    Scheme and host are in lower case; the default port of the scheme and user information are omitted.
    """
    components = _split(url)
    if components is None:
        return None
    host = f"[{components.hostname}]" if ":" in (components.hostname or "") else components.hostname
    port = "" if components.port in {None, _DEFAULT_PORTS[components.scheme]} else f":{components.port}"
    return f"{components.scheme}://{host}{port}"


def list_redirect_origins(rules: InvitationRules, app: App) -> list[str]:
    """The origins that an invitation may redirect to, sorted: the allow-list and the server's own."""
    return sorted({origin for origin in map(find_origin, (*rules.redirect_origins, app.public_url)) if origin})


def is_allowed_redirect(url: str, rules: InvitationRules, app: App) -> bool:
    """Whether the URL's origin is the server's own or on the allow-list.

    URLs that a browser may read differently (user info, backslashes, control characters) are never allowed.
    """
    if any(character in "\\@" or character <= " " for character in url):
        return False
    return find_origin(url) in list_redirect_origins(rules, app)


def _split(text: str) -> SplitResult | None:
    try:
        components = urlsplit(text)
        port = components.port
    except ValueError:
        return None
    is_web = components.scheme in _DEFAULT_PORTS and components.hostname and port != 0
    return components if is_web else None
