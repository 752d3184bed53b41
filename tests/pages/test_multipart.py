"""Parsing multipart forms as a stream."""

from typing import Any

import pytest

from latchstring.domain.errors import Unreadable
from latchstring.http.problems import problem_type
from latchstring.pages.multipart import MAX_TEXT_LENGTH, read_parts

BOUNDARY = "----form42"
CONTENT = b"a\r\n--\r\n------form4\r\n--" + bytes(range(256)) + b"\r\n"
BODY = (
    b'------form42\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nabc\r\n'
    b'------form42\r\nContent-Disposition: form-data; name="empty"; filename=""\r\n\r\n\r\n'
    b'------form42\r\nContent-Disposition: form-data; name="file"; filename="a b.csv"\r\nContent-Type: text/csv\r\n\r\n'
    + CONTENT
    + b"\r\n------form42--\r\n"
)


def received(body: bytes, size: int) -> Any:
    chunks = [body[offset : offset + size] for offset in range(0, len(body), size)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    return receive


def scope(content_type: str = f"multipart/form-data; boundary={BOUNDARY}", **headers: str) -> dict[str, Any]:
    pairs = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {"headers": [(name.encode(), value.encode()) for name, value in pairs.items()]}


async def read(body: bytes, *, size: int = 64, largest: int = 10_000, **more: str) -> list[tuple[str, str, bytes]]:
    return [
        (part.name, part.file_name, b"".join([chunk async for chunk in part]))
        async for part in read_parts(scope(**more), received(body, size), largest=largest)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 10_000])
async def test_fields_do_not_depend_on_chunk_sizes(size: int) -> None:
    assert await read(BODY, size=size) == [("csrf", "", b"abc"), ("empty", "", b""), ("file", "a b.csv", CONTENT)]


async def test_the_unread_rest_of_a_field_is_skipped() -> None:
    names = [part.name async for part in read_parts(scope(), received(BODY, 7), largest=10_000)]
    assert names == ["csrf", "empty", "file"]


async def test_a_quoted_boundary_is_accepted() -> None:
    assert len(await read(BODY, content_type=f'multipart/form-data; boundary="{BOUNDARY}"')) == 3


@pytest.mark.parametrize(
    ("header", "file_name"),
    [
        ('form-data; name="file"; filename="a b.csv"', "a b.csv"),
        ('form-data; name="file"; filename="%22a%22.csv"', '"a".csv'),
        ('form-data; filename="ä.csv"; name="file"', "ä.csv"),
        ("FORM-DATA; Name=file; FileName=a.csv", "a.csv"),
        ('form-data; name="file"; filename="C:\\\\folder\\\\a.csv"', "a.csv"),
    ],
)
async def test_file_names_are_parsed_as_browsers_write_them(header: str, file_name: str) -> None:
    body = f"------form42\r\nContent-Disposition: {header}\r\n\r\nx\r\n------form42--".encode()
    assert await read(body) == [("file", file_name, b"x")]


async def test_preamble_and_epilogue_are_skipped() -> None:
    assert len(await read(b"before\r\n" + BODY + b"after")) == 3


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (BODY, {"content_type": "application/x-www-form-urlencoded"}, 415),
        (BODY, {"content_type": "multipart/form-data"}, 415),
        (BODY[:-20], {}, 400),
        (b"", {}, 400),
        (b"no boundary at all", {}, 400),
        (b"------form42\r\nX: y\r\n\r\nz\r\n------form42--", {}, 400),
        (b"------form42\r\n" + b"x" * 20_000, {}, 400),
        (BODY.replace(CONTENT, b"x" * 10_000), {}, 413),
        (b'------form42\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 20 + b"------form42--", {}, 400),
        (BODY, {"content_length": "10001"}, 413),
        (BODY, {"content_type": f"multipart/form-data; boundary={'x' * 71}"}, 415),
        (BODY, {"content_type": "multipart/form-data; boundary="}, 415),
        (BODY.replace(b'name="csrf"', b'name="\xff"'), {}, 400),
        (BODY.replace(b'name="csrf"', b"nothing"), {}, 400),
        (BODY.replace(b"form-data; name", b"attachment; name"), {}, 400),
        (BODY.replace(b"\r\n\r\nabc", b"\r\nX-Y: " + b"z" * 9000 + b"\r\n\r\nabc"), {}, 400),
        (BODY.replace(b"\r\n\r\nabc", b"\nX-Y: z\r\n\r\nabc"), {}, 400),
    ],
)
async def test_invalid_bodies_are_refused(body: bytes, more: dict[str, Any], status: int) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(body, **more)
    assert problem_type(caught.value).status == status


async def test_a_text_field_has_a_maximum_length() -> None:
    head = b'------form42\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n'
    body = head + b"x" * (MAX_TEXT_LENGTH + 1) + b"\r\n------form42--"
    async for part in read_parts(scope(), received(body, 64), largest=10_000):
        with pytest.raises(Unreadable):
            await part.text()
