"""Reading JSON strictly: what two readers could understand differently is refused.

Refused are other media types (415), more than 1 MiB (413, without reading on), and with 400: broken JSON, invalid
UTF-8, duplicate keys at any depth (RFC 8259 section 4 leaves their meaning open), nesting over 64, lone surrogates,
NaN and Infinity, numbers no double holds, and anything that is not an object.
"""

import json
import math
import re
from typing import Any, NoReturn

from litestar.types import Receive, Scope

from latchstring.domain.errors import Unreadable
from latchstring.http.scope import find_header

LARGEST_BODY = 1024 * 1024
DEEPEST = 64
# Matches from every quote on, closed or not, and never backtracks: a body of escaped quotes must not cost its square.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyTooLarge(Unreadable):
    """More than the route takes."""

    def __init__(self, largest: int) -> None:
        super().__init__(f"Send {largest} bytes at most.", code="body-too-large", status=413)


async def read_object(scope: Scope, receive: Receive, *, may_be_absent: bool = False) -> dict[str, Any]:
    """The JSON object of a request. may_be_absent: no body counts as `{}`. Raises Unreadable."""
    body = await read_bytes(scope, receive)
    if not body:
        if may_be_absent:
            return {}
        raise Unreadable("Send a JSON object as the body.", code="body-missing")
    check_media_type(scope)
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Unreadable("Send a JSON object, not another JSON value.")
    return value


def check_media_type(scope: Scope) -> None:
    """Raise Unreadable with status 415 unless the body is plain JSON in UTF-8."""
    media_type, _, parameters = (find_header(scope, b"content-type") or b"").partition(b";")
    if media_type.strip().lower() != b"application/json" or not _is_utf8(parameters):
        raise _unsupported("Send the body as application/json.")
    encoding = find_header(scope, b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise _unsupported("Send the body without a content encoding.")


def _is_utf8(parameters: bytes) -> bool:
    for parameter in parameters.lower().split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in (b"utf-8", b"utf8"):
            return False
    return True


def _unsupported(detail: str) -> Unreadable:
    return Unreadable(detail, code="unsupported-media-type", status=415)


async def read_bytes(scope: Scope, receive: Receive, *, largest: int = LARGEST_BODY) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is known to be, announced or not."""
    announced = find_header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > largest:
        raise BodyTooLarge(largest)
    message: Any = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return _within(body, largest)
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unreadable("The connection ended in the middle of the body.")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > largest:
            raise BodyTooLarge(largest)
    return b"".join(chunks)


def _within(body: bytes, largest: int) -> bytes:
    if len(body) > largest:
        raise BodyTooLarge(largest)
    return body


def parse_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Unreadable for everything this module's head names."""
    check_depth(body)
    try:
        value = DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):  # an integer of more than 4300 digits; brackets are counted above
        raise Unreadable("The body has a number that is too long.") from None
    if _SURROGATE.search(body):
        check_surrogates(value)
    return value


def check_depth(body: bytes, deepest: int = DEEPEST) -> None:
    """Count brackets outside strings before parsing: the parser recurses, and an attacker chooses how deep."""
    if body.count(b"[") + body.count(b"{") <= deepest:
        return
    depth = 0
    for bracket in _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > deepest:
            raise Unreadable(f"The body is nested deeper than {DEEPEST} levels.", code="nested-too-deep")


def check_surrogates(value: object) -> None:
    """Raise Unreadable for text that cannot be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable("The body has half of a surrogate pair, which is no character.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("The body has the same key twice in one object.", code="duplicate-key")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Unreadable("The body has a number that is too large.")
    return value


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
