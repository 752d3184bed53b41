"""Tables as files for spreadsheet programs: RFC 4180, UTF-8 with a byte order mark, and no cell that calculates."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from latchstring.domain.clock import format_rfc3339

Cells = Sequence[object]
BYTE_ORDER_MARK = "\ufeff"  # Excel takes a file without it for the code page of its machine
MEDIA_TYPE = "text/csv; charset=utf-8"
CHUNK_CHARACTERS = 64 * 1024
# What makes a spreadsheet calculate (OWASP, "CSV Injection"): the signs, their full-width twins, and what comes before
# a sign and is cut off by some programs.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Where decimals have a comma, Excel parts cells at semicolons: what follows one begins a cell as well.
_FORMULA_INSIDE = re.compile(r"(?<=[;\t])(?=[ \"]*[=+\-@＝＋－＠])")


def safe_cell(value: object) -> object:
    """The value as a cell: text that would calculate gets an apostrophe before it, instants are RFC 3339, None empty.

    Numbers stay as they are: a spreadsheet may well calculate with those.
    """
    if isinstance(value, datetime):
        return format_rfc3339(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = "" if value is None else _FORMULA_INSIDE.sub("'", str(value))
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def csv_text(rows: Iterable[Cells]) -> str:
    """Rows as lines. The byte order mark is not in it: it belongs to the beginning of a file only."""
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return lines.getvalue()


async def csv_chunks(rows: AsyncIterator[Cells]) -> AsyncIterator[bytes]:
    """The rows as the bytes of a file, one batch in memory at a time."""
    waiting, size = [BYTE_ORDER_MARK], 0
    async for row in rows:
        line = csv_text([row])
        waiting.append(line)
        size += len(line)
        if size >= CHUNK_CHARACTERS:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()
