"""Asking: lists of what one may see or do, and checks of who may do what."""

from typing import Any

import pytest
from tests.support.content_calls import NOBODY, article, join, levels, put_access, share
from tests.support.installation import Installation, Person, refused


def listed(installation: Installation, by: Person | None, query: str = "", kind: str = "articles") -> list[str]:
    """Keys in the order of the list, page by page."""
    keys, cursor = list[str](), ""
    while True:
        got = installation.get(f"/content/{kind}?{query}{cursor}", by.token if by else None)
        assert got.status == 200, got
        assert got.json.keys() == {"items", "nextCursor", "total"}
        keys += [item["key"] for item in got.json["items"]]
        if got.json["nextCursor"] is None:
            return keys
        cursor = f"&cursor={got.json['nextCursor']}"


def world(installation: Installation) -> tuple[Person, dict[str, str]]:
    """A person and one object for each way of reaching one."""
    me, owner, group, other = installation.user(), installation.user(), installation.group(), installation.group()
    join(installation, group, me)
    keys = {
        name: article(installation, owner)
        for name in ("hidden", "view", "edit", "maintain", "group", "both", "elsewhere")
    }
    share(installation, keys["view"], owner, (me, "VIEWER"))
    share(installation, keys["edit"], owner, (me, "EDITOR"))
    share(installation, keys["maintain"], owner, (me, "MAINTAINER"))
    share(installation, keys["group"], owner, **{group: "EDITOR"})
    share(installation, keys["both"], owner, (me, "VIEWER"), **{group: "MAINTAINER"})
    share(installation, keys["elsewhere"], owner, **{other: "EDITOR"})
    keys["own"] = article(installation, me)
    keys["public"] = article(installation, owner)
    put_access(installation, keys["public"], owner, "PUBLIC")
    return me, keys


def test_a_list_holds_what_one_may_view_and_nothing_else(content_installation: Installation) -> None:
    me, keys = world(content_installation)
    found = listed(content_installation, me, "limit=200")
    assert set(found) & set(keys.values()) == set(keys.values()) - {keys["hidden"], keys["elsewhere"]}
    assert len(found) == len(set(found))
    for key in keys.values():
        assert (content_installation.get(f"/content/articles/{key}", me.token).status == 200) == (key in found)


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("EDITOR", {"edit", "maintain", "group", "both", "own"}),
        ("MAINTAINER", {"maintain", "both", "own"}),
        ("OWNER", {"own"}),
    ],
)
def test_a_role_narrows_a_list_to_at_least_that(content_installation: Installation, role: str, names: set[str]) -> None:
    me, keys = world(content_installation)
    for limit in ("200", "1", "2"):
        found = listed(content_installation, me, f"role={role}&limit={limit}")
        assert sorted(found) == sorted(keys[name] for name in names)
    assert content_installation.get(f"/content/articles?role={role}", me.token).json["total"] == len(names)


def test_without_a_credential_a_list_holds_what_is_public(content_installation: Installation) -> None:
    _, keys = world(content_installation)
    found = listed(content_installation, None, "limit=200")
    assert set(found) & set(keys.values()) == {keys["public"]}
    assert listed(content_installation, None, "role=EDITOR") == []
    refused(content_installation.get("/content/articles", "lsk_bad"), 401)


def test_pages_meet_everything_once_the_newest_first(content_installation: Installation) -> None:
    me = content_installation.user()
    keys = [article(content_installation, me, kind="recipes") for _ in range(7)]
    mine = [key for key in listed(content_installation, me, "limit=2", "recipes") if key in keys]
    assert mine == keys[::-1]
    assert [key for key in listed(content_installation, me, "limit=3&sort=createdAt", "recipes") if key in keys] == keys
    items = content_installation.get("/content/recipes?role=OWNER", me.token).json["items"]
    assert items[0] == content_installation.get(f"/content/recipes/{keys[-1]}", me.token).json


def test_types_are_listed_apart(content_installation: Installation) -> None:
    me = content_installation.user()
    one, two = article(content_installation, me), article(content_installation, me, kind="recipes")
    assert (
        listed(content_installation, me, "role=OWNER"),
        listed(content_installation, me, "role=OWNER", "recipes"),
    ) == ([one], [two])


@pytest.mark.parametrize(
    "query",
    [
        "role=ADMIN",
        "role=viewer",
        "role=",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=%21",
        "cursor=abc",
        "sort=title",
        "owner=x",
    ],
)
def test_bad_queries_of_a_list_are_refused(content_installation: Installation, query: str) -> None:
    refused(content_installation.get(f"/content/articles?{query}", content_installation.user().token), 400)


def test_an_unknown_type_has_no_list(content_installation: Installation) -> None:
    for token in (None, content_installation.key):
        refused(content_installation.get("/content/nothing", token), 404)


def test_a_list_follows_every_change(content_installation: Installation) -> None:
    me, owner, group = content_installation.user(), content_installation.user(), content_installation.group()
    key = article(content_installation, owner, kind="articles")
    assert listed(content_installation, me, "limit=200").count(key) == 0
    share(content_installation, key, owner, **{group: "VIEWER"})
    join(content_installation, group, me)
    assert listed(content_installation, me, "limit=200").count(key) == 1
    put_access(content_installation, key, owner, "PUBLIC")
    assert listed(content_installation, me, "limit=200").count(key) == 1
    assert listed(content_installation, me, "role=EDITOR") == []
    put_access(content_installation, key, owner, "PRIVATE")
    assert listed(content_installation, me, "limit=200").count(key) == 0


def test_the_permission_to_write_lists_all_as_maintainer(content_installation: Installation) -> None:
    curator, owner = content_installation.user("curator"), content_installation.user()
    key, own = article(content_installation, owner), article(content_installation, curator)
    assert {key, own} <= set(listed(content_installation, curator, "role=MAINTAINER&limit=200"))
    assert listed(content_installation, curator, "role=OWNER") == [own]


def check(installation: Installation, token: str | None, *checks: dict[str, Any]) -> Any:
    return installation.post("/access/check", {"checks": list(checks)}, token)


def test_answers_come_in_the_order_of_the_questions(content_installation: Installation) -> None:
    me, keys = world(content_installation)
    roles = ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")
    have = {
        "hidden": 0,
        "view": 1,
        "edit": 2,
        "maintain": 3,
        "group": 2,
        "both": 3,
        "elsewhere": 0,
        "own": 4,
        "public": 1,
    }
    asked = [(keys[name], role, at < have[name]) for name in keys for at, role in enumerate(roles)]
    asked = asked[::3] + asked[1::3] + asked[2::3] + asked[:5]
    questions = [{"contentType": "articles", "key": key, "role": role} for key, role, _ in asked]
    got = check(content_installation, me.token, *questions)
    assert got.status == 200
    assert got.json == {"results": [expected for _, _, expected in asked]}
    reader = content_installation.api_key("access:read")
    assert check(content_installation, reader, *[one | {"userId": me.id} for one in questions]).json == got.json


def test_one_asks_about_oneself_and_about_others_with_the_permission(content_installation: Installation) -> None:
    me, other = content_installation.user(), content_installation.user()
    key = article(content_installation, other)
    question = {"contentType": "articles", "key": key, "role": "VIEWER"}
    refused(check(content_installation, None, question), 401)
    assert check(content_installation, me.token, question).json == {"results": [False]}
    assert check(content_installation, me.token, question | {"userId": me.id}).json == {"results": [False]}
    refused(check(content_installation, me.token, question, question | {"userId": other.id}), 403)
    refused(check(content_installation, me.token, question | {"userId": NOBODY}), 403)
    refused(
        check(content_installation, content_installation.api_key("content:write"), question | {"userId": other.id}), 403
    )
    about = check(
        content_installation,
        content_installation.api_key("access:read"),
        question | {"userId": other.id},
        question | {"userId": me.id},
    )
    assert about.json == {"results": [True, False]}


def test_what_does_not_exist_is_a_no(content_installation: Installation) -> None:
    me = content_installation.user()
    key = article(content_installation, me)
    right = {"userId": me.id, "contentType": "articles", "key": key, "role": "OWNER"}
    answer = check(
        content_installation,
        content_installation.key,
        right | {"key": "not-there"},
        right,
        right | {"contentType": "nothing"},
        right | {"userId": NOBODY},
        right | {"contentType": "recipes"},
        right,
    )
    assert (answer.status, answer.json["results"]) == (200, [False, True, False, False, False, True])


def test_a_thousand_questions_and_no_more(content_installation: Installation) -> None:
    me = content_installation.user()
    question = {"contentType": "articles", "key": article(content_installation, me), "role": "OWNER"}
    absent = question | {"key": "not-there"}
    got = check(content_installation, me.token, *[question, absent] * 500)
    assert got.json == {"results": [True, False] * 500}
    assert check(content_installation, me.token, *[question] * 1001).status in {400, 422}
    assert check(content_installation, me.token).status in {200, 422}


@pytest.mark.parametrize(
    "bad", [{"role": "ADMIN"}, {"role": None}, {"key": 1}, {"contentType": None}, {"userId": "x"}, {"userId": 1}]
)
def test_bad_questions_are_refused(content_installation: Installation, bad: dict[str, Any]) -> None:
    question = {"contentType": "articles", "key": "k", "role": "VIEWER"}
    answer = check(content_installation, content_installation.user().token, question | bad)
    assert answer.status in {400, 422}, answer
    refused(check(content_installation, content_installation.user().token, question | {"unknown": 1}), 400)


def test_a_blocked_person_may_nothing_until_freed(content_installation: Installation) -> None:
    owner, group, person = content_installation.user(), content_installation.group(), content_installation.user()
    join(content_installation, group, person)
    key, own = article(content_installation, owner), article(content_installation, person)
    share(content_installation, key, owner, (person, "EDITOR"), **{group: "MAINTAINER"})
    content_installation.patch(f"/users/{person.id}", {"blocked": True}, content_installation.key)
    assert levels(content_installation, key, person) + levels(content_installation, own, person) == [None, None]
    content_installation.patch(f"/users/{person.id}", {"blocked": False}, content_installation.key)
    assert levels(content_installation, key, person) + levels(content_installation, own, person) == [
        "MAINTAINER",
        "OWNER",
    ]


def test_the_permission_to_write_counts_in_checks(content_installation: Installation) -> None:
    curator = content_installation.user("curator")
    key = article(content_installation, content_installation.user())
    assert levels(content_installation, key, curator) == ["MAINTAINER"]
    content_installation.patch(f"/users/{curator.id}", {"role": "customer"}, content_installation.key)
    assert levels(content_installation, key, curator) == [None]
    content_installation.patch(f"/users/{curator.id}", {"role": "curator"}, content_installation.key)
    assert levels(content_installation, key, curator) == ["MAINTAINER"]
