"""Reading multipart/form-data as a stream (RFC 7578): a file of any size never stands in memory as a whole.

    async for part in read_parts(scope, receive, largest=…):
        if part.name == "csrf": text = await part.text()
        elif part.name == "file": async for chunk in part: …

A part is read before the next one comes; what is left of it is skipped. Fields come in the order of the page.
"""

import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Receive, Scope

from latchstring.domain.errors import Unreadable
from latchstring.http.body import BodyTooLarge
from latchstring.http.scope import find_header

LONGEST_HEAD = 8 * 1024
LONGEST_TEXT = 1024
MOST_PARTS = 16
_BOUNDARY = re.compile(r"boundary=(?:\"([^\"]{1,70})\"|([^\s;]{1,70}))", re.IGNORECASE)  # RFC 2046 section 5.1.1
_NAME = re.compile(r"\bname=\"([^\"]*)\"")
_FILE_NAME = re.compile(r"\bfilename=\"((?:[^\"\\]|\\.)*)\"")


class Part:
    """One field of the form. file_name: empty unless it is a file that was chosen."""

    def __init__(self, reader: "_Reader", name: str, file_name: str) -> None:
        self.name = name
        self.file_name = file_name
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._reader.data()) is not None:
            if chunk:
                yield chunk

    async def text(self) -> str:
        """The whole of a short field. Raises Unreadable."""
        found = b""
        async for chunk in self:
            found += chunk
            if len(found) > LONGEST_TEXT:
                raise Unreadable("The form cannot be read.")
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise Unreadable("The form is not UTF-8.") from None


async def read_parts(scope: Scope, receive: Receive, *, largest: int) -> AsyncIterator[Part]:
    """The fields of a form, one after the other. Raises Unreadable: 415 for another media type, 413 for more bytes."""
    content_type = (find_header(scope, b"content-type") or b"").decode("latin-1")
    found = _BOUNDARY.search(content_type)
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data" or found is None:
        raise Unreadable("Send the form as the page does.", code="unsupported-media-type", status=415)
    announced = find_header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > largest:
        raise BodyTooLarge(largest)
    reader = _Reader(receive, (found[1] or found[2]).encode("latin-1"), largest)
    for _ in range(MOST_PARTS):
        part = await reader.next_part()
        if part is None:
            return
        yield part
    raise Unreadable("The form has too many fields.")


class _Reader:
    """Finds the boundaries in what arrives."""

    def __init__(self, receive: Receive, boundary: bytes, largest: int) -> None:
        self._receive = receive
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first boundary begins the body; all others begin a line
        self._largest = largest
        self._size = 0
        self._more = True
        self._in_part = True  # what comes before the first boundary is skipped like the rest of a part

    async def _fill(self) -> None:
        if not self._more:
            raise Unreadable("The form ends too early.")
        message: Any = await self._receive()
        if message["type"] == "http.disconnect":
            raise Unreadable("The connection ended in the middle of the body.")
        self._buffer += message.get("body", b"")
        self._size += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._size > self._largest:
            raise BodyTooLarge(self._largest)

    async def next_part(self) -> Part | None:
        """Skip to the next part; None at the end."""
        while await self.data() is not None:
            continue
        while len(self._buffer) < 2:  # noqa: PLR2004  # two characters tell whether more follows
            await self._fill()
        if self._buffer.startswith(b"--"):
            return None
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > LONGEST_HEAD:
                raise Unreadable("The form cannot be read.")
            await self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self._in_part = True
        return self._named(head)

    def _named(self, head: bytes) -> Part:
        try:
            text = head.decode()
        except UnicodeDecodeError:
            raise Unreadable("The form is not UTF-8.") from None
        line = next((one for one in text.split("\r\n") if one.lower().startswith("content-disposition:")), "")
        name, file_name = _NAME.search(line), _FILE_NAME.search(line)
        if name is None:
            raise Unreadable("The form cannot be read.")
        return Part(self, name[1], file_name[1] if file_name else "")

    async def data(self) -> bytes | None:
        """More of the part, perhaps nothing yet; None at its end."""
        if not self._in_part:
            return None
        at = self._buffer.find(self._delimiter)
        if at >= 0:
            data, self._buffer = self._buffer[:at], self._buffer[at + len(self._delimiter) :]
            self._in_part = False
            return data
        kept = len(self._delimiter) - 1
        data, self._buffer = self._buffer[:-kept], self._buffer[-kept:]
        if not data:
            await self._fill()
        return data
