"""CSV files for spreadsheet programs."""

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
def test_a_formula_is_prefixed_with_an_apostrophe(start: str) -> None:
    assert safe_cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"


def test_a_formula_after_a_semicolon_is_prefixed_with_an_apostrophe() -> None:
    assert safe_cell('Ada;=HYPERLINK(1); "+2') == "Ada;'=HYPERLINK(1);' \"+2"
    assert safe_cell("Bring:\n- a pen; - a friend;-)") == "Bring:\n- a pen;' - a friend;'-)"
    assert safe_cell("spring;autumn-2026") == "spring;autumn-2026"


def test_numbers_and_plain_text_are_not_changed_and_none_is_empty() -> None:
    instant = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)
    assert [safe_cell(value) for value in (-5, 1.5, None, instant, "Noor")] == [
        -5,
        1.5,
        "",
        "2026-11-20T10:40:00.000Z",
        "Noor",
    ]


def test_quotes_and_line_breaks_are_preserved() -> None:
    cells = ['He said "come in"', "two\r\nlines", "a,b", ""]
    text = csv_text([cells])
    assert text.endswith("\r\n")
    assert next(csv.reader(io.StringIO(text, newline=""))) == cells


async def _send_all(rows: AsyncIterator[Sequence[object]], *, disconnected: bool = False) -> list[Any]:
    messages: list[Any] = []

    async def receive() -> Any:
        return (
            {"type": "http.disconnect"} if disconnected else {"type": "http.request", "body": b"", "more_body": False}
        )

    async def waiting_receive() -> Any:
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        messages.append(message)

    answer = await csv_answer(rows, "people")
    await answer({}, receive if disconnected else waiting_receive, send)
    return messages


async def _read_rows(read: list[int], count: int) -> AsyncIterator[Sequence[object]]:
    yield ("number", "words")
    for number in range(count):
        read.append(number)
        yield (number, "x" * 1000)


async def test_a_long_table_is_sent_in_chunks_with_one_byte_order_mark() -> None:
    start, *bodies = await _send_all(_read_rows([], 200))
    assert dict(start["headers"])[b"content-disposition"] == b'attachment; filename="people.csv"'
    assert len(bodies) > 3
    text = b"".join(message["body"] for message in bodies).decode()
    assert text.startswith("\ufeffnumber,words\r\n0,")
    assert text.count("\ufeff") == 1
    assert text.count("\r\n") == 201
    assert bodies[-1]["more_body"] is False


async def test_an_empty_table_has_only_a_header() -> None:
    messages = await _send_all(_read_rows([], 0))
    assert messages[1]["body"].decode() == "\ufeffnumber,words\r\n"


async def test_reading_stops_when_the_client_disconnects() -> None:
    read: list[int] = []

    async def slow() -> AsyncIterator[Sequence[object]]:
        async for row in _read_rows(read, 10_000):
            await asyncio.sleep(0)
            yield row

    await _send_all(slow(), disconnected=True)
    assert len(read) < 200


async def test_an_error_before_the_first_row_sends_no_response() -> None:
    async def broken() -> AsyncIterator[Sequence[object]]:
        raise LookupError
        yield ()

    with pytest.raises(LookupError):
        await csv_answer(broken(), "people")
