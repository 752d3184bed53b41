"""Asking: lists of what one may see or do, and checks of who may do what."""

from typing import Any

import pytest
from tests.support.content_calls import NOBODY, article, join, levels, put_access, share
from tests.support.installation import House, Person, refused


def listed(house: House, by: Person | None, query: str = "", kind: str = "articles") -> list[str]:
    """Keys in the order of the list, page by page."""
    keys, cursor = list[str](), ""
    while True:
        got = house.get(f"/content/{kind}?{query}{cursor}", by.token if by else None)
        assert got.status == 200, got
        assert got.json.keys() == {"items", "nextCursor", "total"}
        keys += [item["key"] for item in got.json["items"]]
        if got.json["nextCursor"] is None:
            return keys
        cursor = f"&cursor={got.json['nextCursor']}"


def world(house: House) -> tuple[Person, dict[str, str]]:
    """A person and one object for each way of reaching one."""
    me, owner, group, other = house.user(), house.user(), house.group(), house.group()
    join(house, group, me)
    keys = {
        name: article(house, owner) for name in ("hidden", "view", "edit", "maintain", "group", "both", "elsewhere")
    }
    share(house, keys["view"], owner, (me, "VIEWER"))
    share(house, keys["edit"], owner, (me, "EDITOR"))
    share(house, keys["maintain"], owner, (me, "MAINTAINER"))
    share(house, keys["group"], owner, **{group: "EDITOR"})
    share(house, keys["both"], owner, (me, "VIEWER"), **{group: "MAINTAINER"})
    share(house, keys["elsewhere"], owner, **{other: "EDITOR"})
    keys["own"] = article(house, me)
    keys["public"] = article(house, owner)
    put_access(house, keys["public"], owner, "PUBLIC")
    return me, keys


def test_a_list_holds_what_one_may_view_and_nothing_else(library: House) -> None:
    me, keys = world(library)
    found = listed(library, me, "limit=200")
    assert set(found) & set(keys.values()) == set(keys.values()) - {keys["hidden"], keys["elsewhere"]}
    assert len(found) == len(set(found))
    for key in keys.values():
        assert (library.get(f"/content/articles/{key}", me.token).status == 200) == (key in found)


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("EDITOR", {"edit", "maintain", "group", "both", "own"}),
        ("MAINTAINER", {"maintain", "both", "own"}),
        ("OWNER", {"own"}),
    ],
)
def test_a_role_narrows_a_list_to_at_least_that(library: House, role: str, names: set[str]) -> None:
    me, keys = world(library)
    for limit in ("200", "1", "2"):
        found = listed(library, me, f"role={role}&limit={limit}")
        assert sorted(found) == sorted(keys[name] for name in names)
    assert library.get(f"/content/articles?role={role}", me.token).json["total"] == len(names)


def test_without_a_credential_a_list_holds_what_is_public(library: House) -> None:
    _, keys = world(library)
    found = listed(library, None, "limit=200")
    assert set(found) & set(keys.values()) == {keys["public"]}
    assert listed(library, None, "role=EDITOR") == []
    refused(library.get("/content/articles", "lsk_bad"), 401)


def test_pages_meet_everything_once_the_newest_first(library: House) -> None:
    me = library.user()
    keys = [article(library, me, kind="recipes") for _ in range(7)]
    mine = [key for key in listed(library, me, "limit=2", "recipes") if key in keys]
    assert mine == keys[::-1]
    assert [key for key in listed(library, me, "limit=3&sort=createdAt", "recipes") if key in keys] == keys
    items = library.get("/content/recipes?role=OWNER", me.token).json["items"]
    assert items[0] == library.get(f"/content/recipes/{keys[-1]}", me.token).json


def test_types_are_listed_apart(library: House) -> None:
    me = library.user()
    one, two = article(library, me), article(library, me, kind="recipes")
    assert (listed(library, me, "role=OWNER"), listed(library, me, "role=OWNER", "recipes")) == ([one], [two])


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
def test_bad_queries_of_a_list_are_refused(library: House, query: str) -> None:
    refused(library.get(f"/content/articles?{query}", library.user().token), 400)


def test_an_unknown_type_has_no_list(library: House) -> None:
    for token in (None, library.key):
        refused(library.get("/content/nothing", token), 404)


def test_a_list_follows_every_change(library: House) -> None:
    me, owner, group = library.user(), library.user(), library.group()
    key = article(library, owner, kind="articles")
    assert listed(library, me, "limit=200").count(key) == 0
    share(library, key, owner, **{group: "VIEWER"})
    join(library, group, me)
    assert listed(library, me, "limit=200").count(key) == 1
    put_access(library, key, owner, "PUBLIC")
    assert listed(library, me, "limit=200").count(key) == 1
    assert listed(library, me, "role=EDITOR") == []
    put_access(library, key, owner, "PRIVATE")
    assert listed(library, me, "limit=200").count(key) == 0


def test_the_permission_to_write_lists_all_as_maintainer(library: House) -> None:
    curator, owner = library.user("curator"), library.user()
    key, own = article(library, owner), article(library, curator)
    assert {key, own} <= set(listed(library, curator, "role=MAINTAINER&limit=200"))
    assert listed(library, curator, "role=OWNER") == [own]


def check(house: House, token: str | None, *checks: dict[str, Any]) -> Any:
    return house.post("/access/check", {"checks": list(checks)}, token)


def test_answers_come_in_the_order_of_the_questions(library: House) -> None:
    me, keys = world(library)
    roles = ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")
    have = {
        "hidden": 0, "view": 1, "edit": 2, "maintain": 3, "group": 2, "both": 3, "elsewhere": 0, "own": 4, "public": 1,
    }  # fmt: skip
    asked = [(keys[name], role, at < have[name]) for name in keys for at, role in enumerate(roles)]
    asked = asked[::3] + asked[1::3] + asked[2::3] + asked[:5]
    questions = [{"contentType": "articles", "key": key, "role": role} for key, role, _ in asked]
    got = check(library, me.token, *questions)
    assert got.status == 200
    assert got.json == {"results": [expected for _, _, expected in asked]}
    reader = library.api_key("access:read")
    assert check(library, reader, *[one | {"userId": me.id} for one in questions]).json == got.json


def test_one_asks_about_oneself_and_about_others_with_the_permission(library: House) -> None:
    me, other = library.user(), library.user()
    key = article(library, other)
    question = {"contentType": "articles", "key": key, "role": "VIEWER"}
    refused(check(library, None, question), 401)
    assert check(library, me.token, question).json == {"results": [False]}
    assert check(library, me.token, question | {"userId": me.id}).json == {"results": [False]}
    refused(check(library, me.token, question, question | {"userId": other.id}), 403)
    refused(check(library, me.token, question | {"userId": NOBODY}), 403)
    refused(check(library, library.api_key("content:write"), question | {"userId": other.id}), 403)
    about = check(
        library, library.api_key("access:read"), question | {"userId": other.id}, question | {"userId": me.id}
    )
    assert about.json == {"results": [True, False]}


def test_what_does_not_exist_is_a_no(library: House) -> None:
    me = library.user()
    key = article(library, me)
    right = {"userId": me.id, "contentType": "articles", "key": key, "role": "OWNER"}
    answer = check(
        library, library.key, right | {"key": "not-there"}, right, right | {"contentType": "nothing"},
        right | {"userId": NOBODY}, right | {"contentType": "recipes"}, right,
    )  # fmt: skip
    assert (answer.status, answer.json["results"]) == (200, [False, True, False, False, False, True])


def test_a_thousand_questions_and_no_more(library: House) -> None:
    me = library.user()
    question = {"contentType": "articles", "key": article(library, me), "role": "OWNER"}
    absent = question | {"key": "not-there"}
    got = check(library, me.token, *[question, absent] * 500)
    assert got.json == {"results": [True, False] * 500}
    assert check(library, me.token, *[question] * 1001).status in {400, 422}
    assert check(library, me.token).status in {200, 422}


@pytest.mark.parametrize(
    "bad", [{"role": "ADMIN"}, {"role": None}, {"key": 1}, {"contentType": None}, {"userId": "x"}, {"userId": 1}]
)
def test_bad_questions_are_refused(library: House, bad: dict[str, Any]) -> None:
    question = {"contentType": "articles", "key": "k", "role": "VIEWER"}
    answer = check(library, library.user().token, question | bad)
    assert answer.status in {400, 422}, answer
    refused(check(library, library.user().token, question | {"unknown": 1}), 400)


def test_a_blocked_person_may_nothing_until_freed(library: House) -> None:
    owner, group, person = library.user(), library.group(), library.user()
    join(library, group, person)
    key, own = article(library, owner), article(library, person)
    share(library, key, owner, (person, "EDITOR"), **{group: "MAINTAINER"})
    library.patch(f"/users/{person.id}", {"blocked": True}, library.key)
    assert levels(library, key, person) + levels(library, own, person) == [None, None]
    library.patch(f"/users/{person.id}", {"blocked": False}, library.key)
    assert levels(library, key, person) + levels(library, own, person) == ["MAINTAINER", "OWNER"]


def test_the_permission_to_write_counts_in_checks(library: House) -> None:
    curator = library.user("curator")
    key = article(library, library.user())
    assert levels(library, key, curator) == ["MAINTAINER"]
    library.patch(f"/users/{curator.id}", {"role": "customer"}, library.key)
    assert levels(library, key, curator) == [None]
    library.patch(f"/users/{curator.id}", {"role": "curator"}, library.key)
    assert levels(library, key, curator) == ["MAINTAINER"]
