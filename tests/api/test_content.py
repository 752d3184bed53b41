"""Content over HTTP: who may, who may only do less, the stranger, and anonymous."""

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
MORE = """
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
    file.write_text(SETTINGS + MORE)
    return load_config(file, {})


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


@dataclass(frozen=True)
class Person:
    id: str
    token: str
    email: str


@dataclass
class ContentEnv:
    """An author with one article, and others around it."""

    api: Any
    author: Person

    async def person(self, role: str | None = None) -> Person:
        made = await self.api.user(role)
        token = (await self.api.login(made["email"])).json()["accessToken"]
        return Person(made["id"], token, made["email"])

    async def make(self, key: str, type_: str = "articles", **fields: Any) -> dict[str, Any]:
        made = await self.api.post(f"/content/{type_}", {"key": key, "title": "T", **fields}, self.author.token)
        assert made.status_code == 201, made.text
        return made.json()  # type: ignore[no-any-return]

    async def share(self, key: str = "one", **access: Any) -> Any:
        sent = {"accessType": "SHARED", **access}
        return await self.api.put(f"/content/articles/{key}/access", sent, self.author.token)

    async def with_role(self, role: str, key: str = "one") -> Person:
        person = await self.person()
        details = await self.details(key)
        users = {one["user"]["id"]: one["role"] for one in details["users"]} | {person.id: role}
        shared = await self.share(key, sharedUsers=users, sharedGroups=details["groups"])
        assert shared.status_code == 200, shared.text
        return person

    async def details(self, key: str = "one") -> dict[str, Any]:
        return (await self.api.get(f"/content/articles/{key}/access", self.api.key)).json()  # type: ignore[no-any-return]


@pytest.fixture
async def content_env(api: Any) -> ContentEnv:
    staged = ContentEnv(api, None)  # type: ignore[arg-type]
    staged.author = await staged.person("author")
    await staged.make("one", title="One", url="https://app.test/one", data={"a": [1, None, {"b": 1.5}]})
    return staged


# ---- making ----------------------------------------------------------------------------------------------------------


async def test_an_object_is_made_private_for_its_maker(content_env: ContentEnv) -> None:
    sent = {"title": " Über uns ", "url": "https://app.test/x", "data": {"b": 1}}
    made = await content_env.api.post("/content/article", sent, content_env.author.token)
    assert made.status_code == 201
    body = made.json()
    assert body["contentType"] == "articles"
    assert (body["key"], body["title"], body["url"], body["data"]) == ("uber-uns", "Über uns", sent["url"], {"b": 1})
    assert body["createdAt"] == body["updatedAt"] == "2026-03-01T09:30:00Z"
    assert body["access"] == {
        "ownerId": content_env.author.id,
        "visibility": "PRIVATE",
        "canEdit": True,
        "canDelete": True,
    }
    assert made.headers["location"] == "/api/content/articles/uber-uns"
    found = await content_env.api.get("/content/articles/uber-uns", content_env.author.token)
    assert (found.json(), found.headers["etag"]) == (body, made.headers["etag"])


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
async def test_keys_come_from_titles_of_every_script(content_env: ContentEnv, title: str, key: str) -> None:
    assert (await content_env.api.post("/content/articles", {"title": title}, content_env.author.token)).json()[
        "key"
    ] == key


async def test_many_of_one_title_at_once_get_keys_of_their_own(content_env: ContentEnv) -> None:
    for title in ("The same", "🎉"):
        sent = [
            content_env.api.post("/content/articles", {"title": title}, content_env.author.token) for _ in range(12)
        ]
        answers = await asyncio.gather(*sent)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["key"] for answer in answers}) == 12


async def test_a_key_is_taken_once_a_type(content_env: ContentEnv) -> None:
    again = await content_env.api.post("/content/articles", {"key": "one", "title": "x"}, content_env.author.token)
    assert problem(again) == (409, "content-key-taken")
    assert (await content_env.make("one", "notes"))["key"] == "one"
    assert (await content_env.make("One"))["key"] == "One"


@pytest.mark.parametrize(
    ("sent", "wrong"),
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
async def test_fields_that_break_a_rule_are_named(content_env: ContentEnv, sent: Any, wrong: list[str]) -> None:
    assert pointers(await content_env.api.post("/content/articles", sent, content_env.author.token)) == wrong


async def test_a_key_of_the_api_makes_objects_for_somebody(content_env: ContentEnv) -> None:
    key = await content_env.api.api_key("content:create")
    assert pointers(await content_env.api.post("/content/notes", {"title": "x"}, key)) == ["/ownerId"]
    unknown = await content_env.api.post("/content/notes", {"title": "x", "ownerId": UNKNOWN}, key)
    assert problem(unknown) == (404, "user-not-found")
    made = await content_env.api.post("/content/notes", {"title": "x", "ownerId": content_env.author.id}, key)
    assert made.json()["access"] == {
        "ownerId": content_env.author.id,
        "visibility": "PRIVATE",
        "canEdit": False,
        "canDelete": False,
    }
    assert (await content_env.api.get("/content/notes/x", content_env.author.token)).json()["access"][
        "canDelete"
    ] is True


async def test_making_is_refused_in_the_contract_s_order(content_env: ContentEnv) -> None:
    stranger = await content_env.person()
    unreadable = await content_env.api.post("/content/unknown", {"title": "x", "more": 1})
    assert problem(unreadable) == (400, "unknown-field")
    assert problem(await content_env.api.post("/content/unknown", {})) == (404, "content-not-found")
    assert problem(await content_env.api.post("/content/articles", {})) == (401, "unauthenticated")
    assert problem(await content_env.api.post("/content/articles", {}, stranger.token)) == (403, "not-allowed")


async def test_a_repeat_with_an_idempotency_key_makes_one_object(content_env: ContentEnv) -> None:
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
    assert problem(reused) == (422, "idempotency-key-reused")


# ---- the table -------------------------------------------------------------------------------------------------------

WAYS = {
    "read": ("GET", "", None),
    "edit": ("PATCH", "", {"title": "New"}),
    "delete": ("DELETE", "", None),
    "details": ("GET", "/access", None),
    "share": ("PUT", "/access", {"accessType": "PUBLIC"}),
    "hand over": ("PUT", "/owner", {"newOwnerId": UNKNOWN}),
}
MAY = {
    "OWNER": {*WAYS},
    "MAINTAINER": {"read", "edit", "delete", "details", "share"},
    "EDITOR": {"read", "edit"},
    "VIEWER": {"read"},
}


async def statuses(content_env: ContentEnv, token: str | None, key: str = "one") -> dict[str, int]:
    """The status of every way to use the object, the changing ones with a body that is refused after all else."""
    found = {}
    for name, (method, path, body) in WAYS.items():
        bad = {"title": 1} if name == "edit" else {"accessType": "x"} if name == "share" else body
        headers = {"if_match": '"none"'} if name == "delete" else {}
        answer = await content_env.api.call(method, f"/content/articles/{key}{path}", bad, token, **headers)
        found[name] = answer.status_code
    return found


ALLOWED = {"read": 200, "edit": 422, "delete": 412, "details": 200, "share": 422, "hand over": 404}


def expected(role: str) -> dict[str, int]:
    return {name: ALLOWED[name] if name in MAY[role] else 403 for name in WAYS}


@pytest.mark.parametrize("role", ["VIEWER", "EDITOR", "MAINTAINER"])
async def test_a_user_may_do_what_his_grant_says(content_env: ContentEnv, role: str) -> None:
    person = await content_env.with_role(role)
    assert await statuses(content_env, person.token) == expected(role)
    shown = (await content_env.api.get("/content/articles/one", person.token)).json()["access"]
    assert (shown["canEdit"], shown["canDelete"]) == (role != "VIEWER", role == "MAINTAINER")


@pytest.mark.parametrize("role", ["VIEWER", "EDITOR", "MAINTAINER"])
async def test_a_member_may_do_what_his_group_s_grant_says_until_he_leaves(content_env: ContentEnv, role: str) -> None:
    person = await content_env.person()
    await content_env.api.post("/groups", {"key": "team", "name": "Team"}, content_env.api.key)
    await content_env.share(sharedGroups={"team": role})
    assert set((await statuses(content_env, person.token)).values()) == {404}
    await content_env.api.post(f"/groups/team/members/{person.id}", None, content_env.api.key)
    assert await statuses(content_env, person.token) == expected(role)
    await content_env.api.delete(f"/groups/team/members/{person.id}", content_env.api.key)
    assert set((await statuses(content_env, person.token)).values()) == {404}


async def test_the_greatest_of_grants_counts(content_env: ContentEnv) -> None:
    person = await content_env.person()
    for key in ("team", "crew"):
        await content_env.api.post("/groups", {"key": key, "name": key}, content_env.api.key)
        await content_env.api.post(f"/groups/{key}/members/{person.id}", None, content_env.api.key)
    await content_env.share(sharedUsers={person.id: "VIEWER"}, sharedGroups={"team": "MAINTAINER", "crew": "EDITOR"})
    assert await statuses(content_env, person.token) == expected("MAINTAINER")


async def test_the_owner_may_do_everything_whatever_the_visibility(content_env: ContentEnv) -> None:
    for visibility in ("PRIVATE", "PUBLIC"):
        await content_env.share(accessType=visibility)
        assert await statuses(content_env, content_env.author.token) == expected("OWNER")


async def test_permissions_open_every_object_but_hand_none_over(content_env: ContentEnv) -> None:
    reader, chief = await content_env.person("reader"), await content_env.person("chief")
    assert await statuses(content_env, reader.token) == expected("VIEWER")
    assert await statuses(content_env, chief.token) == expected("MAINTAINER")
    assert await statuses(content_env, await content_env.api.api_key("content:read")) == expected("VIEWER")
    assert await statuses(content_env, await content_env.api.api_key("content:write")) == expected("MAINTAINER")
    assert await statuses(content_env, content_env.api.key) == expected("MAINTAINER")


async def test_a_public_object_is_everybody_s_to_view(content_env: ContentEnv) -> None:
    await content_env.share(accessType="PUBLIC")
    stranger, key = await content_env.person(), await content_env.api.api_key("users:read")
    assert await statuses(content_env, stranger.token) == expected("VIEWER")
    assert await statuses(content_env, key) == expected("VIEWER")
    assert await statuses(content_env, None) == {name: 200 if name == "read" else 403 for name in WAYS}


async def test_a_stranger_gets_404_and_anonymous_401_for_what_is_not_public(content_env: ContentEnv) -> None:
    await content_env.with_role("VIEWER")
    stranger, key = await content_env.person(), await content_env.api.api_key("content:create")
    for who in (stranger.token, key):
        assert set((await statuses(content_env, who)).values()) == {404}
        assert await statuses(content_env, who, "unknown") == await statuses(content_env, who)
    assert set((await statuses(content_env, None)).values()) == {401}
    assert set((await statuses(content_env, None, "unknown")).values()) == {401}


async def test_refusals_come_in_the_contract_s_order(content_env: ContentEnv) -> None:
    stranger = await content_env.person()
    send = content_env.api.patch
    assert problem(await send("/content/unknown/one", {"more": 1})) == (400, "unknown-field")
    assert problem(await send("/content/unknown/one", {})) == (404, "content-not-found")
    assert problem(await send("/content/articles/one", {"title": 1})) == (401, "unauthenticated")
    assert problem(await send("/content/articles/one", {"title": 1}, stranger.token)) == (404, "content-not-found")
    viewer = await content_env.with_role("VIEWER")
    assert problem(await send("/content/articles/one", {"title": 1}, viewer.token)) == (403, "not-allowed")
    assert problem(await send("/content/articles/one", {"title": 1}, content_env.author.token)) == (
        422,
        "invalid-fields",
    )
    bad = await send("/content/articles/one", {"title": 1}, "bad")
    assert problem(bad) == (401, "credential-invalid")


@pytest.mark.parametrize("key", ["%00", "a%00b", "%ff", "ä", "a" * 500, "a%20b", "..%2f"])
async def test_no_key_breaks_anything(content_env: ContentEnv, key: str) -> None:
    assert (await content_env.api.get(f"/content/articles/{key}", content_env.author.token)).status_code in {400, 404}


# ---- changing --------------------------------------------------------------------------------------------------------


async def test_a_change_touches_only_what_was_sent(content_env: ContentEnv) -> None:
    editor = await content_env.with_role("EDITOR")
    content_env.api.clock.forward(timedelta(minutes=10))
    changed = await content_env.api.patch("/content/articles/one", {"title": "Two"}, editor.token)
    body = changed.json()
    assert (body["title"], body["url"], body["key"]) == ("Two", "https://app.test/one", "one")
    assert body["data"] == {"a": [1, None, {"b": 1.5}]}
    assert (body["createdAt"], body["updatedAt"]) == ("2026-03-01T09:30:00Z", "2026-03-01T09:40:00Z")
    cleared = await content_env.api.patch("/content/articles/one", {"url": None, "data": None}, editor.token)
    assert (cleared.json()["title"], cleared.json()["url"], cleared.json()["data"]) == ("Two", None, None)
    assert pointers(await content_env.api.patch("/content/articles/one", {"title": None}, editor.token)) == ["/title"]
    assert pointers(await content_env.api.patch("/content/articles/one", {"data": {"a": "x" * 300}}, editor.token)) == [
        "/data"
    ]


async def test_if_match_lets_only_known_versions_be_changed(content_env: ContentEnv) -> None:
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
    shown = await content_env.api.get("/content/articles/one", content_env.author.token)
    assert shown.json()["title"] == "x"


async def test_what_changes_nothing_makes_no_new_version(content_env: ContentEnv) -> None:
    first = await content_env.api.get("/content/articles/one", content_env.author.token)
    same = await content_env.api.patch("/content/articles/one", {"title": "One"}, content_env.author.token)
    nothing = await content_env.api.patch("/content/articles/one", {}, content_env.author.token)
    assert first.json() == same.json() == nothing.json()
    assert {answer.headers["etag"] for answer in (first, same, nothing)} == {first.headers["etag"]}


async def test_true_is_not_one(content_env: ContentEnv) -> None:
    for data in ({"a": 1}, {"a": True}, {"a": 1.0}):
        answer = await content_env.api.patch("/content/articles/one", {"data": data}, content_env.author.token)
        assert repr(answer.json()["data"]) == repr(data)


async def test_an_entity_tag_is_strong_also_when_only_access_changes(content_env: ContentEnv) -> None:
    before = await content_env.api.get("/content/articles/one", content_env.author.token)
    kept = await content_env.api.get(
        "/content/articles/one", content_env.author.token, if_none_match=before.headers["etag"]
    )
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", before.headers["etag"])
    await content_env.share(accessType="PUBLIC")
    after = await content_env.api.get(
        "/content/articles/one", content_env.author.token, if_none_match=before.headers["etag"]
    )
    assert after.status_code == 200
    changed = await content_env.api.call(
        "PATCH", "/content/articles/one", {"title": "x"}, content_env.author.token, if_match=before.headers["etag"]
    )
    assert changed.status_code == 200  # the words were still those


async def test_a_removed_object_is_gone_and_its_key_starts_anew(content_env: ContentEnv) -> None:
    viewer = await content_env.with_role("VIEWER")
    removed = await content_env.api.delete("/content/articles/one", content_env.author.token)
    assert (removed.status_code, removed.json()) == (200, {"success": True})
    assert problem(await content_env.api.delete("/content/articles/one", content_env.author.token)) == (
        404,
        "content-not-found",
    )
    await content_env.make("one")
    assert (await content_env.api.get("/content/articles/one", viewer.token)).status_code == 404
    assert (await content_env.details())["users"] == []


# ---- access ----------------------------------------------------------------------------------------------------------


async def test_access_is_replaced_as_a_whole_and_shown(content_env: ContentEnv) -> None:
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


async def test_private_clears_everything_and_shared_with_nobody_is_private(content_env: ContentEnv) -> None:
    viewer = await content_env.with_role("VIEWER")
    closed = await content_env.share(accessType="PRIVATE", sharedUsers={viewer.id: "EDITOR"})
    assert closed.json()["access"]["visibility"] == "PRIVATE"
    assert (await content_env.details())["users"] == []
    assert (await content_env.api.get("/content/articles/one", viewer.token)).status_code == 404
    nobody: dict[str, Any]
    for nobody in ({}, {"sharedUsers": {}}, {"sharedUsers": {content_env.author.id: "VIEWER"}}):
        assert (await content_env.share(**nobody)).json()["access"]["visibility"] == "PRIVATE"


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
async def test_a_refused_change_of_access_changes_nothing(
    content_env: ContentEnv, sent: Any, refused: tuple[int, str]
) -> None:
    viewer = await content_env.with_role("VIEWER")
    before = await content_env.details()
    users = (
        {"sharedUsers": {viewer.id: "EDITOR"} | sent.pop("sharedUsers", {})} if sent.get("sharedUsers") != [] else {}
    )
    assert problem(await content_env.share(**users, **sent)) == refused
    assert await content_env.details() == before


async def test_a_maintainer_may_shut_himself_out(content_env: ContentEnv) -> None:
    maintainer = await content_env.with_role("MAINTAINER")
    done = await content_env.api.put("/content/articles/one/access", {"accessType": "PRIVATE"}, maintainer.token)
    assert done.json()["access"] == {
        "ownerId": content_env.author.id,
        "visibility": "PRIVATE",
        "canEdit": False,
        "canDelete": False,
    }


async def test_an_owner_hands_over_and_stays_a_maintainer(content_env: ContentEnv) -> None:
    heir = await content_env.person()
    unknown = await content_env.api.put(
        "/content/articles/one/owner", {"newOwnerId": UNKNOWN}, content_env.author.token
    )
    assert problem(unknown) == (404, "user-not-found")
    done = await content_env.api.put("/content/articles/one/owner", {"newOwnerId": heir.id}, content_env.author.token)
    assert done.json()["access"] == {
        "ownerId": heir.id,
        "visibility": "SHARED",
        "canEdit": True,
        "canDelete": True,
    }
    assert await statuses(content_env, content_env.author.token) == expected("MAINTAINER")
    assert await statuses(content_env, heir.token) == expected("OWNER")
    back = await content_env.api.put("/content/articles/one/owner", {"newOwnerId": content_env.author.id}, heir.token)
    assert back.status_code == 200
    assert [one["user"]["id"] for one in (await content_env.details())["users"]] == [heir.id]
    kept = await content_env.api.put(
        "/content/articles/one/owner", {"newOwnerId": content_env.author.id}, content_env.author.token
    )
    assert kept.json()["access"]["ownerId"] == content_env.author.id
    assert pointers(await content_env.api.put("/content/articles/one/owner", {}, content_env.author.token)) == [
        "/newOwnerId"
    ]


async def test_a_user_who_owns_content_is_erased_only_with_an_heir(content_env: ContentEnv) -> None:
    heir = await content_env.person()
    await content_env.share(sharedUsers={heir.id: "VIEWER"})
    path = f"/users/{content_env.author.id}"
    assert problem(await content_env.api.delete(path, content_env.api.key)) == (409, "owns-content")
    assert (
        problem(await content_env.api.delete(f"{path}?newOwnerId={content_env.author.id}", content_env.api.key))[0]
        == 409
    )
    assert problem(await content_env.api.delete(f"{path}?newOwnerId={UNKNOWN}", content_env.api.key)) == (
        404,
        "user-not-found",
    )
    assert (await content_env.api.delete(f"{path}?newOwnerId={heir.id}", content_env.api.key)).status_code == 204
    details = await content_env.details()
    assert (details["ownerId"], details["visibility"], details["users"]) == (heir.id, "PRIVATE", [])


async def test_grants_end_with_the_user_or_group_that_held_them(content_env: ContentEnv) -> None:
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


async def keys(content_env: ContentEnv, token: str | None, query: str = "") -> list[str]:
    answer = (await content_env.api.get(f"/content/articles{query}", token)).json()
    assert answer["total"] == len(answer["items"])
    return [one["key"] for one in answer["items"]]


async def test_a_list_shows_what_the_caller_may_do(content_env: ContentEnv) -> None:
    person = await content_env.person("author")
    for key in ("two", "three", "four"):
        await content_env.make(key)
    await content_env.share("two", sharedUsers={person.id: "VIEWER"})
    await content_env.share("three", sharedUsers={person.id: "MAINTAINER"})
    await content_env.share("four", accessType="PUBLIC")
    await content_env.make("note", "notes")
    await content_env.api.post("/content/article", {"key": "mine", "title": "x"}, person.token)
    assert await keys(content_env, person.token) == ["mine", "four", "three", "two"]
    assert await keys(content_env, person.token, "?sort=createdAt") == ["two", "three", "four", "mine"]
    assert await keys(content_env, person.token, "?role=EDITOR") == ["mine", "three"]
    assert await keys(content_env, person.token, "?role=OWNER") == ["mine"]
    assert await keys(content_env, None) == ["four"]
    assert await keys(content_env, None, "?role=EDITOR") == []
    assert await keys(content_env, content_env.api.key, "?role=MAINTAINER") == ["mine", "four", "three", "two", "one"]
    assert await keys(content_env, content_env.api.key, "?role=OWNER") == []


async def test_a_list_goes_on_where_a_page_ended(content_env: ContentEnv) -> None:
    for number in range(6):
        await content_env.make(f"k{number}")
    found: list[str] = []
    cursor = ""
    for _ in range(4):
        page = (await content_env.api.get(f"/content/article?limit=2{cursor}", content_env.author.token)).json()
        assert page["total"] == 7
        found += [one["key"] for one in page["items"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert (found, page["nextCursor"]) == (["k5", "k4", "k3", "k2", "k1", "k0", "one"], None)


async def test_lists_are_strict(content_env: ContentEnv) -> None:
    for query in ("?role=ADMIN", "?limit=0", "?limit=201", "?cursor=x", "?sort=title", "?more=1"):
        assert (await content_env.api.get(f"/content/articles{query}", content_env.author.token)).status_code == 400
    assert problem(await content_env.api.get("/content/unknown")) == (404, "content-not-found")


# ---- asking ----------------------------------------------------------------------------------------------------------


def question(key: str, role: str, user_id: str | None = None, type_: str = "articles") -> dict[str, Any]:
    return {"contentType": type_, "key": key, "role": role} | ({"userId": user_id} if user_id else {})


async def test_questions_are_answered_in_order(content_env: ContentEnv) -> None:
    editor = await content_env.with_role("EDITOR")
    asked = [
        *(question("one", role) for role in ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")),
        question("one", "EDITOR", type_="article"),
        question("unknown", "VIEWER"),
        question("one", "VIEWER", type_="unknown"),
        question("\0", "VIEWER"),
        question("one", "VIEWER", editor.id),
    ]
    answer = await content_env.api.post("/access/check", {"checks": asked}, editor.token)
    assert answer.json() == {"results": [True, True, False, False, True, False, False, False, True]}
    assert (await content_env.api.post("/access/check", {"checks": []}, editor.token)).json() == {"results": []}


async def test_questions_about_others_need_a_permission(content_env: ContentEnv) -> None:
    editor, key = await content_env.with_role("EDITOR"), await content_env.api.api_key("access:read")
    about_other = {"checks": [question("one", "VIEWER"), question("one", "VIEWER", content_env.author.id)]}
    assert problem(await content_env.api.post("/access/check", about_other, editor.token)) == (403, "not-allowed")
    assert problem(await content_env.api.post("/access/check", about_other)) == (401, "unauthenticated")
    other_key = await content_env.api.api_key("content:write")
    assert problem(await content_env.api.post("/access/check", about_other, other_key)) == (403, "not-allowed")
    assert pointers(await content_env.api.post("/access/check", about_other, key)) == ["/checks/0/userId"]
    about = [editor.id, content_env.author.id, UNKNOWN]
    answer = await content_env.api.post(
        "/access/check", {"checks": [question("one", "EDITOR", one) for one in about]}, key
    )
    assert answer.json() == {"results": [True, True, False]}


async def test_permissions_and_blocking_count_in_answers(content_env: ContentEnv) -> None:
    people = [await content_env.person(role) for role in ("chief", "reader", "author")]
    checks = {"checks": [question("one", role, one.id) for one in people for role in ("VIEWER", "MAINTAINER")]}
    answer = await content_env.api.post("/access/check", checks, content_env.api.key)
    assert answer.json() == {"results": [True, True, True, False, False, False]}
    await content_env.api.patch(f"/users/{people[0].id}", {"blocked": True}, content_env.api.key)
    assert (await content_env.api.post("/access/check", checks, content_env.api.key)).json()["results"][:2] == [
        False,
        False,
    ]


async def test_at_most_a_thousand_questions(content_env: ContentEnv) -> None:
    many = [question("one", "VIEWER")] * 1000
    answer = await content_env.api.post("/access/check", {"checks": many}, content_env.author.token)
    assert answer.json() == {"results": [True] * 1000}
    more = await content_env.api.post("/access/check", {"checks": [*many, many[0]]}, content_env.author.token)
    assert pointers(more) == ["/checks"]
    odd = [{"contentType": "articles", "key": "one", "role": "ADMIN", "userId": "x"}]
    assert pointers(await content_env.api.post("/access/check", {"checks": odd}, content_env.author.token)) == [
        "/checks/0/role",
        "/checks/0/userId",
    ]


async def test_outdated_terms_wait_everywhere(content_env: ContentEnv) -> None:
    made = await content_env.api.user(None, acceptTerms=False)
    token = (await content_env.api.login(made["email"])).json()["accessToken"]
    await content_env.share(accessType="PUBLIC")
    assert problem(await content_env.api.get("/content/articles/one", token)) == (403, "terms-required")
    assert json.loads((await content_env.api.get("/content/articles/one")).content)["key"] == "one"
