"""The strict JSON parser refuses ambiguous and malicious input without crashing."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.support.sample_app import AS_KEY

from latchstring.domain.errors import Unreadable
from latchstring.formats.strict_json import parse_json
from latchstring.http.body import MAX_BODY_BYTES, BodyTooLarge, read_bytes

JSON = AS_KEY | {"Content-Type": "application/json"}
DEEP = 100_000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"name": "Ada"', "unreadable"),
        (b'{"name": "Ada",}', "unreadable"),
        (b"{'name': 'Ada'}", "unreadable"),
        (b'{"name": "Ada"} {}', "unreadable"),
        (b'\xef\xbb\xbf{"name": "Ada"}', "unreadable"),
        (b'{"name": "\xff"}', "unreadable"),
        (b'{"name": "\xed\xa0\x80"}', "unreadable"),
        (b'{"name": "\\ud800"}', "unreadable"),
        (b'{"name": "\\uDC00x"}', "unreadable"),
        (b'{"name": "a\x01b"}', "unreadable"),
        (b'{"name": NaN}', "unreadable"),
        (b'{"name": -Infinity}', "unreadable"),
        (b'{"name": 1e999}', "unreadable"),
        (b'{"name": ' + b"9" * 5000 + b"}", "unreadable"),
        (b'["Ada"]', "unreadable"),
        (b"null", "unreadable"),
        (b'"Ada"', "unreadable"),
        (b"", "body-missing"),
        (b'{"name": "Ada", "name": "Bo"}', "duplicate-key"),
        (b'{"name": "Ada", "metadata": {"a": [{"b": 1, "b": 2}]}}', "duplicate-key"),
        (b'{"name": "Ada", "nme": 1}', "unknown-field"),
        (b'{"name": "Ada", "items": [{"name": "x", "role": "VIEWER", "rle": 1}]}', "unknown-field"),
        (b"[" * DEEP, "nested-too-deep"),
        (b"[" * DEEP + b"]" * DEEP, "nested-too-deep"),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "nested-too-deep"),
        (b'{"metadata": ' + b'{"a":' * 64 + b"1" + b"}" * 65, "nested-too-deep"),
    ],
)
async def test_a_malformed_body_is_400(client: httpx2.AsyncClient, body: bytes, code: str) -> None:
    response = await client.post("/api/things", content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_64_levels_are_read(client: httpx2.AsyncClient) -> None:
    body = b'{"name": "Ada", "metadata": ' + b'{"a":' * 63 + b"1" + b"}" * 64
    assert (await client.post("/api/things", content=body, headers=JSON)).status_code == 201


async def test_brackets_in_strings_are_not_nesting(client: httpx2.AsyncClient) -> None:
    body = b'{"name": "Ada", "message": "' + b"[{" * 100 + b'\\"]"}'
    assert (await client.post("/api/things", content=body, headers=JSON)).status_code == 201


async def test_a_surrogate_pair_is_a_character(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/things", content=b'{"name": "\\ud83d\\ude00 Ada"}', headers=JSON)
    assert response.json()["name"] == "\U0001f600 Ada"


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""],
)
async def test_another_media_type_is_415(client: httpx2.AsyncClient, media_type: str) -> None:
    response = await client.post(
        "/api/things", content=b'{"name": "Ada"}', headers=AS_KEY | {"Content-Type": media_type}
    )
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")


async def test_a_compressed_body_is_415(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/things", content=b"\x1f\x8b", headers=JSON | {"Content-Encoding": "gzip"})
    assert response.status_code == 415


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=UTF-8", "Application/JSON ;charset=utf-8"]
)
async def test_json_in_utf8_is_read(client: httpx2.AsyncClient, media_type: str) -> None:
    response = await client.post(
        "/api/things", content=b'{"name": "Ada"}', headers=AS_KEY | {"Content-Type": media_type}
    )
    assert response.status_code == 201


async def test_more_than_a_mebibyte_is_413(client: httpx2.AsyncClient) -> None:
    body = b'{"name": "' + b"a" * MAX_BODY_BYTES + b'"}'
    response = await client.post("/api/things", content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")


async def test_more_than_a_mebibyte_in_chunks_is_413(client: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(40):
            yield b"a" * 65_536

    response = await client.post("/api/things", content=chunks(), headers=JSON)
    assert response.status_code == 413


async def test_reading_stops_as_soon_as_the_body_is_too_large() -> None:
    received = 0

    async def receive() -> Any:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    with pytest.raises(BodyTooLarge):
        await read_bytes({"headers": []}, receive)
    assert received == MAX_BODY_BYTES // 65_536 + 1


async def test_an_announced_large_body_is_not_read_at_all() -> None:
    async def receive() -> Any:
        raise AssertionError("nothing should be read")

    with pytest.raises(BodyTooLarge):
        await read_bytes({"headers": [(b"content-length", b"1048577")]}, receive)


async def test_a_disconnect_inside_the_body_raises_unreadable() -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(Unreadable):
        await read_bytes({"headers": []}, receive)


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_an_optional_body_may_be_missing_or_an_empty_object(client: httpx2.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"} if body else {}
    assert (await client.post("/api/optional", content=body, headers=headers)).status_code == 200


async def test_an_invalid_optional_body_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/optional", content=b'{"nme": 1}', headers={"Content-Type": "application/json"})
    assert response.json()["code"] == "unknown-field"
    assert (await client.post("/api/optional", content=b"x")).status_code == 415


def test_a_mebibyte_of_brackets_is_read_in_time() -> None:
    assert parse_json(b"[" + b",".join([b"[]"] * 349_000) + b"]")[-1] == []


def test_a_mebibyte_of_escaped_quotes_is_refused_in_time() -> None:
    with pytest.raises(Unreadable):
        parse_json(b"[" * 65 + b'"' + b'\\"' * 500_000 + b"\\")
