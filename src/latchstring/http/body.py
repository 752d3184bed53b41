"""Request bodies: media type, size, and the strict JSON object most routes take.

Refused are other media types (415), more than 1 MiB (413, without reading on), and with 400 everything that
`formats/strict_json.py` refuses and anything that is not an object.
"""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

from starlette.types import Receive, Scope

from latchstring.domain.errors import Unreadable
from latchstring.formats.csv_rows import ENCODINGS, CsvRows
from latchstring.formats.json_rows import JsonRows
from latchstring.formats.strict_json import parse_json
from latchstring.formats.uploads import CSV, JSON, LARGEST_UPLOAD, UploadedRows
from latchstring.http.scope import find_header

LARGEST_BODY = 1024 * 1024


class BodyTooLarge(Unreadable):
    """More than the route takes."""

    def __init__(self, largest: int) -> None:
        super().__init__(f"Send {largest} bytes at most.", code="body-too-large")


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
    return Unreadable(detail, code="unsupported-media-type")


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


# ---- uploads ---------------------------------------------------------------------------------------------------------


def read_upload(scope: Scope, receive: Receive) -> UploadedRows:
    """The rows of a request, not read yet. Raises Unreadable: another media type, too large, or no body."""
    media_type, encoding = upload_type(scope)
    announced = find_header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > LARGEST_UPLOAD:
        raise BodyTooLarge(LARGEST_UPLOAD)
    if announced == b"0" or (announced is None and find_header(scope, b"transfer-encoding") is None):
        _refuse_absent()
    parser = JsonRows() if media_type == JSON else CsvRows(encoding)
    return UploadedRows(_chunks(receive), media_type, parser)


def upload_type(scope: Scope) -> tuple[str, str | None]:
    """What an upload is, and how its text is encoded if it says so. Raises Unreadable: 415."""
    value = find_header(scope, b"content-type") or b""
    media_type, _, parameters = value.decode("latin-1").partition(";")
    if media_type.strip().lower() != CSV:
        check_media_type(scope)
        return JSON, None
    content_encoding = (find_header(scope, b"content-encoding") or b"identity").strip().lower()
    charset = next(
        (
            val.strip().strip('"').lower()
            for name, _, val in (p.partition("=") for p in parameters.split(";"))
            if name.strip().lower() == "charset"
        ),
        None,
    )
    if content_encoding not in (b"", b"identity") or (charset is not None and charset not in ENCODINGS):
        raise Unreadable("Send the file as it is, in UTF-8 or UTF-16.", code="unsupported-media-type")
    return CSV, None if charset is None else ENCODINGS[charset]


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    size, more = 0, True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise Unreadable("The connection ended in the middle of the body.")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > LARGEST_UPLOAD:
            raise BodyTooLarge(LARGEST_UPLOAD)
        if chunk:
            yield chunk
    if not size:
        _refuse_absent()


def _refuse_absent() -> NoReturn:
    raise Unreadable("Send the rows as the body.", code="body-missing")
