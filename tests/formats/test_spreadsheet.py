"""Files for spreadsheet programs."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from latchstring.formats.spreadsheet import csv_text, safe_cell
from latchstring.http.streams import csv_answer


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_text_that_would_calculate_gets_an_apostrophe(start: str) -> None:
    assert safe_cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


def test_text_that_would_calculate_where_semicolons_part_cells_gets_one_too() -> None:
    assert safe_cell('Ada;=HYPERLINK(1); "+2') == "Ada;'=HYPERLINK(1);' \"+2"
    assert safe_cell("Bring:\n- a pen; - a friend;-)") == "Bring:\n- a pen;' - a friend;'-)"
    assert safe_cell("spring;autumn-2026") == "spring;autumn-2026"


def test_numbers_instants_and_nothing_stay_what_they_are() -> None:
    at = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)
    assert [safe_cell(value) for value in (-5, 1.5, None, at, "Noor")] == [
        -5,
        1.5,
        "",
        "2026-11-20T10:40:00.000Z",
        "Noor",
    ]


def test_quotes_and_line_breaks_survive() -> None:
    cells = ['He said "come in"', "two\r\nlines", "a,b", ""]
    text = csv_text([cells])
    assert text.endswith("\r\n")
    assert next(csv.reader(io.StringIO(text, newline=""))) == cells


async def _send_all(rows: AsyncIterator[Sequence[object]], *, gone: bool = False) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False}

    async def waiting_receive() -> Any:
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    answer = await csv_answer(rows, "people")
    await answer({}, receive if gone else waiting_receive, send)
    return sent


async def _many(read: list[int], count: int) -> AsyncIterator[Sequence[object]]:
    yield ("number", "words")
    for number in range(count):
        read.append(number)
        yield (number, "x" * 1000)


async def test_a_long_table_leaves_in_pieces_with_one_byte_order_mark() -> None:
    start, *bodies = await _send_all(_many([], 200))
    assert dict(start["headers"])[b"content-disposition"] == b'attachment; filename="people.csv"'
    assert len(bodies) > 3
    text = b"".join(message["body"] for message in bodies).decode()
    assert text.startswith("\ufeffnumber,words\r\n0,")
    assert text.count("\ufeff") == 1
    assert text.count("\r\n") == 201
    assert bodies[-1]["more_body"] is False


async def test_an_empty_table_is_a_file_with_its_heads() -> None:
    sent = await _send_all(_many([], 0))
    assert sent[1]["body"].decode() == "\ufeffnumber,words\r\n"


async def test_whoever_hangs_up_stops_the_reading() -> None:
    read: list[int] = []

    async def slow() -> AsyncIterator[Sequence[object]]:
        async for row in _many(read, 10_000):
            await asyncio.sleep(0)
            yield row

    await _send_all(slow(), gone=True)
    assert len(read) < 200


async def test_an_error_before_the_first_row_is_not_half_an_answer() -> None:
    async def broken() -> AsyncIterator[Sequence[object]]:
        raise LookupError
        yield ()

    with pytest.raises(LookupError):
        await csv_answer(broken(), "people")
