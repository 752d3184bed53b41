"""Content over HTTP: creation, access by role, changes, ownership, lists and access checks."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_client import SETTINGS

from latchstring.config import Config, load_config

UNKNOWN = "01890000-0000-7000-8000-000000000000"
CONTENT_SETTINGS = """
[content]
types = { articles = { name = "Articles", singular = "article" }, notes = { name = "Notes" } }
data-limit = 200

[roles.author]
name = "Author"
permissions = ["content:create"]

[roles.reader]
name = "Reader"
permissions = ["content:read"]

[roles.chief]
name = "Chief"
permissions = ["content:write"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    file = tmp_path / "latchstring.toml"
    file.write_text(SETTINGS + CONTENT_SETTINGS)
    return load_config(file, {})


def read_problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def list_pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


@dataclass(frozen=True)
class SignedInUser:
    id: str
    token: str
    email: str


@dataclass
class ContentEnv:
    """An author with one article, and methods to add users and grants."""

    api: Any
    author: SignedInUser

    async def person(self, role: str | None = None) -> SignedInUser:
        created = await self.api.user(role)
        token = (await self.api.login(created["email"])).json()["accessToken"]
        return SignedInUser(created["id"], token, created["email"])

    async def make(self, key: str, content_type: str = "articles", **fields: Any) -> dict[str, Any]:
        response = await self.api.post(
            f"/content/{content_type}", {"key": key, "title": "T", **fields}, self.author.token
        )
        assert response.status_code == 201, response.text
        return response.json()  # type: ignore[no-any-return]

    async def share(self, key: str = "one", **access: Any) -> Any:
        sent = {"accessType": "SHARED", **access}
        return await self.api.put(f"/content/articles/{key}/access", sent, self.author.token)

    async def with_role(self, role: str, key: str = "one") -> SignedInUser:
        person = await self.person()
        details = await self.details(key)
        users = {access["user"]["id"]: access["role"] for access in details["users"]} | {person.id: role}
        shared = await self.share(key, sharedUsers=users, sharedGroups=details["groups"])
        assert shared.status_code == 200, shared.text
        return person

    async def details(self, key: str = "one") -> dict[str, Any]:
        return (await self.api.get(f"/content/articles/{key}/access", self.api.key)).json()  # type: ignore[no-any-return]


@pytest.fixture
async def content_env(api: Any) -> ContentEnv:
    environment = ContentEnv(api, None)  # type: ignore[arg-type]
    environment.author = await environment.person("author")
    await environment.make("one", title="One", url="https://app.test/one", data={"a": [1, None, {"b": 1.5}]})
    return environment


# ---- creating --------------------------------------------------------------------------------------------------------


async def test_a_new_object_is_private_and_owned_by_its_creator(content_env: ContentEnv) -> None:
    sent = {"title": " Über uns ", "url": "https://app.test/x", "data": {"b": 1}}
    created = await content_env.api.post("/content/article", sent, content_env.author.token)
    assert created.status_code == 201
    body = created.json()
    assert body["contentType"] == "articles"
    assert (body["key"], body["title"], body["url"], body["data"]) == ("uber-uns", "Über uns", sent["url"], {"b": 1})
    assert body["createdAt"] == body["updatedAt"] == "2026-03-01T09:30:00Z"
    assert body["access"] == {
        "ownerId": content_env.author.id,
        "visibility": "PRIVATE",
        "canEdit": True,
        "canDelete": True,
    }
    assert created.headers["location"] == "/api/content/articles/uber-uns"
    read = await content_env.api.get("/content/articles/uber-uns", content_env.author.token)
    assert (read.json(), read.headers["etag"]) == (body, created.headers["etag"])


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Привет мир", "privet-mir"),
        ("你好，世界", "ni-hao-shi-jie"),
        ("accept", "accept-2"),
        ("Invitations!", "invitations-2"),
        ("One", "one-2"),
    ],
)
async def test_keys_are_derived_from_titles_in_any_script(content_env: ContentEnv, title: str, key: str) -> None:
    assert (await content_env.api.post("/content/articles", {"title": title}, content_env.author.token)).json()[
        "key"
    ] == key


async def test_objects_created_at_once_with_one_title_get_different_keys(content_env: ContentEnv) -> None:
    for title in ("The same", "🎉"):
        sent = [
            content_env.api.post("/content/articles", {"title": title}, content_env.author.token) for _ in range(12)
        ]
        answers = await asyncio.gather(*sent)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["key"] for answer in answers}) == 12


async def test_a_key_is_unique_within_its_type(content_env: ContentEnv) -> None:
    again = await content_env.api.post("/content/articles", {"key": "one", "title": "x"}, content_env.author.token)
    assert read_problem(again) == (409, "content-key-taken")
    assert (await content_env.make("one", "notes"))["key"] == "one"
    assert (await content_env.make("One"))["key"] == "One"


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        ({}, ["/title"]),
        ({"title": " "}, ["/title"]),
        ({"title": "a\nb", "key": "/x", "url": "ftp://x", "data": []}, ["/title", "/key", "/url", "/data"]),
        ({"title": "x" * 201}, ["/title"]),
        ({"title": "x", "key": "accept"}, ["/key"]),
        ({"title": "x", "key": "invitations"}, ["/key"]),
        ({"title": "x", "key": "-a"}, ["/key"]),
        ({"title": "x", "key": "a" * 201}, ["/key"]),
        ({"title": "x", "data": {"a": "x" * 200}}, ["/data"]),
        ({"title": "x", "data": {"a": "\0"}}, ["/data"]),
        ({"title": "x", "ownerId": UNKNOWN}, ["/ownerId"]),
    ],
)
async def test_all_invalid_fields_are_reported(content_env: ContentEnv, sent: Any, pointers: list[str]) -> None:
    assert list_pointers(await content_env.api.post("/content/articles", sent, content_env.author.token)) == pointers


async def test_an_api_key_creates_objects_for_a_user(content_env: ContentEnv) -> None:
    key = await content_env.api.api_key("content:create")
    assert list_pointers(await content_env.api.post("/content/notes", {"title": "x"}, key)) == ["/ownerId"]
    unknown = await content_env.api.post("/content/notes", {"title": "x", "ownerId": UNKNOWN}, key)
    assert read_problem(unknown) == (404, "user-not-found")
    created = await content_env.api.post("/content/notes", {"title": "x", "ownerId": content_env.author.id}, key)
    assert created.json()["access"] == {
        "ownerId": content_env.author.id,
        "visibility": "PRIVATE",
        "canEdit": False,
        "canDelete": False,
    }
    assert (await content_env.api.get("/content/notes/x", content_env.author.token)).json()["access"][
        "canDelete"
    ] is True


async def test_creating_checks_errors_in_order(content_env: ContentEnv) -> None:
    other_user = await content_env.person()
    unreadable = await content_env.api.post("/content/unknown", {"title": "x", "more": 1})
    assert read_problem(unreadable) == (400, "unknown-field")
    assert read_problem(await content_env.api.post("/content/unknown", {})) == (404, "content-not-found")
    assert read_problem(await content_env.api.post("/content/articles", {})) == (401, "unauthenticated")
    assert read_problem(await content_env.api.post("/content/articles", {}, other_user.token)) == (403, "not-allowed")


async def test_a_repeated_request_creates_one_object(content_env: ContentEnv) -> None:
    sent = {"title": "Once"}
    answers = [
        await content_env.api.post("/content/articles", sent, content_env.author.token, idempotency_key="k1")
        for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["location"] == answers[1].headers["location"] == "/api/content/articles/once"
    reused = await content_env.api.post(
        "/content/articles", {"title": "x"}, content_env.author.token, idempotency_key="k1"
    )
    assert read_problem(reused) == (422, "idempotency-key-reused")


# ---- operations by role ----------------------------------------------------------------------------------------------

OPERATIONS = {
    "read": ("GET", "", None),
    "edit": ("PATCH", "", {"title": "New"}),
    "delete": ("DELETE", "", None),
    "details": ("GET", "/access", None),
    "share": ("PUT", "/access", {"accessType": "PUBLIC"}),
    "hand over": ("PUT", "/owner", {"newOwnerId": UNKNOWN}),
}
ALLOWED_OPERATIONS = {
    "OWNER": {*OPERATIONS},
    "MAINTAINER": {"read", "edit", "delete", "details", "share"},
    "EDITOR": {"read", "edit"},
    "VIEWER": {"read"},
}


async def call_all_operations(content_env: ContentEnv, token: str | None, key: str = "one") -> dict[str, int]:
    """Return the status of every operation. Changes have an invalid body, which is refused after all other checks."""
    statuses = {}
    for name, (method, path, body) in OPERATIONS.items():
        bad = {"title": 1} if name == "edit" else {"accessType": "x"} if name == "share" else body
        headers = {"if_match": '"none"'} if name == "delete" else {}
        answer = await content_env.api.call(method, f"/content/articles/{key}{path}", bad, token, **headers)
        statuses[name] = answer.status_code
    return statuses


ALLOWED_STATUSES = {"read": 200, "edit": 422, "delete": 412, "details": 200, "share": 422, "hand over": 404}


def expected_statuses(role: str) -> dict[str, int]:
    return {name: ALLOWED_STATUSES[name] if name in ALLOWED_OPERATIONS[role] else 403 for name in OPERATIONS}


@pytest.mark.parametrize("role", ["VIEWER", "EDITOR", "MAINTAINER"])
async def test_a_user_may_do_what_the_grant_allows(content_env: ContentEnv, role: str) -> None:
    person = await content_env.with_role(role)
    assert await call_all_operations(content_env, person.token) == expected_statuses(role)
    access = (await content_env.api.get("/content/articles/one", person.token)).json()["access"]
    assert (access["canEdit"], access["canDelete"]) == (role != "VIEWER", role == "MAINTAINER")


@pytest.mark.parametrize("role", ["VIEWER", "EDITOR", "MAINTAINER"])
async def test_a_member_may_do_what_the_grant_of_the_group_allows(content_env: ContentEnv, role: str) -> None:
    person = await content_env.person()
    await content_env.api.post("/groups", {"key": "team", "name": "Team"}, content_env.api.key)
    await content_env.share(sharedGroups={"team": role})
    assert set((await call_all_operations(content_env, person.token)).values()) == {404}
    await content_env.api.post(f"/groups/team/members/{person.id}", None, content_env.api.key)
    assert await call_all_operations(content_env, person.token) == expected_statuses(role)
    await content_env.api.delete(f"/groups/team/members/{person.id}", content_env.api.key)
    assert set((await call_all_operations(content_env, person.token)).values()) == {404}


async def test_the_highest_of_several_grants_applies(content_env: ContentEnv) -> None:
    person = await content_env.person()
    for key in ("team", "crew"):
        await content_env.api.post("/groups", {"key": key, "name": key}, content_env.api.key)
        await content_env.api.post(f"/groups/{key}/members/{person.id}", None, content_env.api.key)
    await content_env.share(sharedUsers={person.id: "VIEWER"}, sharedGroups={"team": "MAINTAINER", "crew": "EDITOR"})
    assert await call_all_operations(content_env, person.token) == expected_statuses("MAINTAINER")


async def test_the_owner_may_do_everything_with_any_visibility(content_env: ContentEnv) -> None:
    for visibility in ("PRIVATE", "PUBLIC"):
        await content_env.share(accessType=visibility)
        assert await call_all_operations(content_env, content_env.author.token) == expected_statuses("OWNER")


async def test_permissions_apply_to_every_object_but_not_to_its_ownership(content_env: ContentEnv) -> None:
    reader, chief = await content_env.person("reader"), await content_env.person("chief")
    assert await call_all_operations(content_env, reader.token) == expected_statuses("VIEWER")
    assert await call_all_operations(content_env, chief.token) == expected_statuses("MAINTAINER")
    assert await call_all_operations(content_env, await content_env.api.api_key("content:read")) == expected_statuses(
        "VIEWER"
    )
    assert await call_all_operations(content_env, await content_env.api.api_key("content:write")) == expected_statuses(
        "MAINTAINER"
    )
    assert await call_all_operations(content_env, content_env.api.key) == expected_statuses("MAINTAINER")


async def test_everybody_may_view_a_public_object(content_env: ContentEnv) -> None:
    await content_env.share(accessType="PUBLIC")
    other_user, key = await content_env.person(), await content_env.api.api_key("users:read")
    assert await call_all_operations(content_env, other_user.token) == expected_statuses("VIEWER")
    assert await call_all_operations(content_env, key) == expected_statuses("VIEWER")
    assert await call_all_operations(content_env, None) == {name: 200 if name == "read" else 403 for name in OPERATIONS}


async def test_other_users_get_404_and_anonymous_callers_401_for_private_objects(content_env: ContentEnv) -> None:
    await content_env.with_role("VIEWER")
    other_user, key = await content_env.person(), await content_env.api.api_key("content:create")
    for caller_token in (other_user.token, key):
        assert set((await call_all_operations(content_env, caller_token)).values()) == {404}
        assert await call_all_operations(content_env, caller_token, "unknown") == await call_all_operations(
            content_env, caller_token
        )
    assert set((await call_all_operations(content_env, None)).values()) == {401}
    assert set((await call_all_operations(content_env, None, "unknown")).values()) == {401}


async def test_errors_are_checked_in_order(content_env: ContentEnv) -> None:
    other_user = await content_env.person()
    patch_content = content_env.api.patch
    assert read_problem(await patch_content("/content/unknown/one", {"more": 1})) == (400, "unknown-field")
    assert read_problem(await patch_content("/content/unknown/one", {})) == (404, "content-not-found")
    assert read_problem(await patch_content("/content/articles/one", {"title": 1})) == (401, "unauthenticated")
    assert read_problem(await patch_content("/content/articles/one", {"title": 1}, other_user.token)) == (
        404,
        "content-not-found",
    )
    viewer = await content_env.with_role("VIEWER")
    assert read_problem(await patch_content("/content/articles/one", {"title": 1}, viewer.token)) == (
        403,
        "not-allowed",
    )
    assert read_problem(await patch_content("/content/articles/one", {"title": 1}, content_env.author.token)) == (
        422,
        "invalid-fields",
    )
    bad = await patch_content("/content/articles/one", {"title": 1}, "bad")
    assert read_problem(bad) == (401, "credential-invalid")


@pytest.mark.parametrize("key", ["%00", "a%00b", "%ff", "ä", "a" * 500, "a%20b", "..%2f"])
async def test_malformed_keys_are_refused(content_env: ContentEnv, key: str) -> None:
    assert (await content_env.api.get(f"/content/articles/{key}", content_env.author.token)).status_code in {400, 404}


# ---- changing --------------------------------------------------------------------------------------------------------


async def test_a_change_applies_only_the_fields_in_the_body(content_env: ContentEnv) -> None:
    editor = await content_env.with_role("EDITOR")
    content_env.api.clock.forward(timedelta(minutes=10))
    changed = await content_env.api.patch("/content/articles/one", {"title": "Two"}, editor.token)
    body = changed.json()
    assert (body["title"], body["url"], body["key"]) == ("Two", "https://app.test/one", "one")
    assert body["data"] == {"a": [1, None, {"b": 1.5}]}
    assert (body["createdAt"], body["updatedAt"]) == ("2026-03-01T09:30:00Z", "2026-03-01T09:40:00Z")
    cleared = await content_env.api.patch("/content/articles/one", {"url": None, "data": None}, editor.token)
    assert (cleared.json()["title"], cleared.json()["url"], cleared.json()["data"]) == ("Two", None, None)
    assert list_pointers(await content_env.api.patch("/content/articles/one", {"title": None}, editor.token)) == [
        "/title"
    ]
    assert list_pointers(
        await content_env.api.patch("/content/articles/one", {"data": {"a": "x" * 300}}, editor.token)
    ) == ["/data"]


async def test_if_match_allows_changes_only_to_the_named_versions(content_env: ContentEnv) -> None:
    async def change(tag: str, title: str = "x") -> int:
        answer = await content_env.api.call(
            "PATCH", "/content/articles/one", {"title": title}, content_env.author.token, if_match=tag
        )
        return int(answer.status_code)

    first = (await content_env.api.get("/content/articles/one", content_env.author.token)).headers["etag"]
    assert first.startswith('"')
    assert (
        await change('"other"') == await change(f"W/{first}") == await change("nonsense") == await change('""') == 412
    )
    assert await change(f'"other" , {first}', "second") == 200
    second = (await content_env.api.get("/content/articles/one", content_env.author.token)).headers["etag"]
    assert second != first
    assert await change(first) == 412
    assert await change("*") == 200
    response = await content_env.api.get("/content/articles/one", content_env.author.token)
    assert response.json()["title"] == "x"


async def test_a_change_without_effect_creates_no_version(content_env: ContentEnv) -> None:
    first = await content_env.api.get("/content/articles/one", content_env.author.token)
    same = await content_env.api.patch("/content/articles/one", {"title": "One"}, content_env.author.token)
    nothing = await content_env.api.patch("/content/articles/one", {}, content_env.author.token)
    assert first.json() == same.json() == nothing.json()
    assert {answer.headers["etag"] for answer in (first, same, nothing)} == {first.headers["etag"]}


async def test_data_keeps_booleans_integers_and_decimals(content_env: ContentEnv) -> None:
    for data in ({"a": 1}, {"a": True}, {"a": 1.0}):
        answer = await content_env.api.patch("/content/articles/one", {"data": data}, content_env.author.token)
        assert repr(answer.json()["data"]) == repr(data)


async def test_an_entity_tag_changes_with_the_access(content_env: ContentEnv) -> None:
    before = await content_env.api.get("/content/articles/one", content_env.author.token)
    unchanged = await content_env.api.get(
        "/content/articles/one", content_env.author.token, if_none_match=before.headers["etag"]
    )
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", before.headers["etag"])
    await content_env.share(accessType="PUBLIC")
    after = await content_env.api.get(
        "/content/articles/one", content_env.author.token, if_none_match=before.headers["etag"]
    )
    assert after.status_code == 200
    changed = await content_env.api.call(
        "PATCH", "/content/articles/one", {"title": "x"}, content_env.author.token, if_match=before.headers["etag"]
    )
    assert changed.status_code == 200  # the version is the same, as only the access changed


async def test_a_deleted_key_can_be_used_for_a_new_object(content_env: ContentEnv) -> None:
    viewer = await content_env.with_role("VIEWER")
    removed = await content_env.api.delete("/content/articles/one", content_env.author.token)
    assert (removed.status_code, removed.json()) == (200, {"success": True})
    assert read_problem(await content_env.api.delete("/content/articles/one", content_env.author.token)) == (
        404,
        "content-not-found",
    )
    await content_env.make("one")
    assert (await content_env.api.get("/content/articles/one", viewer.token)).status_code == 404
    assert (await content_env.details())["users"] == []


# ---- access ----------------------------------------------------------------------------------------------------------


async def test_access_is_replaced_completely(content_env: ContentEnv) -> None:
    first, second = await content_env.person(), await content_env.person()
    await content_env.api.post("/groups", {"key": "team", "name": "Team"}, content_env.api.key)
    shared = await content_env.share(sharedUsers={first.id: "EDITOR"}, sharedGroups={"team": "VIEWER"})
    assert shared.json()["access"]["visibility"] == "SHARED"
    await content_env.share(sharedUsers={second.id: "VIEWER", first.id: "MAINTAINER"})
    assert await content_env.details() == {
        "ownerId": content_env.author.id,
        "visibility": "SHARED",
        "users": [
            {"user": {"id": first.id, "name": "Ann Number", "email": first.email}, "role": "MAINTAINER"},
            {"user": {"id": second.id, "name": "Ann Number", "email": second.email}, "role": "VIEWER"},
        ],
        "groups": {},
        "invitations": [],
    }
    public = await content_env.share(accessType="PUBLIC", sharedGroups={"team": "EDITOR"})
    assert public.json()["access"]["visibility"] == "PUBLIC"
    details = await content_env.details()
    assert (details["users"], details["groups"]) == ([], {"team": "EDITOR"})


async def test_private_removes_all_grants_and_shared_without_grants_is_private(content_env: ContentEnv) -> None:
    viewer = await content_env.with_role("VIEWER")
    closed = await content_env.share(accessType="PRIVATE", sharedUsers={viewer.id: "EDITOR"})
    assert closed.json()["access"]["visibility"] == "PRIVATE"
    assert (await content_env.details())["users"] == []
    assert (await content_env.api.get("/content/articles/one", viewer.token)).status_code == 404
    no_grants: dict[str, Any]
    for no_grants in ({}, {"sharedUsers": {}}, {"sharedUsers": {content_env.author.id: "VIEWER"}}):
        assert (await content_env.share(**no_grants)).json()["access"]["visibility"] == "PRIVATE"


@pytest.mark.parametrize(
    ("sent", "refused"),
    [
        ({"sharedUsers": {UNKNOWN: "VIEWER"}}, (404, "user-not-found")),
        ({"sharedUsers": {"nobody": "VIEWER"}}, (404, "user-not-found")),
        ({"sharedGroups": {"nobody": "VIEWER"}}, (404, "group-not-found")),
        ({"sharedGroups": {"\0": "VIEWER"}}, (404, "group-not-found")),
        ({"sharedUsers": {UNKNOWN: "OWNER"}}, (422, "invalid-fields")),
        ({"accessType": "OPEN"}, (422, "invalid-fields")),
        ({"sharedUsers": []}, (422, "invalid-fields")),
        ({"visibility": "PUBLIC"}, (400, "unknown-field")),
    ],
)
async def test_a_refused_change_of_access_has_no_effect(
    content_env: ContentEnv, sent: Any, refused: tuple[int, str]
) -> None:
    viewer = await content_env.with_role("VIEWER")
    before = await content_env.details()
    users = (
        {"sharedUsers": {viewer.id: "EDITOR"} | sent.pop("sharedUsers", {})} if sent.get("sharedUsers") != [] else {}
    )
    assert read_problem(await content_env.share(**users, **sent)) == refused
    assert await content_env.details() == before


async def test_a_maintainer_may_remove_their_own_access(content_env: ContentEnv) -> None:
    maintainer = await content_env.with_role("MAINTAINER")
    replaced = await content_env.api.put("/content/articles/one/access", {"accessType": "PRIVATE"}, maintainer.token)
    assert replaced.json()["access"] == {
        "ownerId": content_env.author.id,
        "visibility": "PRIVATE",
        "canEdit": False,
        "canDelete": False,
    }


async def test_the_previous_owner_becomes_a_maintainer(content_env: ContentEnv) -> None:
    new_owner = await content_env.person()
    unknown = await content_env.api.put(
        "/content/articles/one/owner", {"newOwnerId": UNKNOWN}, content_env.author.token
    )
    assert read_problem(unknown) == (404, "user-not-found")
    transferred = await content_env.api.put(
        "/content/articles/one/owner", {"newOwnerId": new_owner.id}, content_env.author.token
    )
    assert transferred.json()["access"] == {
        "ownerId": new_owner.id,
        "visibility": "SHARED",
        "canEdit": True,
        "canDelete": True,
    }
    assert await call_all_operations(content_env, content_env.author.token) == expected_statuses("MAINTAINER")
    assert await call_all_operations(content_env, new_owner.token) == expected_statuses("OWNER")
    back = await content_env.api.put(
        "/content/articles/one/owner", {"newOwnerId": content_env.author.id}, new_owner.token
    )
    assert back.status_code == 200
    assert [access["user"]["id"] for access in (await content_env.details())["users"]] == [new_owner.id]
    unchanged = await content_env.api.put(
        "/content/articles/one/owner", {"newOwnerId": content_env.author.id}, content_env.author.token
    )
    assert unchanged.json()["access"]["ownerId"] == content_env.author.id
    assert list_pointers(await content_env.api.put("/content/articles/one/owner", {}, content_env.author.token)) == [
        "/newOwnerId"
    ]


async def test_erasing_an_owner_requires_a_new_owner(content_env: ContentEnv) -> None:
    new_owner = await content_env.person()
    await content_env.share(sharedUsers={new_owner.id: "VIEWER"})
    path = f"/users/{content_env.author.id}"
    assert read_problem(await content_env.api.delete(path, content_env.api.key)) == (409, "owns-content")
    assert (
        read_problem(await content_env.api.delete(f"{path}?newOwnerId={content_env.author.id}", content_env.api.key))[0]
        == 409
    )
    assert read_problem(await content_env.api.delete(f"{path}?newOwnerId={UNKNOWN}", content_env.api.key)) == (
        404,
        "user-not-found",
    )
    assert (await content_env.api.delete(f"{path}?newOwnerId={new_owner.id}", content_env.api.key)).status_code == 204
    details = await content_env.details()
    assert (details["ownerId"], details["visibility"], details["users"]) == (new_owner.id, "PRIVATE", [])


async def test_grants_end_with_their_user_or_group(content_env: ContentEnv) -> None:
    person = await content_env.with_role("VIEWER")
    await content_env.api.post("/groups", {"key": "team", "name": "Team"}, content_env.api.key)
    await content_env.share(sharedUsers={person.id: "VIEWER"}, sharedGroups={"team": "EDITOR"})
    assert (await content_env.api.delete(f"/users/{person.id}", content_env.api.key)).status_code == 204
    details = await content_env.details()
    assert (details["visibility"], details["users"], details["groups"]) == ("SHARED", [], {"team": "EDITOR"})
    assert (await content_env.api.delete("/groups/team", content_env.api.key)).status_code == 204
    await content_env.api.post("/groups", {"key": "team", "name": "Team"}, content_env.api.key)
    details = await content_env.details()
    assert (details["visibility"], details["groups"]) == ("PRIVATE", {})


# ---- lists -----------------------------------------------------------------------------------------------------------


async def list_keys(content_env: ContentEnv, token: str | None, query: str = "") -> list[str]:
    answer = (await content_env.api.get(f"/content/articles{query}", token)).json()
    assert answer["total"] == len(answer["items"])
    return [item["key"] for item in answer["items"]]


async def test_a_list_is_filtered_by_the_role_of_the_caller(content_env: ContentEnv) -> None:
    person = await content_env.person("author")
    for key in ("two", "three", "four"):
        await content_env.make(key)
    await content_env.share("two", sharedUsers={person.id: "VIEWER"})
    await content_env.share("three", sharedUsers={person.id: "MAINTAINER"})
    await content_env.share("four", accessType="PUBLIC")
    await content_env.make("note", "notes")
    await content_env.api.post("/content/article", {"key": "mine", "title": "x"}, person.token)
    assert await list_keys(content_env, person.token) == ["mine", "four", "three", "two"]
    assert await list_keys(content_env, person.token, "?sort=createdAt") == ["two", "three", "four", "mine"]
    assert await list_keys(content_env, person.token, "?role=EDITOR") == ["mine", "three"]
    assert await list_keys(content_env, person.token, "?role=OWNER") == ["mine"]
    assert await list_keys(content_env, None) == ["four"]
    assert await list_keys(content_env, None, "?role=EDITOR") == []
    assert await list_keys(content_env, content_env.api.key, "?role=MAINTAINER") == [
        "mine",
        "four",
        "three",
        "two",
        "one",
    ]
    assert await list_keys(content_env, content_env.api.key, "?role=OWNER") == []


async def test_the_cursor_continues_the_list(content_env: ContentEnv) -> None:
    for number in range(6):
        await content_env.make(f"k{number}")
    collected: list[str] = []
    cursor = ""
    for _ in range(4):
        page = (await content_env.api.get(f"/content/article?limit=2{cursor}", content_env.author.token)).json()
        assert page["total"] == 7
        collected += [item["key"] for item in page["items"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert (collected, page["nextCursor"]) == (["k5", "k4", "k3", "k2", "k1", "k0", "one"], None)


async def test_lists_refuse_invalid_parameters(content_env: ContentEnv) -> None:
    for query in ("?role=ADMIN", "?limit=0", "?limit=201", "?cursor=x", "?sort=title", "?more=1"):
        assert (await content_env.api.get(f"/content/articles{query}", content_env.author.token)).status_code == 400
    assert read_problem(await content_env.api.get("/content/unknown")) == (404, "content-not-found")


# ---- access checks ---------------------------------------------------------------------------------------------------


def make_check(key: str, role: str, user_id: str | None = None, type_: str = "articles") -> dict[str, Any]:
    return {"contentType": type_, "key": key, "role": role} | ({"userId": user_id} if user_id else {})


async def test_checks_are_answered_in_order(content_env: ContentEnv) -> None:
    editor = await content_env.with_role("EDITOR")
    checks = [
        *(make_check("one", role) for role in ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")),
        make_check("one", "EDITOR", type_="article"),
        make_check("unknown", "VIEWER"),
        make_check("one", "VIEWER", type_="unknown"),
        make_check("\0", "VIEWER"),
        make_check("one", "VIEWER", editor.id),
    ]
    answer = await content_env.api.post("/access/check", {"checks": checks}, editor.token)
    assert answer.json() == {"results": [True, True, False, False, True, False, False, False, True]}
    assert (await content_env.api.post("/access/check", {"checks": []}, editor.token)).json() == {"results": []}


async def test_checks_of_other_users_require_a_permission(content_env: ContentEnv) -> None:
    editor, key = await content_env.with_role("EDITOR"), await content_env.api.api_key("access:read")
    about_other = {"checks": [make_check("one", "VIEWER"), make_check("one", "VIEWER", content_env.author.id)]}
    assert read_problem(await content_env.api.post("/access/check", about_other, editor.token)) == (403, "not-allowed")
    assert read_problem(await content_env.api.post("/access/check", about_other)) == (401, "unauthenticated")
    other_key = await content_env.api.api_key("content:write")
    assert read_problem(await content_env.api.post("/access/check", about_other, other_key)) == (403, "not-allowed")
    assert list_pointers(await content_env.api.post("/access/check", about_other, key)) == ["/checks/0/userId"]
    user_ids = [editor.id, content_env.author.id, UNKNOWN]
    answer = await content_env.api.post(
        "/access/check", {"checks": [make_check("one", "EDITOR", user_id) for user_id in user_ids]}, key
    )
    assert answer.json() == {"results": [True, True, False]}


async def test_checks_consider_permissions_and_blocking(content_env: ContentEnv) -> None:
    people = [await content_env.person(role) for role in ("chief", "reader", "author")]
    checks = {"checks": [make_check("one", role, user.id) for user in people for role in ("VIEWER", "MAINTAINER")]}
    answer = await content_env.api.post("/access/check", checks, content_env.api.key)
    assert answer.json() == {"results": [True, True, True, False, False, False]}
    await content_env.api.patch(f"/users/{people[0].id}", {"blocked": True}, content_env.api.key)
    assert (await content_env.api.post("/access/check", checks, content_env.api.key)).json()["results"][:2] == [
        False,
        False,
    ]


async def test_a_request_has_at_most_a_thousand_checks(content_env: ContentEnv) -> None:
    many = [make_check("one", "VIEWER")] * 1000
    answer = await content_env.api.post("/access/check", {"checks": many}, content_env.author.token)
    assert answer.json() == {"results": [True] * 1000}
    more = await content_env.api.post("/access/check", {"checks": [*many, many[0]]}, content_env.author.token)
    assert list_pointers(more) == ["/checks"]
    odd = [{"contentType": "articles", "key": "one", "role": "ADMIN", "userId": "x"}]
    assert list_pointers(await content_env.api.post("/access/check", {"checks": odd}, content_env.author.token)) == [
        "/checks/0/role",
        "/checks/0/userId",
    ]


async def test_outdated_terms_must_be_accepted_first(content_env: ContentEnv) -> None:
    account = await content_env.api.user(None, acceptTerms=False)
    token = (await content_env.api.login(account["email"])).json()["accessToken"]
    await content_env.share(accessType="PUBLIC")
    assert read_problem(await content_env.api.get("/content/articles/one", token)) == (403, "terms-required")
    assert json.loads((await content_env.api.get("/content/articles/one")).content)["key"] == "one"
