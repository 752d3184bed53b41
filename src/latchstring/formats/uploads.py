"""Rows of a large upload: a JSON array or a spreadsheet's text, read as a stream.

    rows = read_upload(scope, receive)        # http/body.py: 415, 413 and an absent body are refused there
    async for batch in rows: …                # Unreadable for what cannot be read, where it stands
    rows.options, rows.digest                 # known at the end

What belongs to a row alone, an unknown field or a bad address, is not judged here: that row is refused later, and
never stops the others. Memory holds a chunk and a row, however large the upload is.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from latchstring.domain.errors import Unreadable

LARGEST_UPLOAD = 64 * 1024 * 1024
LARGEST_ROW = 1024 * 1024
SLICE = 64 * 1024  # bytes looked at before others have their turn
JSON, CSV = "application/json", "text/csv"

Rows = list[object]


class Parser(Protocol):
    """Is pushed the bytes of an upload and gives the rows that are whole."""

    @property
    def options(self) -> Mapping[str, object]: ...

    def feed(self, data: bytes, *, final: bool = False) -> Rows: ...


class UploadedRows:
    """The rows of an upload, once."""

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str, parser: Parser) -> None:
        self.media_type = media_type
        self._chunks = chunks
        self._parser = parser
        self._hash = hashlib.sha256()

    @property
    def options(self) -> Mapping[str, object]:
        """The columns of a spreadsheet."""
        return self._parser.options

    @property
    def digest(self) -> str:
        """Of all bytes that were read."""
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[Rows]:
        async for chunk in self._chunks:
            self._hash.update(chunk)
            for start in range(0, len(chunk), SLICE):
                if rows := self._parser.feed(chunk[start : start + SLICE]):
                    yield rows
                await asyncio.sleep(0)
        if rows := self._parser.feed(b"", final=True):
            yield rows


def row_too_large(row: int) -> Unreadable:
    """The refusal of a row that is larger than a row may be."""
    said = f"Row {row} has more than {LARGEST_ROW} bytes, or something in it is never closed."
    return Unreadable(said, code="body-too-large")
