"""Read multipart/form-data as a stream (RFC 7578): a file is never in memory as a whole.

    async for part in read_parts(scope, receive, largest=…):
        if part.name == "csrf": text = await part.text()
        elif part.name == "file": async for chunk in part: …

Parts come in the order of the page. The unread rest of a part is skipped before the next one.
"""

from collections.abc import AsyncIterator
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.types import Receive, Scope

from latchstring.domain.errors import Unreadable
from latchstring.http.body import BodyTooLarge
from latchstring.http.scope import find_header

MAX_HEADER_LENGTH = 8 * 1024
MAX_TEXT_LENGTH = 1024
MAX_BOUNDARY_LENGTH = 70  # RFC 2046 section 5.1.1
MAX_PARTS = 16
Event = Any  # a MultipartSegment at the start of a part, bytes of its content, None at its end


class Part:
    """A field of the form. file_name: empty unless a file was chosen."""

    def __init__(self, name: str, file_name: str, events: AsyncIterator[Event]) -> None:
        self.name = name
        self.file_name = file_name
        self._events = events
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._is_over:
            event = await anext(self._events)
            if event is None:
                self._is_over = True
            elif not isinstance(event, MultipartSegment):
                yield bytes(event)

    async def text(self) -> str:
        """Read a short field completely. Raises Unreadable."""
        content = b""
        async for chunk in self:
            content += chunk
            if len(content) > MAX_TEXT_LENGTH:
                raise Unreadable("The form cannot be read.")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise Unreadable("The form is not UTF-8.") from None

    async def skip(self) -> None:
        """Discard the rest of the part."""
        async for _ in self:
            pass


async def read_parts(scope: Scope, receive: Receive, *, largest: int) -> AsyncIterator[Part]:
    """Yield the fields of a form in order. Raises Unreadable: 415 for another media type, 413 for more bytes."""
    content_type = (find_header(scope, b"content-type") or b"").decode("latin-1")
    media_type, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if media_type != "multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH:
        raise Unreadable("Send the form as the page does.", code="unsupported-media-type")
    announced = find_header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > largest:
        raise BodyTooLarge(largest)
    parser = PushMultipartParser(boundary.encode("latin-1"), max_header_size=MAX_HEADER_LENGTH)
    events, count = _read_events(parser, receive, largest), 0
    async for segment in events:
        count += 1
        if count > MAX_PARTS:
            raise Unreadable("The form has too many fields.")
        if not isinstance(segment, MultipartSegment) or not segment.name:
            raise Unreadable("The form cannot be read.")
        part = Part(segment.name, segment.filename or "", events)
        yield part
        await part.skip()


async def _read_events(parser: PushMultipartParser, receive: Receive, largest: int) -> AsyncIterator[Event]:
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unreadable("The connection ended in the middle of the body.")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > largest:
            raise BodyTooLarge(largest)
        try:
            for event in parser.parse(chunk) if chunk else ():
                yield event
        except MultipartError:
            raise Unreadable("The form cannot be read.") from None
    try:
        parser.close()
    except MultipartError:
        raise Unreadable("The form ends too early.") from None
