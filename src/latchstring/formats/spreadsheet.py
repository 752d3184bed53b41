"""Writes CSV for spreadsheet programs: RFC 4180, UTF-8 with a byte order mark, and no cell that is a formula."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from latchstring.domain.clock import format_rfc3339

Cells = Sequence[object]
BYTE_ORDER_MARK = "\ufeff"  # without it, Excel reads the file in a local code page
MEDIA_TYPE = "text/csv; charset=utf-8"
CHUNK_CHARACTERS = 64 * 1024
# The characters that start a formula (OWASP, "CSV Injection"): the signs, their full-width forms, and white space that
# some programs strip before a sign.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# In locales with a decimal comma, Excel separates cells at semicolons, so that a formula may follow one.
_FORMULA_INSIDE = re.compile(r"(?<=[;\t])(?=[ \"]*[=+\-@＝＋－＠])")


def safe_cell(value: object) -> object:
    """Return the value for a cell. Text that would be a formula is prefixed with an apostrophe.

    Instants become RFC 3339 text and None becomes empty. Numbers stay numbers.
    """
    if isinstance(value, datetime):
        return format_rfc3339(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = "" if value is None else _FORMULA_INSIDE.sub("'", str(value))
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def csv_text(rows: Iterable[Cells]) -> str:
    """Format rows as lines, without a byte order mark, which belongs only at the start of a file."""
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return lines.getvalue()


async def csv_chunks(rows: AsyncIterator[Cells]) -> AsyncIterator[bytes]:
    """Yield a CSV file in chunks. Only one chunk is in memory at a time."""
    lines, size = [BYTE_ORDER_MARK], 0
    async for row in rows:
        line = csv_text([row])
        lines.append(line)
        size += len(line)
        if size >= CHUNK_CHARACTERS:
            yield "".join(lines).encode()
            lines, size = [], 0
    yield "".join(lines).encode()
