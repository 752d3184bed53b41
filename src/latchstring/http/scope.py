"""Reads headers, cookies and queries from an ASGI scope, without building objects, as it happens on every request."""

from urllib.parse import unquote_to_bytes
from uuid import UUID

from starlette.types import Scope

from latchstring.domain.clock import system_clock
from latchstring.domain.errors import Unreadable
from latchstring.domain.ids import new_id

REQUEST_ID = "latchstring.request_id"
IS_HEAD = "latchstring.is_head"  # set by the middleware, which changes HEAD to GET


def find_header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return value  # type: ignore[no-any-return]
    return None


def list_header(scope: Scope, name: bytes) -> list[bytes]:
    """List all headers of this lower-case name."""
    return [value for key, value in scope["headers"] if key == name]


def find_cookie(scope: Scope, name: bytes) -> str | None:
    """Return the first cookie of this name if it is ASCII. Our cookies are, and need no unquoting."""
    for line in list_header(scope, b"cookie"):
        for pair in line.split(b";"):
            key, _, value = pair.strip().partition(b"=")
            if key == name and value.isascii():
                return value.decode("ascii")
    return None


def request_id(scope: Scope) -> UUID:
    """Return the id of this request, which is in `instance` of problems, in `X-Request-Id` and in the log."""
    id_: UUID | None = scope.get(REQUEST_ID)
    if id_ is None:
        id_ = scope[REQUEST_ID] = new_id(system_clock())
    return id_


def is_head(scope: Scope) -> bool:
    """Whether this is a HEAD request, whose response is not displayed."""
    return IS_HEAD in scope


def query_pairs(scope: Scope) -> list[tuple[str, str]]:
    """Parse the query string into pairs. Raises Unreadable for invalid UTF-8 and NUL."""
    raw: bytes = scope.get("query_string", b"")
    if not raw:
        return []
    try:
        return [_parse_pair(part) for part in raw.split(b"&") if part]
    except UnicodeDecodeError:
        raise Unreadable("The query string is not UTF-8.", code="invalid-query") from None


def _parse_pair(part: bytes) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    pair = _decode(name), _decode(value)
    if "\x00" in pair[0] or "\x00" in pair[1]:
        raise Unreadable("The query string has a NUL character.", code="invalid-query")
    return pair


def _decode(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
