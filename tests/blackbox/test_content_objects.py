"""Content objects: creating, reading, changing and deleting; keys, and the order of refusals."""

import json
import re
import time
from typing import Any

import pytest
from tests.support.concurrency import run_concurrently
from tests.support.content_calls import (
    UNKNOWN_ID,
    create_object,
    get_access,
    get_object,
    parse_instant,
    put_access,
    share,
)
from tests.support.installation import Installation, check_problem, numbers, pointers

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}")


def test_a_new_object_is_private_and_owned_by_its_creator(content_installation: Installation) -> None:
    author, number = content_installation.user("author"), next(numbers)
    body = {
        "title": f"Härte & Maß {number}",
        "url": "https://app.orchard.example/a?b=c",
        "data": {"body": ["ü", 1.5, None]},
    }
    created = content_installation.post("/content/articles", body, author.token)
    assert created.status == 201, created
    assert created.json == body | {
        "contentType": "articles",
        "key": created.json["key"],
        "createdAt": created.json["createdAt"],
        "updatedAt": created.json["createdAt"],
        "access": {"ownerId": author.id, "visibility": "PRIVATE", "canEdit": True, "canDelete": True},
    }
    assert created.headers["Location"].endswith(f"/api/content/articles/{created.json['key']}")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", created.json["createdAt"])
    answer = content_installation.call("GET", created.headers["Location"], token=author.token)
    assert (answer.status, answer.json) == (200, created.json)
    assert answer.headers["ETag"]


def test_omitted_fields_are_null(content_installation: Installation) -> None:
    author = content_installation.user("author")
    answer = content_installation.post("/content/recipes", {"title": "Soup"}, author.token)
    assert (answer.status, answer.json["url"], answer.json["data"], answer.json["contentType"]) == (
        201,
        None,
        None,
        "recipes",
    )


def test_creating_an_object_requires_a_permission(content_installation: Installation) -> None:
    check_problem(content_installation.post("/content/articles", {"title": "T"}), 401)
    check_problem(
        content_installation.post("/content/articles", {"title": "T"}, content_installation.user("curator").token), 403
    )
    check_problem(
        content_installation.post("/content/articles", {"title": "T"}, content_installation.api_key("content:write")),
        403,
    )
    owner = content_installation.user()
    key = content_installation.api_key("content:create")
    answer = content_installation.post("/content/articles", {"title": "T", "ownerId": owner.id}, key)
    assert (answer.status, answer.json["access"]["ownerId"]) == (201, owner.id)


def test_only_an_api_key_can_name_another_owner(content_installation: Installation) -> None:
    author, other = content_installation.user("author"), content_installation.user()
    answer = content_installation.post("/content/articles", {"title": "T", "ownerId": other.id}, author.token)
    assert answer.status in {400, 403, 422}, answer
    answer = content_installation.post(
        "/content/articles", {"title": "T", "ownerId": UNKNOWN_ID}, content_installation.key
    )
    assert answer.status in {404, 422}, answer


@pytest.mark.parametrize(
    "title",
    [
        "Hello, World!", "Größe", "Привет, мир", "你好，世界", "こんにちは", "안녕하세요", "مرحبا بالعالم", "שלום עולם",
        "नमस्ते", "สวัสดี", "ሰላም", "Ελληνικά", "გამარჯობა", "😀😀", "!!!", "--", "accept", "Accept", "Invitations",
        "..", "x" * 190 + " y", "İstanbul", "ß" * 90, "a/b?c#d%2e",
    ],
)  # fmt: skip
def test_a_key_is_generated_from_any_title(content_installation: Installation, title: str) -> None:
    author = content_installation.user("author")
    keys = set()
    for _ in range(2):
        answer = content_installation.post("/content/articles", {"title": title}, author.token)
        assert (answer.status, answer.json["title"]) == (201, title)
        key = answer.json["key"]
        assert KEY.fullmatch(key)
        assert key not in {"accept", "invitations"}
        assert content_installation.get(f"/content/articles/{key}", author.token).json["title"] == title
        keys.add(key)
    assert len(keys) == 2


def test_a_slug_reads_like_the_title(content_installation: Installation) -> None:
    answer = content_installation.post(
        "/content/articles", {"title": "Notes from Zürich (2)"}, content_installation.user("author").token
    )
    assert answer.json["key"].lower().startswith("notes-from-zu")


@pytest.mark.parametrize("key", ["A.b_c~d-1", "0", "z" * 200, "acceptance", "index.html"])
def test_keys_may_be_chosen(content_installation: Installation, key: str) -> None:
    author = content_installation.user("author")
    answer = content_installation.post("/content/recipes", {"title": "T", "key": key}, author.token)
    assert (answer.status, answer.json["key"]) == (201, key)
    assert content_installation.get(f"/content/recipes/{key}", author.token).status == 200


@pytest.mark.parametrize(
    "key", ["", "-a", ".a", "..", "_a", "~a", "a b", "a/b", "ä", "a\n", "z" * 201, "accept", "invitations"]
)
def test_invalid_and_reserved_keys_are_refused(content_installation: Installation, key: str) -> None:
    body = {"title": "T", "key": key}
    assert pointers(
        check_problem(
            content_installation.post("/content/articles", body, content_installation.user("author").token), 422
        )
    ) == {"/key"}


def test_a_key_is_unique_within_its_type(content_installation: Installation) -> None:
    first, second, key = (
        content_installation.user("author"),
        content_installation.user("author"),
        f"once-{next(numbers)}",
    )
    body = {"title": "T", "key": key}
    assert content_installation.post("/content/articles", body, first.token).status == 201
    check_problem(content_installation.post("/content/articles", body, second.token), 409)
    assert content_installation.post("/content/recipes", body, second.token).status == 201


def test_concurrent_objects_with_equal_titles_get_different_keys(content_installation: Installation) -> None:
    author, title = content_installation.user("author"), f"Minutes {next(numbers)}"
    calls = [lambda: content_installation.post("/content/articles", {"title": title}, author.token)] * 24
    answers = run_concurrently(*calls)
    assert [answer.status for answer in answers] == [201] * 24
    assert len({answer.json["key"] for answer in answers}) == 24


def test_one_of_many_concurrent_objects_gets_the_key(content_installation: Installation) -> None:
    author, body = content_installation.user("author"), {"title": "T", "key": f"race-{next(numbers)}"}
    answers = run_concurrently(*[lambda: content_installation.post("/content/articles", body, author.token)] * 12)
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11


def test_an_idempotency_key_creates_one_object(content_installation: Installation) -> None:
    author, headers = content_installation.user("author"), {"Idempotency-Key": f"content-{next(numbers)}"}
    body = {"title": "Twice"}
    answers = run_concurrently(
        *[lambda: content_installation.post("/content/articles", body, author.token, headers=headers)] * 6
    )
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert content_installation.get("/content/articles?role=OWNER", author.token).json["total"] == 1
    again = content_installation.post("/content/articles", {"title": "Other"}, author.token, headers=headers)
    check_problem(again, 422, "idempotency-key-reused")


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
        check_problem(
            content_installation.post("/content/articles", bad, content_installation.user("author").token), 422
        )
    ) == {pointer}


def test_unknown_fields_are_refused(content_installation: Installation) -> None:
    author = content_installation.user("author")
    check_problem(
        content_installation.post("/content/articles", {"title": "T", "visibility": "PUBLIC"}, author.token), 400
    )
    key = create_object(content_installation, author)
    for field in ("key", "ownerId", "contentType", "access", "createdAt"):
        check_problem(content_installation.patch(f"/content/articles/{key}", {field: "x"}, author.token), 400)
    check_problem(content_installation.get(f"/content/articles/{key}?x=1", author.token), 400)
    check_problem(content_installation.get("/content/articles?x=1", author.token), 400)


def test_data_is_returned_as_it_was_sent(content_installation: Installation) -> None:
    author = content_installation.user("author")
    data = {
        "z": 1,
        "a": {"deep": [[], {}, "\u202e<b>", "😀", 2**53 - 1, -0.5, True, None]},
        "": "empty",
        "ü": "ü",
    }
    key = create_object(content_installation, author, data=data)
    answer = get_object(content_installation, key, author)["data"]
    assert answer == data
    assert list(answer) == list(data)


def test_the_size_of_data_is_limited(content_installation: Installation) -> None:
    author = content_installation.user("author")
    fits = {"x": "y" * (262_144 - len('{"x":""}'))}
    assert len(json.dumps(fits, separators=(",", ":"))) == 262_144
    key = create_object(content_installation, author, data=fits)
    fields = {"x": fits["x"] + "y"}
    for answer in (
        content_installation.post("/content/articles", {"title": "T", "data": fields}, author.token),
        content_installation.patch(f"/content/articles/{key}", {"data": fields}, author.token),
    ):
        assert answer.status in {413, 422}, answer
        check_problem(answer, answer.status)
    assert get_object(content_installation, key, author)["data"] == fits


def test_a_change_affects_only_the_sent_fields(content_installation: Installation) -> None:
    author = content_installation.user("author")
    key = create_object(content_installation, author, title="One", url="https://a.example/", data={"a": 1, "b": 2})
    before = content_installation.get(f"/content/articles/{key}", author.token)
    time.sleep(0.01)
    changed = content_installation.patch(f"/content/articles/{key}", {"title": "Two"}, author.token)
    assert changed.status == 200
    assert changed.json == before.json | {"title": "Two", "updatedAt": changed.json["updatedAt"]}
    assert parse_instant(changed.json["updatedAt"]) > parse_instant(before.json["updatedAt"])
    assert changed.headers["ETag"] != before.headers["ETag"]
    emptied = content_installation.patch(f"/content/articles/{key}", {"url": None, "data": {"c": 3}}, author.token).json
    assert (emptied["url"], emptied["data"], emptied["title"], emptied["key"]) == (None, {"c": 3}, "Two", key)
    assert get_object(content_installation, key, author) == emptied
    check_problem(content_installation.patch(f"/content/articles/{key}", {"title": None}, author.token), 422)


def test_if_match_prevents_lost_updates(content_installation: Installation) -> None:
    author = content_installation.user("author")
    key = create_object(content_installation, author)
    path = f"/content/articles/{key}"
    tag = content_installation.get(path, author.token).headers["ETag"]
    assert content_installation.patch(path, {"title": "Mine"}, author.token, headers={"If-Match": tag}).status == 200
    stale = content_installation.patch(path, {"title": "Lost"}, author.token, headers={"If-Match": tag})
    check_problem(stale, 412)
    assert get_object(content_installation, key, author)["title"] == "Mine"
    fresh = content_installation.get(path, author.token).headers["ETag"]
    several = {"If-Match": f'"other", {fresh}'}
    assert content_installation.patch(path, {"title": "Ours"}, author.token, headers=several).status == 200
    assert content_installation.patch(path, {"title": "Any"}, author.token, headers={"If-Match": "*"}).status == 200
    weak = content_installation.get(path, author.token).headers["ETag"]
    check_problem(
        content_installation.patch(path, {"title": "W"}, author.token, headers={"If-Match": f"W/{weak}"}), 412
    )


def test_the_etag_of_a_change_is_valid_for_the_next_change(content_installation: Installation) -> None:
    author = content_installation.user("author")
    path = f"/content/articles/{create_object(content_installation, author)}"
    tag = content_installation.patch(path, {"title": "1"}, author.token).headers["ETag"]
    for title in ("2", "3", "3", "4"):
        answer = content_installation.patch(path, {"title": title}, author.token, headers={"If-Match": tag})
        assert answer.status == 200
        tag = answer.headers["ETag"]
    assert content_installation.get(path, author.token).headers["ETag"] == tag
    not_modified = content_installation.get(path, author.token, headers={"If-None-Match": tag})
    assert (not_modified.status, not_modified.body) == (304, b"")


def test_the_singular_type_name_is_an_alias_in_every_path(content_installation: Installation) -> None:
    author, viewer = content_installation.user("author"), content_installation.user()
    answer = content_installation.post("/content/article", {"title": "One"}, author.token)
    key = answer.json["key"]
    assert (answer.status, answer.json["contentType"]) == (201, "articles")
    assert content_installation.get(f"/content/article/{key}", author.token).json == get_object(
        content_installation, key, author
    )
    assert content_installation.get("/content/article", author.token).json["items"][0]["key"] == key
    assert (
        content_installation.patch(f"/content/article/{key}", {"title": "Two"}, author.token).json["contentType"]
        == "articles"
    )
    body = {"accessType": "SHARED", "sharedUsers": {viewer.id: "VIEWER"}}
    assert content_installation.put(f"/content/article/{key}/access", body, author.token).status == 200
    assert content_installation.get(f"/content/article/{key}/access", author.token).json == get_access(
        content_installation, key, author
    )
    moved = content_installation.put(f"/content/article/{key}/owner", {"newOwnerId": viewer.id}, author.token)
    assert (moved.status, moved.json["contentType"]) == (200, "articles")
    assert content_installation.delete(f"/content/article/{key}", viewer.token).json == {"success": True}
    for path in ("/content/recipe", "/content/Articles", "/content/invitations"):
        check_problem(content_installation.get(path, author.token), 404)


def test_deleting_an_object_requires_a_maintainer(content_installation: Installation) -> None:
    owner, editor, maintainer = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    check_problem(content_installation.delete(f"/content/articles/{key}", editor.token), 403)
    gone = content_installation.delete(f"/content/articles/{key}", maintainer.token)
    assert (gone.status, gone.json) == (200, {"success": True})
    for user in (owner, maintainer):
        check_problem(content_installation.get(f"/content/articles/{key}", user.token), 404)
        check_problem(content_installation.delete(f"/content/articles/{key}", user.token), 404)


def test_an_object_shows_what_each_user_may_do(content_installation: Installation) -> None:
    owner, viewer, editor, maintainer = (content_installation.user() for _ in range(4))
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"), (editor, "EDITOR"), (maintainer, "MAINTAINER"))
    accesses = {
        user.id: get_object(content_installation, key, user)["access"] for user in (owner, viewer, editor, maintainer)
    }
    assert [(access["canEdit"], access["canDelete"]) for access in accesses.values()] == [
        (True, True), (False, False), (True, False), (True, True),
    ]  # fmt: skip
    assert {(access["ownerId"], access["visibility"]) for access in accesses.values()} == {(owner.id, "SHARED")}


CALLS = [
    ("GET", "", None, "VIEWER"),
    ("PATCH", "", {"title": "New"}, "EDITOR"),
    ("GET", "/access", None, "MAINTAINER"),
    ("PUT", "/access", {"accessType": "SHARED"}, "MAINTAINER"),
    ("PUT", "/owner", {"newOwnerId": UNKNOWN_ID}, "OWNER"),
    ("DELETE", "", None, "MAINTAINER"),
]
ORDER = ("VIEWER", "EDITOR", "MAINTAINER", "OWNER")


@pytest.mark.parametrize(("method", "rest", "body", "required_role"), CALLS)
def test_the_order_of_refusals(
    content_installation: Installation, method: str, rest: str, body: Any, required_role: str
) -> None:
    owner, other = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    holders = [(content_installation.user(), role) for role in ORDER[: ORDER.index(required_role)]]
    share(content_installation, key, owner, *holders)

    def call(path: str, token: str | None, **fields: Any) -> Any:
        return content_installation.call(
            method, f"/api/content/{path}{rest}", None if fields else body, token=token, **fields
        )

    if body is not None:
        for token in (None, other.token):
            check_problem(call(f"nothing/{key}", token, raw=b"{"), 400)
            check_problem(call(f"articles/{key}", token, raw=json.dumps(body | {"unknown": 1}).encode()), 400)
    for token in (None, other.token, owner.token):
        check_problem(call(f"nothing/{key}", token), 404)
    check_problem(call(f"articles/{key}", None), 401)
    check_problem(call("articles/not-there", None), 401)
    check_problem(call(f"articles/{key}", "lsk_bad"), 401)
    hidden, absent = call(f"articles/{key}", other.token), call("articles/not-there", other.token)
    assert check_problem(hidden, 404)["code"] == check_problem(absent, 404)["code"]
    for user, _ in holders:
        check_problem(call(f"articles/{key}", user.token), 403)


@pytest.mark.parametrize(("method", "rest", "body", "required_role"), CALLS)
def test_a_public_object_is_visible_to_all_and_changed_by_none(
    content_installation: Installation, method: str, rest: str, body: Any, required_role: str
) -> None:
    owner, other = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner, data={"open": True})
    assert put_access(content_installation, key, owner, "PUBLIC").status == 200
    for token in (None, other.token):
        answer = content_installation.call(method, f"/api/content/articles/{key}{rest}", body, token=token)
        if required_role == "VIEWER":
            assert (answer.status, answer.json["data"], answer.json["access"]["canEdit"]) == (
                200,
                {"open": True},
                False,
            )
        else:
            check_problem(answer, 403)
    assert get_object(content_installation, key, owner)["title"] != "New"


def test_field_errors_are_shown_only_with_permission(content_installation: Installation) -> None:
    owner, other, viewer = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    share(content_installation, key, owner, (viewer, "VIEWER"))
    for token, status in ((None, 401), (other.token, 404), (viewer.token, 403), (owner.token, 422)):
        check_problem(content_installation.patch(f"/content/articles/{key}", {"title": ""}, token), status)
        check_problem(
            content_installation.put(f"/content/articles/{key}/access", {"accessType": "OPEN"}, token), status
        )


def test_content_write_counts_as_maintainer_but_not_as_owner(content_installation: Installation) -> None:
    owner, curator = content_installation.user(), content_installation.user("curator")
    key = create_object(content_installation, owner)
    access = get_object(content_installation, key, curator)["access"]
    assert (access["canEdit"], access["canDelete"], access["ownerId"]) == (True, True, owner.id)
    for token in (curator.token, content_installation.api_key("content:write")):
        assert content_installation.patch(f"/content/articles/{key}", {"title": "N"}, token).status == 200
        assert content_installation.get(f"/content/articles/{key}/access", token).status == 200
        check_problem(
            content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": curator.id}, token), 403
        )
    content_installation.patch(f"/users/{curator.id}", {"role": "customer"}, content_installation.key)
    check_problem(content_installation.get(f"/content/articles/{key}", curator.token), 404)
    assert content_installation.delete(
        f"/content/articles/{key}", content_installation.api_key("content:write")
    ).json == {"success": True}


def test_content_read_allows_only_viewing(content_installation: Installation) -> None:
    key = create_object(content_installation, content_installation.user())
    reader = content_installation.api_key("content:read")
    answer = content_installation.get(f"/content/articles/{key}", reader)
    assert (answer.status, answer.json["access"]["canEdit"], answer.json["access"]["canDelete"]) == (200, False, False)
    check_problem(content_installation.patch(f"/content/articles/{key}", {"title": "N"}, reader), 403)
    check_problem(content_installation.get(f"/content/articles/{key}/access", reader), 403)
