"""API keys over HTTP: creation, permissions, limits of their rights, and revocation."""

from typing import Any

UNKNOWN = "01890000-0000-7000-8000-000000000000"


def read_problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_key_is_shown_once_works_and_can_be_revoked(api: Any) -> None:
    lead = await api.token("lead")
    sent = {"name": "shop", "scopes": ["users:read"], "mayGrant": ["team"], "expiresAt": "2026-04-01T00:00:00+02:00"}
    created = await api.post("/api-keys", sent, lead)
    assert created.status_code == 201
    body = created.json()
    key = body.pop("key")
    assert body == {
        "id": body["id"], "name": "shop", "scopes": ["users:read"], "mayGrant": ["team"], "mayGrantGroups": [],
        "createdAt": "2026-03-01T09:30:00Z", "expiresAt": "2026-03-31T22:00:00Z",
    }  # fmt: skip
    assert (await api.get("/users", key)).status_code == 200
    listed = await api.get("/api-keys", lead)
    assert body in listed.json()["items"]
    assert key not in listed.text
    assert (await api.delete(f"/api-keys/{body['id']}", lead)).status_code == 204
    assert read_problem(await api.get("/users", key)) == (401, "credential-invalid")
    assert read_problem(await api.delete(f"/api-keys/{body['id']}", lead)) == (404, "api-key-not-found")


async def test_a_key_cannot_exceed_the_rights_of_its_creator(api: Any) -> None:
    lead = await api.token("lead")
    for fields in (
        {"scopes": ["*"]},
        {"scopes": ["audit:read"]},
        {"scopes": ["users:read"], "mayGrant": ["admin"]},
        {"scopes": ["users:read"], "mayGrantGroups": ["closed"]},
    ):
        assert read_problem(await api.post("/api-keys", {"name": "x", **fields}, lead)) == (403, "grant-not-allowed")


async def test_keys_require_their_permission(api: Any) -> None:
    body = {"name": "x", "scopes": ["app:plan"]}
    for method, path, sent in (("GET", "", None), ("POST", "", body), ("DELETE", f"/{UNKNOWN}", None)):
        assert (await api.call(method, f"/api-keys{path}", sent)).status_code == 401
        team = await api.token("team")
        assert read_problem(await api.call(method, f"/api-keys{path}", sent, team)) == (403, "not-allowed")
    narrow = await api.api_key("api-keys:write")
    assert read_problem(await api.post("/api-keys", body, narrow)) == (403, "grant-not-allowed")
    assert (await api.get("/api-keys", narrow)).status_code == 200


async def test_invalid_keys_are_reported_by_field(api: Any) -> None:
    refused = await api.post("/api-keys", {"name": "", "scopes": "users:read", "expiresAt": "soon"}, api.key)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/name", "/scopes", "/expiresAt"]
    refused = await api.post(
        "/api-keys",
        {"name": "x", "scopes": ["rule"], "mayGrant": ["emperor"], "expiresAt": "2020-01-01T00:00:00Z"},
        api.key,
    )
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/scopes/0", "/mayGrant/0", "/expiresAt"]
    assert (
        await api.post("/api-keys", {"name": "x", "scopes": ["app:x"]}, api.key, Idempotency_Key="k")
    ).status_code == 400


async def test_revoking_a_key_can_end_its_invitations(api: Any) -> None:
    states = []
    for query in ("", "?endInvitations=true"):
        created = await api.post(
            "/api-keys", {"name": "x", "scopes": ["invitations:write"], "mayGrant": ["customer"]}, api.key
        )
        invited = await api.post(
            "/invitations", {"inviteEmail": f"a{query[1:4]}@people.test", "role": "customer"}, created.json()["key"]
        )
        assert invited.status_code == 201, invited.text
        assert (await api.delete(f"/api-keys/{created.json()['id']}{query}", api.key)).status_code == 204
        states.append((await api.get(f"/invitations/{invited.json()['id']}", api.key)).json()["state"])
    assert states == ["PENDING", "REVOKED"]
