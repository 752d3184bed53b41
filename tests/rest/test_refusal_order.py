"""Unreadable, then unknown, then not allowed, then wrong fields: a stranger learns nothing of what lies behind."""

import httpx2
from tests.support.sample_app import AS_KEY, AS_USER


async def test_an_unreadable_body_is_told_before_a_missing_credential(client: httpx2.AsyncClient) -> None:
    assert (
        await client.post("/api/things", content=b"{", headers={"Content-Type": "application/json"})
    ).status_code == 400
    assert (await client.post("/api/things", content=b"{}")).status_code == 415
    assert (await client.post("/api/things", json={"nme": 1})).status_code == 400
    assert (await client.get("/api/things/x?sort=up")).status_code == 400


async def test_a_missing_credential_is_told_before_wrong_fields(client: httpx2.AsyncClient) -> None:
    got = await client.post("/api/things", json={"name": ""})
    assert (got.status_code, got.json()["code"]) == (401, "unauthenticated")


async def test_a_missing_permission_is_told_before_wrong_fields(client: httpx2.AsyncClient) -> None:
    got = await client.post("/api/things", json={"name": ""}, headers=AS_USER)
    assert (got.status_code, got.json()["code"]) == (403, "not-allowed")
    assert "things:write" in got.json()["detail"]


async def test_wrong_fields_are_told_to_who_may(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/things", json={"name": ""}, headers=AS_KEY)).status_code == 422
