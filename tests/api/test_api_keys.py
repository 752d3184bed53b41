"""API keys over HTTP: who may, who may not, and the stranger."""

from typing import Any

UNKNOWN = "01890000-0000-7000-8000-000000000000"


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_key_is_shown_once_works_and_is_removed(api: Any) -> None:
    lead = await api.token("lead")
    sent = {"name": "shop", "scopes": ["users:read"], "mayGrant": ["team"], "expiresAt": "2026-04-01T00:00:00+02:00"}
    made = await api.post("/api-keys", sent, lead)
    assert made.status_code == 201
    body = made.json()
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
    assert problem(await api.get("/users", key)) == (401, "credential-invalid")
    assert problem(await api.delete(f"/api-keys/{body['id']}", lead)) == (404, "api-key-not-found")


async def test_nobody_makes_a_key_beyond_himself(api: Any) -> None:
    lead = await api.token("lead")
    for wanted in (
        {"scopes": ["*"]},
        {"scopes": ["audit:read"]},
        {"scopes": ["users:read"], "mayGrant": ["admin"]},
        {"scopes": ["users:read"], "mayGrantGroups": ["closed"]},
    ):
        assert problem(await api.post("/api-keys", {"name": "x", **wanted}, lead)) == (403, "grant-not-allowed")


async def test_keys_are_for_those_who_may(api: Any) -> None:
    body = {"name": "x", "scopes": ["app:plan"]}
    for method, path, sent in (("GET", "", None), ("POST", "", body), ("DELETE", f"/{UNKNOWN}", None)):
        assert (await api.call(method, f"/api-keys{path}", sent)).status_code == 401
        team = await api.token("team")
        assert problem(await api.call(method, f"/api-keys{path}", sent, team)) == (403, "not-allowed")
    narrow = await api.api_key("api-keys:write")
    assert problem(await api.post("/api-keys", body, narrow)) == (403, "grant-not-allowed")
    assert (await api.get("/api-keys", narrow)).status_code == 200


async def test_bad_keys_are_told_by_field(api: Any) -> None:
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


async def test_a_removed_key_takes_its_invitations_along_when_asked(api: Any) -> None:
    states = []
    for query in ("", "?endInvitations=true"):
        made = await api.post(
            "/api-keys", {"name": "x", "scopes": ["invitations:write"], "mayGrant": ["customer"]}, api.key
        )
        invited = await api.post(
            "/invitations", {"inviteEmail": f"a{query[1:4]}@people.test", "role": "customer"}, made.json()["key"]
        )
        assert invited.status_code == 201, invited.text
        assert (await api.delete(f"/api-keys/{made.json()['id']}{query}", api.key)).status_code == 204
        states.append((await api.get(f"/invitations/{invited.json()['id']}", api.key)).json()["state"])
    assert states == ["PENDING", "REVOKED"]
