"""User accounts over HTTP: creation, permissions, changes, lists and the own profile."""

from datetime import timedelta
from typing import Any

import pytest

PASSWORD = "correct horse 9 Battery"
UNKNOWN = "01890000-0000-7000-8000-000000000000"


def read_problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def list_pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return sorted(error["pointer"] for error in answer.json()["errors"])


async def test_an_account_is_created_read_and_listed(api: Any) -> None:
    sent = {
        "email": "Ada@People.test",
        "firstName": "Ada",
        "lastName": "Löwe",
        "role": "team",
        "locale": "de",
        "externalId": "crm|1",
        "password": PASSWORD,
    }
    created = await api.post("/users", sent, api.key)
    assert created.status_code == 201
    user = created.json()
    assert user == {
        "id": user["id"], "email": "Ada@People.test", "emailVerified": True, "externalId": "crm|1", "firstName": "Ada",
        "lastName": "Löwe", "role": "team", "groups": [], "locale": "de", "blocked": False,
        "createdAt": "2026-03-01T09:30:00Z", "lastLoginAt": None,
    }  # fmt: skip
    assert created.headers["location"] == f"/api/users/{user['id']}"
    assert (await api.get(f"/users/{user['id']}", api.key)).json() == user
    assert (await api.get("/users?email=ADA@people.test", api.key)).json() == {
        "items": [user],
        "nextCursor": None,
        "total": 1,
    }


async def test_all_invalid_fields_are_reported(api: Any) -> None:
    bad = {
        "email": "no",
        "firstName": "x" * 101,
        "lastName": "a\nb",
        "role": "emperor",
        "password": "short",
        "locale": "?",
        "groups": ["a b"],
        "emailVerified": "yes",
        "externalId": "\u202e",
    }
    assert list_pointers(await api.post("/users", bad, api.key)) == sorted(
        f"/{name}" if name != "groups" else "/groups/0" for name in bad
    )
    user = await api.user()
    assert list_pointers(await api.patch(f"/users/{user['id']}", bad, api.key)) == sorted(
        f"/{name}" if name != "groups" else "/groups/0" for name in bad
    )
    assert list_pointers(await api.post("/users", {}, api.key)) == ["/email"]


async def test_unknown_fields_and_taken_values_are_refused(api: Any) -> None:
    user = await api.user(externalId="x")
    assert read_problem(await api.post("/users", {"email": "b@people.test", "id": UNKNOWN}, api.key)) == (
        400,
        "unknown-field",
    )
    assert read_problem(await api.post("/users", {"email": user["email"].upper()}, api.key)) == (409, "email-taken")
    body: dict[str, Any] = {"email": "b@people.test", "externalId": "x"}
    assert read_problem(await api.post("/users", body, api.key)) == (409, "external-id-taken")
    body = {"email": "b@people.test", "groups": ["nowhere"]}
    assert read_problem(await api.post("/users", body, api.key)) == (404, "group-not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users"),
        ("POST", "/users"),
        ("GET", "/users/{id}"),
        ("PATCH", "/users/{id}"),
        ("DELETE", "/users/{id}"),
    ],
)
async def test_users_require_their_permission(api: Any, method: str, path: str) -> None:
    user = await api.user()
    body = {"POST": {"email": "b@people.test"}, "PATCH": {"firstName": "Bea"}}.get(method)
    route = path.format(id=user["id"])
    assert (await api.call(method, route, body)).status_code == 401
    assert read_problem(await api.call(method, route, body, await api.token("customer"))) == (403, "not-allowed")
    reader, writer = await api.api_key("users:read"), await api.api_key("users:write", may_grant=["customer"])
    allowed, refused = (reader, writer) if method == "GET" else (writer, reader)
    assert read_problem(await api.call(method, route, body, refused)) == (403, "not-allowed")
    assert (await api.call(method, route, body, allowed)).status_code < 300


async def test_the_ceiling_applies_over_http(api: Any) -> None:
    lead, admin = await api.token("lead"), await api.user("admin")
    body = {"email": "b@people.test", "role": "admin"}
    assert read_problem(await api.post("/users", body, lead)) == (403, "grant-not-allowed")
    for change in ({"password": "a new password 77"}, {"blocked": True}, {"role": "customer"}):
        assert read_problem(await api.patch(f"/users/{admin['id']}", change, lead)) == (403, "grant-not-allowed")
    assert read_problem(await api.delete(f"/users/{admin['id']}", lead)) == (403, "grant-not-allowed")


async def test_a_change_applies_only_the_fields_in_the_body(api: Any) -> None:
    user = await api.user("team", locale="de", externalId="x")
    changed = await api.patch(f"/users/{user['id']}", {"locale": None, "role": None, "lastName": "Neu"}, api.key)
    assert changed.json() == user | {"locale": None, "role": None, "lastName": "Neu"}
    assert list_pointers(await api.patch(f"/users/{user['id']}", {"firstName": None, "email": None}, api.key)) == [
        "/email",
        "/firstName",
    ]
    assert read_problem(await api.patch(f"/users/{UNKNOWN}", {}, api.key)) == (404, "user-not-found")


async def test_an_erased_user_cannot_be_read_or_sign_in(api: Any) -> None:
    user = await api.user()
    assert read_problem(await api.delete(f"/users/{user['id']}?newOwnerId={UNKNOWN}", api.key)) == (
        404,
        "user-not-found",
    )
    answer = await api.delete(f"/users/{user['id']}", api.key)
    assert (answer.status_code, answer.content) == (204, b"")
    assert read_problem(await api.get(f"/users/{user['id']}", api.key)) == (404, "user-not-found")
    assert (await api.login(user["email"])).status_code == 401


async def test_a_repeated_request_creates_one_account(api: Any) -> None:
    body = {"email": "b@people.test", "password": PASSWORD}
    first = await api.post("/users", body, api.key, Idempotency_Key="k1")
    again = await api.post("/users", body, api.key, Idempotency_Key="k1")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    other = await api.post("/users", body | {"firstName": "X"}, api.key, Idempotency_Key="k1")
    assert read_problem(other) == (422, "idempotency-key-reused")
    assert read_problem(await api.post("/users", body, api.key)) == (409, "email-taken")


async def test_lists_have_pages_and_filters_and_refuse_invalid_parameters(api: Any) -> None:
    users = []
    for i in range(3):
        users.append(await api.user(firstName=f"N{i}"))
        api.clock.forward(timedelta(milliseconds=1))
    first = (await api.get("/users?limit=2", api.key)).json()
    assert ([user["id"] for user in first["items"]], first["total"]) == ([users[2]["id"], users[1]["id"]], 3)
    rest = (await api.get(f"/users?limit=2&cursor={first['nextCursor']}", api.key)).json()
    assert ([user["id"] for user in rest["items"]], rest["nextCursor"]) == ([users[0]["id"]], None)
    assert [user["firstName"] for user in (await api.get("/users?q=n1", api.key)).json()["items"]] == ["N1"]
    assert (await api.get("/users?role=team", api.key)).json()["items"] == []
    for bad in (
        "limit=0",
        "limit=201",
        "cursor=x",
        "sort=email",
        "page=2",
        "email=no",
        f"sort=createdAt&cursor={first['nextCursor']}",
    ):
        assert (await api.get(f"/users?{bad}", api.key)).status_code == 400, bad


async def test_the_own_profile_shows_permissions_and_can_be_changed(api: Any) -> None:
    token = await api.token("team")
    me = (await api.get("/users/me", token)).json()
    assert me["permissions"] == ["app:plan", "groups:read", "users:read"]
    assert me["termsAccepted"] is True
    changed = await api.patch("/users/me", {"firstName": "Ora", "locale": "de"}, token)
    assert (changed.json()["firstName"], changed.json()["locale"]) == ("Ora", "de")
    assert (await api.patch("/users/me", {"role": "admin"}, token)).status_code == 400
    assert list_pointers(await api.patch("/users/me", {"firstName": "", "acceptTerms": False}, token)) == [
        "/acceptTerms",
        "/firstName",
    ]
    assert (await api.get("/users/me")).status_code == 401
    assert read_problem(await api.get("/users/me", api.key)) == (403, "not-allowed")


async def test_outdated_terms_must_be_accepted_first(api: Any) -> None:
    user = await api.user("team", acceptTerms=False)
    signed_in = await api.login(user["email"])
    assert signed_in.status_code == 200
    token = signed_in.json()["accessToken"]
    for path in ("/users", "/groups", "/roles", "/invitations"):
        assert read_problem(await api.get(path, token)) == (403, "terms-required")
    assert (await api.get("/users/me", token)).json()["termsAccepted"] is False
    assert (await api.post("/auth/email/verify-request", token=token)).status_code == 202
    assert (await api.patch("/users/me", {"acceptTerms": True}, token)).json()["termsAccepted"] is True
    assert (await api.get("/users", token)).status_code == 200


async def test_roles_are_those_of_the_configuration(api: Any) -> None:
    assert (await api.get("/roles")).status_code == 401
    answer = (await api.get("/roles", await api.token())).json()
    assert [role["key"] for role in answer["items"]] == ["admin", "lead", "team", "customer"]
    assert answer["items"][1] == {
        "key": "lead", "name": "Lead", "description": "", "mayGrant": ["customer", "team"], "mayGrantGroups": ["open"],
        "permissions": ["api-keys:write", "app:plan", "groups:read", "users:read", "users:write"],
    }  # fmt: skip
