"""Groups over HTTP: creation, members, permissions and lists."""

from datetime import timedelta
from typing import Any

import pytest

UNKNOWN = "01890000-0000-7000-8000-000000000000"
GROUP = {
    "key": "readers",
    "name": "Readers",
    "description": "Who reads.",
    "translations": {"de": {"name": "Leser", "description": "Wer liest."}},
}


def read_problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_group_is_created_read_replaced_and_deleted(api: Any) -> None:
    created = await api.post("/groups", GROUP, api.key)
    assert (created.status_code, created.json(), created.headers["location"]) == (201, GROUP, "/api/groups/readers")
    assert (await api.get("/groups/readers", api.key)).json() == GROUP
    assert read_problem(await api.post("/groups", GROUP, api.key)) == (409, "group-key-taken")
    replaced = await api.put("/groups/readers", {"name": "Bookworms"}, api.key)
    assert replaced.json() == {"key": "readers", "name": "Bookworms", "description": None, "translations": {}}
    assert (await api.get("/groups", api.key)).json()["items"] == [replaced.json()]
    assert (await api.delete("/groups/readers", api.key)).status_code == 204
    assert read_problem(await api.get("/groups/readers", api.key)) == (404, "group-not-found")
    assert read_problem(await api.delete("/groups/readers", api.key)) == (404, "group-not-found")


async def test_the_key_cannot_be_changed(api: Any) -> None:
    await api.post("/groups", GROUP, api.key)
    assert (await api.put("/groups/readers", GROUP, api.key)).status_code == 200
    refused = await api.put("/groups/readers", GROUP | {"key": "other"}, api.key)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/key"]


async def test_all_invalid_fields_are_reported(api: Any) -> None:
    bad = {
        "key": "a b",
        "name": "",
        "description": "a\x00",
        "translations": {"de": {"name": ""}, "x-/~": {"name": "N"}},
    }
    refused = await api.post("/groups", bad, api.key)
    assert sorted(error["pointer"] for error in refused.json()["errors"]) == [
        "/description", "/key", "/name", "/translations/de/name",
    ]  # fmt: skip
    refused = await api.post("/groups", GROUP | {"translations": {"x-/~": {"name": "N"}}}, api.key)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/translations/x-~1~0"]


async def test_members_are_added_and_removed(api: Any) -> None:
    await api.post("/groups", GROUP, api.key)
    user = await api.user(firstName="Ada", lastName="Löwe")
    path = f"/groups/readers/members/{user['id']}"
    assert [(await api.post(path, token=api.key)).status_code for _ in range(2)] == [204, 204]
    members = (await api.get("/groups/readers/members", api.key)).json()
    assert members["items"] == [{"id": user["id"], "firstName": "Ada", "lastName": "Löwe", "email": user["email"]}]
    assert [(await api.delete(path, api.key)).status_code for _ in range(2)] == [204, 204]
    assert (await api.get("/groups/readers/members", api.key)).json()["total"] == 0
    assert read_problem(await api.post(f"/groups/nowhere/members/{user['id']}", token=api.key)) == (
        404,
        "group-not-found",
    )
    assert read_problem(await api.post(f"/groups/readers/members/{UNKNOWN}", token=api.key)) == (404, "user-not-found")


async def test_members_see_their_own_groups_and_each_others_names(api: Any) -> None:
    await api.post("/groups", GROUP, api.key)
    member = await api.user(groups=["readers"])
    token = (await api.login(member["email"])).json()["accessToken"]
    assert (await api.get("/groups/readers", token)).json() == GROUP
    members = (await api.get("/groups/readers/members", token)).json()["items"]
    assert [(listed["id"], listed["email"]) for listed in members] == [(member["id"], None)]
    assert (await api.get("/users/me", token)).json()["groups"] == ["readers"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/groups/readers", {"name": "X"}),
        ("PUT", "/groups/readers", {"name": ""}),
        ("DELETE", "/groups/readers", None),
        ("POST", "/groups/readers/members/{id}", None),
        ("DELETE", "/groups/readers/members/{id}", None),
    ],
)
async def test_changing_groups_requires_a_permission(api: Any, method: str, path: str, body: Any) -> None:
    await api.post("/groups", GROUP, api.key)
    member = await api.user(groups=["readers"])
    route = path.format(id=member["id"])
    as_member = (await api.login(member["email"])).json()["accessToken"]
    assert (await api.call(method, route, body)).status_code == 401
    assert read_problem(await api.call(method, route, body, as_member)) == (403, "not-allowed")
    assert read_problem(await api.call(method, route, body, await api.token("team"))) == (403, "not-allowed")
    assert read_problem(await api.call(method, route, body, await api.token("customer"))) == (404, "group-not-found")
    expected = 422 if body == {"name": ""} else (200 if method == "PUT" else 204)
    assert (await api.call(method, route, body, await api.api_key("groups:write"))).status_code == expected


async def test_a_repeated_request_creates_one_group(api: Any) -> None:
    first = await api.post("/groups", GROUP, api.key, Idempotency_Key="k")
    again = await api.post("/groups", GROUP, api.key, Idempotency_Key="k")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())


async def test_groups_are_listed_in_pages(api: Any) -> None:
    for key in ("a", "b", "c"):
        await api.post("/groups", {"key": key, "name": key}, api.key)
        api.clock.forward(timedelta(milliseconds=1))
    first = (await api.get("/groups?limit=2&sort=createdAt", api.key)).json()
    assert ([group["key"] for group in first["items"]], first["total"]) == (["a", "b"], 3)
    rest = (await api.get(f"/groups?limit=2&sort=createdAt&cursor={first['nextCursor']}", api.key)).json()
    assert ([group["key"] for group in rest["items"]], rest["nextCursor"]) == (["c"], None)
    assert read_problem(await api.get(f"/users?sort=createdAt&cursor={first['nextCursor']}", api.key)) == (
        400,
        "invalid-cursor",
    )
