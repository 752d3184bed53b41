"""Tables as files for spreadsheet programs: RFC 4180, UTF-8 with a byte order mark, and no cell that calculates.

    async def rows() -> AsyncIterator[Sequence[object]]:
        yield ("E-mail", "State")
        ...

    return await csv_answer(rows(), "invitations")

Only one batch of rows is in memory at a time; whoever hangs up stops the reading.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime

from litestar.types import Receive, Scope, Send

from latchstring.http.responses import Answer

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
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = "" if value is None else _FORMULA_INSIDE.sub("'", str(value))
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def csv_text(rows: Iterable[Cells]) -> str:
    """Rows as lines. The byte order mark is not in it: it belongs to the beginning of a file only."""
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return lines.getvalue()


async def csv_answer(rows: AsyncIterator[Cells], name: str) -> Answer:
    """The rows as a download `name.csv`, sent while they are read.

    name: letters, digits, dots and hyphens. The first row is read before anything is sent, so an error until then is
    still answered with its own status; read the first batch before yielding the heads.
    """
    first = await anext(rows, ())
    return _Download(first, rows, f"{name}.csv")


class _Download(Answer):
    """An answer without a known length."""

    __slots__ = ("_first", "_rows")

    def __init__(self, first: Cells, rows: AsyncIterator[Cells], file_name: str) -> None:
        disposition = f'attachment; filename="{file_name}"'
        super().__init__(
            200,
            headers=[
                (b"content-type", MEDIA_TYPE.encode("ascii")),
                (b"content-disposition", disposition.encode("ascii")),
            ],
        )
        self._first = first
        self._rows = rows

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        gone = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            async for chunk in self._chunks():
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _chunks(self) -> AsyncIterator[str]:
        waiting, size = [BYTE_ORDER_MARK, csv_text([self._first])], 0
        async for row in self._rows:
            line = csv_text([row])
            waiting.append(line)
            size += len(line)
            if size >= CHUNK_CHARACTERS:
                yield "".join(waiting)
                waiting, size = [], 0
        yield "".join(waiting)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
