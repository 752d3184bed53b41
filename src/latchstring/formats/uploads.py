"""Reads the rows of a large upload as a stream: a JSON array or a CSV file.

    rows = read_upload(scope, receive)        # http/body.py: refuses with 415, 413 or a missing body
    async for batch in rows: …                # raises Unreadable with the position
    rows.options, rows.digest                 # available at the end

Rows are not validated here: a row with an unknown field or an invalid address is refused later and does not affect the
others. Only one chunk and one row are in memory at a time.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from latchstring.domain.errors import Unreadable

MAX_UPLOAD_BYTES = 64 * 1024 * 1024
MAX_ROW_BYTES = 1024 * 1024
SLICE_BYTES = 64 * 1024  # in bytes; parsed before other requests are served
JSON, CSV = "application/json", "text/csv"

Rows = list[object]


class Parser(Protocol):
    """Accepts the bytes of an upload and returns the complete rows."""

    @property
    def options(self) -> Mapping[str, object]: ...

    def feed(self, data: bytes, *, final: bool = False) -> Rows: ...


class UploadedRows:
    """The rows of an upload. Can be iterated once."""

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str, parser: Parser) -> None:
        self.media_type = media_type
        self._chunks = chunks
        self._parser = parser
        self._hash = hashlib.sha256()

    @property
    def options(self) -> Mapping[str, object]:
        """The columns of a CSV file."""
        return self._parser.options

    @property
    def digest(self) -> str:
        """The SHA-256 digest of all bytes that were read, in hexadecimal."""
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[Rows]:
        async for chunk in self._chunks:
            self._hash.update(chunk)
            for start in range(0, len(chunk), SLICE_BYTES):
                if rows := self._parser.feed(chunk[start : start + SLICE_BYTES]):
                    yield rows
                await asyncio.sleep(0)
        if rows := self._parser.feed(b"", final=True):
            yield rows


def row_too_large_error(row: int) -> Unreadable:
    """Return the error for a row above the maximum size."""
    detail = f"Row {row} has more than {MAX_ROW_BYTES} bytes, or something in it is never closed."
    return Unreadable(detail, code="body-too-large")
