"""Errors are checked in order: malformed, unauthenticated, not allowed, invalid fields. This reveals the least."""

import httpx2
from tests.support.sample_app import AS_KEY, AS_USER


async def test_malformed_requests_are_refused_before_missing_credentials(client: httpx2.AsyncClient) -> None:
    assert (
        await client.post("/api/things", content=b"{", headers={"Content-Type": "application/json"})
    ).status_code == 400
    assert (await client.post("/api/things", content=b"{}")).status_code == 415
    assert (await client.post("/api/things", json={"nme": 1})).status_code == 400
    assert (await client.get("/api/things/x?sort=up")).status_code == 400


async def test_missing_credentials_are_refused_before_invalid_fields(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/things", json={"name": ""})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_missing_permissions_are_refused_before_invalid_fields(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/things", json={"name": ""}, headers=AS_USER)
    assert (response.status_code, response.json()["code"]) == (403, "not-allowed")
    assert "things:write" in response.json()["detail"]


async def test_invalid_fields_are_reported_to_callers_with_the_permission(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/things", json={"name": ""}, headers=AS_KEY)).status_code == 422
