"""Content objects: made, read, changed and removed; their keys, and the order of refusals."""

import json
import re
import time
from typing import Any

import pytest
from tests.support.content_calls import NOBODY, access, article, at_once, instant, put_access, share, shown
from tests.support.installation import Installation, numbers, pointers, refused

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}")


def test_an_object_is_made_private_and_belongs_to_its_maker(content_installation: Installation) -> None:
    author, number = content_installation.user("author"), next(numbers)
    sent = {
        "title": f"Härte & Maß {number}",
        "url": "https://app.orchard.example/a?b=c",
        "data": {"body": ["ü", 1.5, None]},
    }
    made = content_installation.post("/content/articles", sent, author.token)
    assert made.status == 201, made
    assert made.json == sent | {
        "contentType": "articles",
        "key": made.json["key"],
        "createdAt": made.json["createdAt"],
        "updatedAt": made.json["createdAt"],
        "access": {"ownerId": author.id, "visibility": "PRIVATE", "canEdit": True, "canDelete": True},
    }
    assert made.headers["Location"].endswith(f"/api/content/articles/{made.json['key']}")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", made.json["createdAt"])
    got = content_installation.call("GET", made.headers["Location"], token=author.token)
    assert (got.status, got.json) == (200, made.json)
    assert got.headers["ETag"]


def test_what_is_left_out_is_null(content_installation: Installation) -> None:
    author = content_installation.user("author")
    made = content_installation.post("/content/recipes", {"title": "Soup"}, author.token)
    assert (made.status, made.json["url"], made.json["data"], made.json["contentType"]) == (201, None, None, "recipes")


def test_making_needs_the_permission(content_installation: Installation) -> None:
    refused(content_installation.post("/content/articles", {"title": "T"}), 401)
    refused(
        content_installation.post("/content/articles", {"title": "T"}, content_installation.user("curator").token), 403
    )
    refused(
        content_installation.post("/content/articles", {"title": "T"}, content_installation.api_key("content:write")),
        403,
    )
    owner = content_installation.user()
    key = content_installation.api_key("content:create")
    made = content_installation.post("/content/articles", {"title": "T", "ownerId": owner.id}, key)
    assert (made.status, made.json["access"]["ownerId"]) == (201, owner.id)


def test_only_an_api_key_says_who_owns(content_installation: Installation) -> None:
    author, other = content_installation.user("author"), content_installation.user()
    answer = content_installation.post("/content/articles", {"title": "T", "ownerId": other.id}, author.token)
    assert answer.status in {400, 403, 422}, answer
    answer = content_installation.post("/content/articles", {"title": "T", "ownerId": NOBODY}, content_installation.key)
    assert answer.status in {404, 422}, answer


@pytest.mark.parametrize(
    "title",
    [
        "Hello, World!", "Größe", "Привет, мир", "你好，世界", "こんにちは", "안녕하세요", "مرحبا بالعالم", "שלום עולם",
        "नमस्ते", "สวัสดี", "ሰላም", "Ελληνικά", "გამარჯობა", "😀😀", "!!!", "--", "accept", "Accept", "Invitations",
        "..", "x" * 190 + " y", "İstanbul", "ß" * 90, "a/b?c#d%2e",
    ],
)  # fmt: skip
def test_a_key_is_made_of_any_title(content_installation: Installation, title: str) -> None:
    author = content_installation.user("author")
    keys = set()
    for _ in range(2):
        made = content_installation.post("/content/articles", {"title": title}, author.token)
        assert (made.status, made.json["title"]) == (201, title)
        key = made.json["key"]
        assert KEY.fullmatch(key)
        assert key not in {"accept", "invitations"}
        assert content_installation.get(f"/content/articles/{key}", author.token).json["title"] == title
        keys.add(key)
    assert len(keys) == 2


def test_a_slug_reads_like_the_title(content_installation: Installation) -> None:
    made = content_installation.post(
        "/content/articles", {"title": "Notes from Zürich (2)"}, content_installation.user("author").token
    )
    assert made.json["key"].lower().startswith("notes-from-zu")


@pytest.mark.parametrize("key", ["A.b_c~d-1", "0", "z" * 200, "acceptance", "index.html"])
def test_keys_may_be_chosen(content_installation: Installation, key: str) -> None:
    author = content_installation.user("author")
    made = content_installation.post("/content/recipes", {"title": "T", "key": key}, author.token)
    assert (made.status, made.json["key"]) == (201, key)
    assert content_installation.get(f"/content/recipes/{key}", author.token).status == 200


@pytest.mark.parametrize(
    "key", ["", "-a", ".a", "..", "_a", "~a", "a b", "a/b", "ä", "a\n", "z" * 201, "accept", "invitations"]
)
def test_other_keys_are_refused(content_installation: Installation, key: str) -> None:
    body = {"title": "T", "key": key}
    assert pointers(
        refused(content_installation.post("/content/articles", body, content_installation.user("author").token), 422)
    ) == {"/key"}


def test_a_key_is_taken_once_per_type(content_installation: Installation) -> None:
    one, two, key = content_installation.user("author"), content_installation.user("author"), f"once-{next(numbers)}"
    body = {"title": "T", "key": key}
    assert content_installation.post("/content/articles", body, one.token).status == 201
    refused(content_installation.post("/content/articles", body, two.token), 409)
    assert content_installation.post("/content/recipes", body, two.token).status == 201


def test_equal_titles_at_once_get_keys_of_their_own(content_installation: Installation) -> None:
    author, title = content_installation.user("author"), f"Minutes {next(numbers)}"
    calls = [lambda: content_installation.post("/content/articles", {"title": title}, author.token)] * 24
    answers = at_once(*calls)
    assert [answer.status for answer in answers] == [201] * 24
    assert len({answer.json["key"] for answer in answers}) == 24


def test_one_of_many_at_once_gets_the_key(content_installation: Installation) -> None:
    author, body = content_installation.user("author"), {"title": "T", "key": f"race-{next(numbers)}"}
    answers = at_once(*[lambda: content_installation.post("/content/articles", body, author.token)] * 12)
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11


def test_an_idempotency_key_makes_one_object(content_installation: Installation) -> None:
    author, headers = content_installation.user("author"), {"Idempotency-Key": f"content-{next(numbers)}"}
    body = {"title": "Twice"}
    answers = at_once(
        *[lambda: content_installation.post("/content/articles", body, author.token, headers=headers)] * 6
    )
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert content_installation.get("/content/articles?role=OWNER", author.token).json["total"] == 1
    again = content_installation.post("/content/articles", {"title": "Other"}, author.token, headers=headers)
    refused(again, 422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("bad", "pointer"),
    [
        ({}, "/title"),
        ({"title": ""}, "/title"),
        ({"title": "a\nb"}, "/title"),
        ({"title": "a\x00b"}, "/title"),
        ({"title": 7}, "/title"),
        ({"title": None}, "/title"),
        ({"title": "T", "url": "javascript:alert(1)"}, "/url"),
        ({"title": "T", "url": "not a url"}, "/url"),
        ({"title": "T", "key": 5}, "/key"),
    ],
)
def test_fields_of_an_object_are_checked(content_installation: Installation, bad: dict[str, Any], pointer: str) -> None:
    assert pointers(
        refused(content_installation.post("/content/articles", bad, content_installation.user("author").token), 422)
    ) == {pointer}


def test_unknown_fields_are_unreadable(content_installation: Installation) -> None:
    author = content_installation.user("author")
    refused(content_installation.post("/content/articles", {"title": "T", "visibility": "PUBLIC"}, author.token), 400)
    key = article(content_installation, author)
    for field in ("key", "ownerId", "contentType", "access", "createdAt"):
        refused(content_installation.patch(f"/content/articles/{key}", {field: "x"}, author.token), 400)
    refused(content_installation.get(f"/content/articles/{key}?x=1", author.token), 400)
    refused(content_installation.get("/content/articles?x=1", author.token), 400)


def test_data_comes_back_as_it_was_sent(content_installation: Installation) -> None:
    author = content_installation.user("author")
    data = {
        "z": 1,
        "a": {"deep": [[], {}, "\u202e<b>", "😀", 2**53 - 1, -0.5, True, None]},
        "": "empty",
        "ü": "ü",
    }
    key = article(content_installation, author, data=data)
    got = shown(content_installation, key, author)["data"]
    assert got == data
    assert list(got) == list(data)


def test_data_is_bounded(content_installation: Installation) -> None:
    author = content_installation.user("author")
    fits = {"x": "y" * (262_144 - len('{"x":""}'))}
    assert len(json.dumps(fits, separators=(",", ":"))) == 262_144
    key = article(content_installation, author, data=fits)
    more = {"x": fits["x"] + "y"}
    for answer in (
        content_installation.post("/content/articles", {"title": "T", "data": more}, author.token),
        content_installation.patch(f"/content/articles/{key}", {"data": more}, author.token),
    ):
        assert answer.status in {413, 422}, answer
        refused(answer, answer.status)
    assert shown(content_installation, key, author)["data"] == fits


def test_a_change_touches_what_it_names(content_installation: Installation) -> None:
    author = content_installation.user("author")
    key = article(content_installation, author, title="One", url="https://a.example/", data={"a": 1, "b": 2})
    before = content_installation.get(f"/content/articles/{key}", author.token)
    time.sleep(0.01)
    changed = content_installation.patch(f"/content/articles/{key}", {"title": "Two"}, author.token)
    assert changed.status == 200
    assert changed.json == before.json | {"title": "Two", "updatedAt": changed.json["updatedAt"]}
    assert instant(changed.json["updatedAt"]) > instant(before.json["updatedAt"])
    assert changed.headers["ETag"] != before.headers["ETag"]
    emptied = content_installation.patch(f"/content/articles/{key}", {"url": None, "data": {"c": 3}}, author.token).json
    assert (emptied["url"], emptied["data"], emptied["title"], emptied["key"]) == (None, {"c": 3}, "Two", key)
    assert shown(content_installation, key, author) == emptied
    refused(content_installation.patch(f"/content/articles/{key}", {"title": None}, author.token), 422)


def test_if_match_keeps_the_change_of_another(content_installation: Installation) -> None:
    author = content_installation.user("author")
    key = article(content_installation, author)
    path = f"/content/articles/{key}"
    tag = content_installation.get(path, author.token).headers["ETag"]
    assert content_installation.patch(path, {"title": "Mine"}, author.token, headers={"If-Match": tag}).status == 200
    stale = content_installation.patch(path, {"title": "Lost"}, author.token, headers={"If-Match": tag})
    refused(stale, 412)
    assert shown(content_installation, key, author)["title"] == "Mine"
    fresh = content_installation.get(path, author.token).headers["ETag"]
    several = {"If-Match": f'"other", {fresh}'}
    assert content_installation.patch(path, {"title": "Ours"}, author.token, headers=several).status == 200
    assert content_installation.patch(path, {"title": "Any"}, author.token, headers={"If-Match": "*"}).status == 200
    weak = content_installation.get(path, author.token).headers["ETag"]
    refused(content_installation.patch(path, {"title": "W"}, author.token, headers={"If-Match": f"W/{weak}"}), 412)


def test_a_tag_that_was_answered_by_a_change_is_good_for_the_next(content_installation: Installation) -> None:
    author = content_installation.user("author")
    path = f"/content/articles/{article(content_installation, author)}"
    tag = content_installation.patch(path, {"title": "1"}, author.token).headers["ETag"]
    for title in ("2", "3", "3", "4"):
        answer = content_installation.patch(path, {"title": title}, author.token, headers={"If-Match": tag})
        assert answer.status == 200
        tag = answer.headers["ETag"]
    assert content_installation.get(path, author.token).headers["ETag"] == tag
    not_modified = content_installation.get(path, author.token, headers={"If-None-Match": tag})
    assert (not_modified.status, not_modified.body) == (304, b"")


def test_the_singular_is_an_alias_everywhere_in_paths(content_installation: Installation) -> None:
    author, friend = content_installation.user("author"), content_installation.user()
    made = content_installation.post("/content/article", {"title": "One"}, author.token)
    key = made.json["key"]
    assert (made.status, made.json["contentType"]) == (201, "articles")
    assert content_installation.get(f"/content/article/{key}", author.token).json == shown(
        content_installation, key, author
    )
    assert content_installation.get("/content/article", author.token).json["items"][0]["key"] == key
    assert (
        content_installation.patch(f"/content/article/{key}", {"title": "Two"}, author.token).json["contentType"]
        == "articles"
    )
    body = {"accessType": "SHARED", "sharedUsers": {friend.id: "VIEWER"}}
    assert content_installation.put(f"/content/article/{key}/access", body, author.token).status == 200
    assert content_installation.get(f"/content/article/{key}/access", author.token).json == access(
        content_installation, key, author
    )
    moved = content_installation.put(f"/content/article/{key}/owner", {"newOwnerId": friend.id}, author.token)
    assert (moved.status, moved.json["contentType"]) == (200, "articles")
    assert content_installation.delete(f"/content/article/{key}", friend.token).json == {"success": True}
    for path in ("/content/recipe", "/content/Articles", "/content/invitations"):
        refused(content_installation.get(path, author.token), 404)


def test_removing_takes_a_maintainer(content_installation: Installation) -> None:
    owner, editor, maintainer = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    refused(content_installation.delete(f"/content/articles/{key}", editor.token), 403)
    gone = content_installation.delete(f"/content/articles/{key}", maintainer.token)
    assert (gone.status, gone.json) == (200, {"success": True})
    for person in (owner, maintainer):
        refused(content_installation.get(f"/content/articles/{key}", person.token), 404)
        refused(content_installation.delete(f"/content/articles/{key}", person.token), 404)


def test_what_each_may_do_is_told(content_installation: Installation) -> None:
    owner, viewer, editor, maintainer = (content_installation.user() for _ in range(4))
    key = article(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"), (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    told = {
        person.id: shown(content_installation, key, person)["access"] for person in (owner, viewer, editor, maintainer)
    }
    assert [(a["canEdit"], a["canDelete"]) for a in told.values()] == [
        (True, True), (False, False), (True, False), (True, True),
    ]  # fmt: skip
    assert {(a["ownerId"], a["visibility"]) for a in told.values()} == {(owner.id, "SHARED")}


CALLS = [
    ("GET", "", None, "VIEWER"),
    ("PATCH", "", {"title": "New"}, "EDITOR"),
    ("GET", "/access", None, "MAINTAINER"),
    ("PUT", "/access", {"accessType": "SHARED"}, "MAINTAINER"),
    ("PUT", "/owner", {"newOwnerId": NOBODY}, "OWNER"),
    ("DELETE", "", None, "MAINTAINER"),
]
ORDER = ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")


@pytest.mark.parametrize(("method", "rest", "body", "need"), CALLS)
def test_the_order_of_refusals(
    content_installation: Installation, method: str, rest: str, body: Any, need: str
) -> None:
    owner, stranger = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    holders = [(content_installation.user(), role) for role in ORDER[: ORDER.index(need)]]
    share(content_installation, key, owner, *holders)

    def call(path: str, token: str | None, **more: Any) -> Any:
        return content_installation.call(
            method, f"/api/content/{path}{rest}", None if more else body, token=token, **more
        )

    if body is not None:
        for token in (None, stranger.token):
            refused(call(f"nothing/{key}", token, raw=b"{"), 400)
            refused(call(f"articles/{key}", token, raw=json.dumps(body | {"unknown": 1}).encode()), 400)
    for token in (None, stranger.token, owner.token):
        refused(call(f"nothing/{key}", token), 404)
    refused(call(f"articles/{key}", None), 401)
    refused(call("articles/not-there", None), 401)
    refused(call(f"articles/{key}", "lsk_bad"), 401)
    hidden, absent = call(f"articles/{key}", stranger.token), call("articles/not-there", stranger.token)
    assert refused(hidden, 404)["code"] == refused(absent, 404)["code"]
    for person, _ in holders:
        refused(call(f"articles/{key}", person.token), 403)


@pytest.mark.parametrize(("method", "rest", "body", "need"), CALLS)
def test_a_public_object_is_seen_by_all_and_changed_by_none(
    content_installation: Installation, method: str, rest: str, body: Any, need: str
) -> None:
    owner, stranger = content_installation.user(), content_installation.user()
    key = article(content_installation, owner, data={"open": True})
    assert put_access(content_installation, key, owner, "PUBLIC").status == 200
    for token in (None, stranger.token):
        answer = content_installation.call(method, f"/api/content/articles/{key}{rest}", body, token=token)
        if need == "VIEWER":
            assert (answer.status, answer.json["data"], answer.json["access"]["canEdit"]) == (
                200,
                {"open": True},
                False,
            )
        else:
            refused(answer, 403)
    assert shown(content_installation, key, owner)["title"] != "New"


def test_fields_are_told_only_to_who_may(content_installation: Installation) -> None:
    owner, stranger, viewer = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"))
    for token, status in ((None, 401), (stranger.token, 404), (viewer.token, 403), (owner.token, 422)):
        refused(content_installation.patch(f"/content/articles/{key}", {"title": ""}, token), status)
        refused(content_installation.put(f"/content/articles/{key}/access", {"accessType": "OPEN"}, token), status)


def test_the_permission_to_write_counts_as_maintainer_but_not_as_owner(content_installation: Installation) -> None:
    owner, curator = content_installation.user(), content_installation.user("curator")
    key = article(content_installation, owner)
    told = shown(content_installation, key, curator)["access"]
    assert (told["canEdit"], told["canDelete"], told["ownerId"]) == (True, True, owner.id)
    for token in (curator.token, content_installation.api_key("content:write")):
        assert content_installation.patch(f"/content/articles/{key}", {"title": "N"}, token).status == 200
        assert content_installation.get(f"/content/articles/{key}/access", token).status == 200
        refused(content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": curator.id}, token), 403)
    content_installation.patch(f"/users/{curator.id}", {"role": "customer"}, content_installation.key)
    refused(content_installation.get(f"/content/articles/{key}", curator.token), 404)
    assert content_installation.delete(
        f"/content/articles/{key}", content_installation.api_key("content:write")
    ).json == {"success": True}


def test_the_permission_to_read_views_and_no_more(content_installation: Installation) -> None:
    key = article(content_installation, content_installation.user())
    reader = content_installation.api_key("content:read")
    got = content_installation.get(f"/content/articles/{key}", reader)
    assert (got.status, got.json["access"]["canEdit"], got.json["access"]["canDelete"]) == (200, False, False)
    refused(content_installation.patch(f"/content/articles/{key}", {"title": "N"}, reader), 403)
    refused(content_installation.get(f"/content/articles/{key}/access", reader), 403)
