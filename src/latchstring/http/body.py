"""Request bodies: checks of media type and size, and strict parsing of JSON objects.

Refuses other media types (415), more than 1 MiB (413, without reading the rest), and with 400 everything that
`formats/strict_json.py` refuses and JSON values other than objects.
"""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

from starlette.types import Receive, Scope

from latchstring.domain.errors import Unreadable
from latchstring.formats.csv_rows import ENCODINGS, CsvRows
from latchstring.formats.json_rows import JsonRows
from latchstring.formats.strict_json import parse_json
from latchstring.formats.uploads import CSV, JSON, MAX_UPLOAD_BYTES, UploadedRows
from latchstring.http.scope import find_header

MAX_BODY_BYTES = 1024 * 1024


class BodyTooLarge(Unreadable):
    """The body is larger than the route allows."""

    def __init__(self, largest: int) -> None:
        super().__init__(f"Send {largest} bytes at most.", code="body-too-large")


async def read_object(scope: Scope, receive: Receive, *, is_optional: bool = False) -> dict[str, Any]:
    """Read the JSON object of a request. is_optional: a missing body is read as `{}`. Raises Unreadable."""
    body = await read_bytes(scope, receive)
    if not body:
        if is_optional:
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
        raise _unsupported_media_type("Send the body as application/json.")
    encoding = find_header(scope, b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise _unsupported_media_type("Send the body without a content encoding.")


def _is_utf8(parameters: bytes) -> bool:
    for parameter in parameters.lower().split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in (b"utf-8", b"utf8"):
            return False
    return True


def _unsupported_media_type(detail: str) -> Unreadable:
    return Unreadable(detail, code="unsupported-media-type")


async def read_bytes(scope: Scope, receive: Receive, *, largest: int = MAX_BODY_BYTES) -> bytes:
    """Read the whole body. Raises BodyTooLarge early: by Content-Length, or when the limit is exceeded."""
    content_length = find_header(scope, b"content-length")
    if content_length is not None and content_length.isdigit() and int(content_length[:20]) > largest:
        raise BodyTooLarge(largest)
    message: Any = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > largest:
            raise BodyTooLarge(largest)
        return body
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


# ---- uploads ---------------------------------------------------------------------------------------------------------


def read_upload(scope: Scope, receive: Receive) -> UploadedRows:
    """Return the rows of a request, to be read later. Raises Unreadable: other media type, too large, or no body."""
    media_type, encoding = upload_type(scope)
    content_length = find_header(scope, b"content-length")
    if content_length is not None and content_length.isdigit() and int(content_length[:20]) > MAX_UPLOAD_BYTES:
        raise BodyTooLarge(MAX_UPLOAD_BYTES)
    if content_length == b"0" or (content_length is None and find_header(scope, b"transfer-encoding") is None):
        _refuse_missing()
    parser = JsonRows() if media_type == JSON else CsvRows(encoding)
    return UploadedRows(_chunks(receive), media_type, parser)


def upload_type(scope: Scope) -> tuple[str, str | None]:
    """Return the media type of an upload, and its encoding if declared. Raises Unreadable (415)."""
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
        if size > MAX_UPLOAD_BYTES:
            raise BodyTooLarge(MAX_UPLOAD_BYTES)
        if chunk:
            yield chunk
    if not size:
        _refuse_missing()


def _refuse_missing() -> NoReturn:
    raise Unreadable("Send the rows as the body.", code="body-missing")
