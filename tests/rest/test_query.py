"""Query parameters are validated strictly, and a cursor is only valid for its list."""

import re
from datetime import UTC, datetime
from uuid import UUID

import httpx2
import pytest

from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.domain.errors import Unreadable
from latchstring.domain.pagination import Cursor
from latchstring.rest.pagination import page_answer


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("colour=red", "invalid-query"),
        ("limit=5&limit=6", "invalid-query"),
        ("limit=", "invalid-query"),
        ("limit=0", "invalid-query"),
        ("limit=201", "invalid-query"),
        ("limit=1.5", "invalid-query"),
        ("limit=%D9%A3", "invalid-query"),
        ("limit=" + "9" * 5000, "invalid-query"),
        ("ready=1", "invalid-query"),
        ("sort=createdAt", "invalid-query"),
        ("sort=", "invalid-query"),
        ("email=nope", "invalid-query"),
        ("email=%00", "invalid-query"),
        ("email=%ff", "invalid-query"),
        ("cursor=", "invalid-query"),
        ("cursor=a.b", "invalid-cursor"),
        ("cursor=AAAA", "invalid-cursor"),
        ("cursor=%F0%9F%98%80", "invalid-cursor"),
        ("locale=de_DE", "invalid-query"),
        ("locale=de&locale=en", "invalid-query"),
    ],
)
async def test_an_invalid_query_is_400(client: httpx2.AsyncClient, query: str, code: str) -> None:
    response = await client.get(f"/api/things?{query}")
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json()["detail"].isprintable()


@pytest.mark.parametrize(
    "query", ["", "limit=1", "limit=200&sort=-name&ready=true", "locale=de-AT", "email=a%2Bb%40x.test", "&&limit=2&"]
)
async def test_a_valid_query_is_accepted(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/things?{query}")).status_code == 200


async def test_an_unknown_parameter_is_refused_on_routes_without_parameters(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/optional?x=1")).json()["code"] == "invalid-query"
    assert (await client.post("/api/optional?locale=en")).status_code == 200


async def test_the_next_cursor_continues_the_list(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/api/things")).json()
    assert set(first) == {"items", "nextCursor", "total"}
    assert re.fullmatch(r"[A-Za-z0-9_-]+", first["nextCursor"])
    second = (await client.get("/api/things", params={"cursor": first["nextCursor"]})).json()
    assert second["items"] == ["('b', 25)"]


async def test_a_cursor_of_another_order_is_refused(client: httpx2.AsyncClient) -> None:
    cursor = (await client.get("/api/things?sort=name")).json()["nextCursor"]
    response = await client.get("/api/things", params={"cursor": cursor, "sort": "-name"})
    assert (response.status_code, response.json()["code"]) == (400, "invalid-cursor")


def test_a_cursor_with_any_changed_character_is_refused() -> None:
    keyring = Keyring((new_master_key(),))
    position_cursor = Cursor(
        ("2026", 5, UUID(int=7), datetime(2026, 1, 2, tzinfo=UTC)), is_backward=True, total=3, counted="ab"
    )
    cursor = make_cursor(keyring, "users:-createdAt", position_cursor)
    assert read_cursor(keyring, "users:-createdAt", cursor) == position_cursor
    for index in range(len(cursor)):
        changed = cursor[:index] + ("A" if cursor[index] != "A" else "B") + cursor[index + 1 :]
        with pytest.raises(Unreadable):
            read_cursor(keyring, "users:-createdAt", changed)


def test_a_cursor_is_valid_after_a_rotation_of_the_master_key() -> None:
    old, new = new_master_key(), new_master_key()
    cursor = make_cursor(Keyring((old,)), "x", Cursor((1,)))
    assert read_cursor(Keyring((new, old)), "x", cursor) == Cursor((1,))
    with pytest.raises(Unreadable):
        read_cursor(Keyring((new,)), "x", cursor)


@pytest.mark.parametrize(("total", "encoded"), [(0, b"0"), (10_000, b"10000"), (10_001, b"null"), (None, b"null")])
def test_totals_are_exact_up_to_ten_thousand(total: int | None, encoded: bytes) -> None:
    assert page_answer([], next_cursor=None, total=total).body == b'{"items":[],"nextCursor":null,"total":%b}' % encoded
