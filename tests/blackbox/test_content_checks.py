"""Lists of content by visibility and role, and checks of access."""

from typing import Any

import pytest
from tests.support.content_calls import UNKNOWN_ID, add_members, check_levels, create_object, put_access, share
from tests.support.installation import Installation, SignedInUser, check_problem


def list_keys(
    installation: Installation, by: SignedInUser | None, query: str = "", kind: str = "articles"
) -> list[str]:
    """List all keys page by page."""
    keys, cursor = list[str](), ""
    while True:
        answer = installation.get(f"/content/{kind}?{query}{cursor}", by.token if by else None)
        assert answer.status == 200, answer
        assert answer.json.keys() == {"items", "nextCursor", "total"}
        keys += [item["key"] for item in answer.json["items"]]
        if answer.json["nextCursor"] is None:
            return keys
        cursor = f"&cursor={answer.json['nextCursor']}"


def create_objects(installation: Installation) -> tuple[SignedInUser, dict[str, str]]:
    """Create a user and one object for each way to get access."""
    user, owner, group, other_group = (
        installation.user(),
        installation.user(),
        installation.group(),
        installation.group(),
    )
    add_members(installation, group, user)
    keys = {
        name: create_object(installation, owner)
        for name in ("hidden", "view", "edit", "maintain", "group", "both", "other group")
    }
    share(installation, keys["view"], owner, (user, "VIEWER"))
    share(installation, keys["edit"], owner, (user, "EDITOR"))
    share(installation, keys["maintain"], owner, (user, "MAINTAINER"))
    share(installation, keys["group"], owner, **{group: "EDITOR"})
    share(installation, keys["both"], owner, (user, "VIEWER"), **{group: "MAINTAINER"})
    share(installation, keys["other group"], owner, **{other_group: "EDITOR"})
    keys["own"] = create_object(installation, user)
    keys["public"] = create_object(installation, owner)
    put_access(installation, keys["public"], owner, "PUBLIC")
    return user, keys


def test_a_list_contains_exactly_the_visible_objects(content_installation: Installation) -> None:
    user, keys = create_objects(content_installation)
    listed_keys = list_keys(content_installation, user, "limit=200")
    assert set(listed_keys) & set(keys.values()) == set(keys.values()) - {keys["hidden"], keys["other group"]}
    assert len(listed_keys) == len(set(listed_keys))
    for key in keys.values():
        assert (content_installation.get(f"/content/articles/{key}", user.token).status == 200) == (key in listed_keys)


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("EDITOR", {"edit", "maintain", "group", "both", "own"}),
        ("MAINTAINER", {"maintain", "both", "own"}),
        ("OWNER", {"own"}),
    ],
)
def test_the_role_filter_selects_objects_with_at_least_that_role(
    content_installation: Installation, role: str, names: set[str]
) -> None:
    user, keys = create_objects(content_installation)
    for limit in ("200", "1", "2"):
        listed_keys = list_keys(content_installation, user, f"role={role}&limit={limit}")
        assert sorted(listed_keys) == sorted(keys[name] for name in names)
    assert content_installation.get(f"/content/articles?role={role}", user.token).json["total"] == len(names)


def test_without_a_credential_a_list_contains_public_objects(content_installation: Installation) -> None:
    _, keys = create_objects(content_installation)
    listed_keys = list_keys(content_installation, None, "limit=200")
    assert set(listed_keys) & set(keys.values()) == {keys["public"]}
    assert list_keys(content_installation, None, "role=EDITOR") == []
    check_problem(content_installation.get("/content/articles", "lsk_bad"), 401)


def test_pages_list_every_object_once_newest_first(content_installation: Installation) -> None:
    user = content_installation.user()
    keys = [create_object(content_installation, user, kind="recipes") for _ in range(7)]
    mine = [key for key in list_keys(content_installation, user, "limit=2", "recipes") if key in keys]
    assert mine == keys[::-1]
    assert [
        key for key in list_keys(content_installation, user, "limit=3&sort=createdAt", "recipes") if key in keys
    ] == keys
    items = content_installation.get("/content/recipes?role=OWNER", user.token).json["items"]
    assert items[0] == content_installation.get(f"/content/recipes/{keys[-1]}", user.token).json


def test_each_content_type_has_its_own_list(content_installation: Installation) -> None:
    user = content_installation.user()
    article, recipe = (
        create_object(content_installation, user),
        create_object(content_installation, user, kind="recipes"),
    )
    assert (
        list_keys(content_installation, user, "role=OWNER"),
        list_keys(content_installation, user, "role=OWNER", "recipes"),
    ) == ([article], [recipe])


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
    check_problem(content_installation.get(f"/content/articles?{query}", content_installation.user().token), 400)


def test_the_list_of_an_unknown_type_is_not_found(content_installation: Installation) -> None:
    for token in (None, content_installation.key):
        check_problem(content_installation.get("/content/nothing", token), 404)


def test_a_list_reflects_every_change_of_access(content_installation: Installation) -> None:
    user, owner, group = content_installation.user(), content_installation.user(), content_installation.group()
    key = create_object(content_installation, owner, kind="articles")
    assert list_keys(content_installation, user, "limit=200").count(key) == 0
    share(content_installation, key, owner, **{group: "VIEWER"})
    add_members(content_installation, group, user)
    assert list_keys(content_installation, user, "limit=200").count(key) == 1
    put_access(content_installation, key, owner, "PUBLIC")
    assert list_keys(content_installation, user, "limit=200").count(key) == 1
    assert list_keys(content_installation, user, "role=EDITOR") == []
    put_access(content_installation, key, owner, "PRIVATE")
    assert list_keys(content_installation, user, "limit=200").count(key) == 0


def test_content_write_lists_all_objects_as_maintainer(content_installation: Installation) -> None:
    curator, owner = content_installation.user("curator"), content_installation.user()
    key, own = create_object(content_installation, owner), create_object(content_installation, curator)
    assert {key, own} <= set(list_keys(content_installation, curator, "role=MAINTAINER&limit=200"))
    assert list_keys(content_installation, curator, "role=OWNER") == [own]


def post_checks(installation: Installation, token: str | None, *checks: dict[str, Any]) -> Any:
    return installation.post("/access/check", {"checks": list(checks)}, token)


def test_results_have_the_order_of_the_checks(content_installation: Installation) -> None:
    user, keys = create_objects(content_installation)
    roles = ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")
    levels = {
        "hidden": 0,
        "view": 1,
        "edit": 2,
        "maintain": 3,
        "group": 2,
        "both": 3,
        "other group": 0,
        "own": 4,
        "public": 1,
    }
    cases = [(keys[name], role, level < levels[name]) for name in keys for level, role in enumerate(roles)]
    cases = cases[::3] + cases[1::3] + cases[2::3] + cases[:5]
    checks = [{"contentType": "articles", "key": key, "role": role} for key, role, _ in cases]
    answer = post_checks(content_installation, user.token, *checks)
    assert answer.status == 200
    assert answer.json == {"results": [expected for _, _, expected in cases]}
    reader = content_installation.api_key("access:read")
    assert (
        post_checks(content_installation, reader, *[check_ | {"userId": user.id} for check_ in checks]).json
        == answer.json
    )


def test_checks_of_other_users_require_a_permission(content_installation: Installation) -> None:
    user, other = content_installation.user(), content_installation.user()
    key = create_object(content_installation, other)
    check_ = {"contentType": "articles", "key": key, "role": "VIEWER"}
    check_problem(post_checks(content_installation, None, check_), 401)
    assert post_checks(content_installation, user.token, check_).json == {"results": [False]}
    assert post_checks(content_installation, user.token, check_ | {"userId": user.id}).json == {"results": [False]}
    check_problem(post_checks(content_installation, user.token, check_, check_ | {"userId": other.id}), 403)
    check_problem(post_checks(content_installation, user.token, check_ | {"userId": UNKNOWN_ID}), 403)
    check_problem(
        post_checks(content_installation, content_installation.api_key("content:write"), check_ | {"userId": other.id}),
        403,
    )
    answer = post_checks(
        content_installation,
        content_installation.api_key("access:read"),
        check_ | {"userId": other.id},
        check_ | {"userId": user.id},
    )
    assert answer.json == {"results": [True, False]}


def test_a_check_of_something_unknown_is_false(content_installation: Installation) -> None:
    user = content_installation.user()
    key = create_object(content_installation, user)
    right = {"userId": user.id, "contentType": "articles", "key": key, "role": "OWNER"}
    answer = post_checks(
        content_installation,
        content_installation.key,
        right | {"key": "not-there"},
        right,
        right | {"contentType": "nothing"},
        right | {"userId": UNKNOWN_ID},
        right | {"contentType": "recipes"},
        right,
    )
    assert (answer.status, answer.json["results"]) == (200, [False, True, False, False, False, True])


def test_a_request_has_at_most_a_thousand_checks(content_installation: Installation) -> None:
    user = content_installation.user()
    check_ = {"contentType": "articles", "key": create_object(content_installation, user), "role": "OWNER"}
    absent = check_ | {"key": "not-there"}
    answer = post_checks(content_installation, user.token, *[check_, absent] * 500)
    assert answer.json == {"results": [True, False] * 500}
    assert post_checks(content_installation, user.token, *[check_] * 1001).status in {400, 422}
    assert post_checks(content_installation, user.token).status in {200, 422}


@pytest.mark.parametrize(
    "bad", [{"role": "ADMIN"}, {"role": None}, {"key": 1}, {"contentType": None}, {"userId": "x"}, {"userId": 1}]
)
def test_invalid_checks_are_refused(content_installation: Installation, bad: dict[str, Any]) -> None:
    check_ = {"contentType": "articles", "key": "k", "role": "VIEWER"}
    answer = post_checks(content_installation, content_installation.user().token, check_ | bad)
    assert answer.status in {400, 422}, answer
    check_problem(post_checks(content_installation, content_installation.user().token, check_ | {"unknown": 1}), 400)


def test_a_blocked_user_has_no_access_until_unblocked(content_installation: Installation) -> None:
    owner, group, user = content_installation.user(), content_installation.group(), content_installation.user()
    add_members(content_installation, group, user)
    key, own = create_object(content_installation, owner), create_object(content_installation, user)
    share(content_installation, key, owner, (user, "EDITOR"), **{group: "MAINTAINER"})
    content_installation.patch(f"/users/{user.id}", {"blocked": True}, content_installation.key)
    assert check_levels(content_installation, key, user) + check_levels(content_installation, own, user) == [
        None,
        None,
    ]
    content_installation.patch(f"/users/{user.id}", {"blocked": False}, content_installation.key)
    assert check_levels(content_installation, key, user) + check_levels(content_installation, own, user) == [
        "MAINTAINER",
        "OWNER",
    ]


def test_content_write_counts_in_checks(content_installation: Installation) -> None:
    curator = content_installation.user("curator")
    key = create_object(content_installation, content_installation.user())
    assert check_levels(content_installation, key, curator) == ["MAINTAINER"]
    content_installation.patch(f"/users/{curator.id}", {"role": "customer"}, content_installation.key)
    assert check_levels(content_installation, key, curator) == [None]
    content_installation.patch(f"/users/{curator.id}", {"role": "curator"}, content_installation.key)
    assert check_levels(content_installation, key, curator) == ["MAINTAINER"]
