"""Accepting an invitation to content, on both documented paths, and every refusal of it."""

import pytest
from tests.support.content_calls import (
    ACCEPT,
    accept,
    access,
    article,
    ask,
    asked,
    at_once,
    levels,
    put_access,
    share,
    shown,
    users_of,
    visibility,
)
from tests.support.installation import PROFILE, Installation, new_address, pointers, refused

OBJECT = {"contentType", "key", "title", "url", "data", "createdAt", "updatedAt", "access"}


def path_to(key: str) -> str:
    return f"/content/articles/invitations/{key}"


@pytest.mark.parametrize("on_key", [True, False])
def test_who_is_signed_in_gets_the_object(content_installation: Installation, *, on_key: bool) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner, data={"secret": 1}, url="https://app.orchard.example/a")
    _, token = asked(content_installation, key, owner, guest.email, "EDITOR")
    got = accept(content_installation, token, guest, path_to(key) if on_key else ACCEPT)
    assert (got.status, got.json) == (200, shown(content_installation, key, guest))
    assert got.json["access"] == {"ownerId": owner.id, "visibility": "SHARED", "canEdit": True, "canDelete": False}
    assert (levels(content_installation, key, guest), access(content_installation, key)["invitations"]) == (
        ["EDITOR"],
        [],
    )
    assert got.headers["Cache-Control"] == "no-store"
    assert got.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("on_key", [True, False])
def test_the_link_alone_shows_no_data(content_installation: Installation, *, on_key: bool) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner, data={"secret": 1})
    _, token = asked(content_installation, key, owner, guest.email)
    got = accept(content_installation, token, None, path_to(key) if on_key else ACCEPT)
    assert (got.status, got.json.keys(), got.cookies) == (200, OBJECT - {"data"}, {})
    assert (got.json["key"], got.json["access"]["canEdit"]) == (key, False)
    assert levels(content_installation, key, guest) == ["VIEWER"]


@pytest.mark.parametrize("on_key", [True, False])
def test_a_stranger_registers_and_accepts_in_one_step(content_installation: Installation, *, on_key: bool) -> None:
    owner, email = content_installation.user(), new_address()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, email, "EDITOR")
    got = accept(
        content_installation,
        token,
        None,
        path_to(key) if on_key else ACCEPT,
        **PROFILE,
        contentType="articles",
        contentKey=key,
    )
    assert got.status == 201, got
    assert got.json.keys() - {"data"} == OBJECT - {"data"} | {
        "user",
        "grants",
        "accessToken",
        "refreshToken",
        "expiresIn",
    }
    assert (got.json["key"], got.json["user"]["email"], got.json["user"]["emailVerified"]) == (key, email, True)
    assert got.json["user"]["role"] is None
    assert got.cookies.keys() >= {"access_token", "refresh_token", "csrf_token"}
    edited = content_installation.patch(f"/content/articles/{key}", {"title": "Mine, too"}, got.json["accessToken"])
    assert edited.status == 200
    assert content_installation.login(email).id == got.json["user"]["id"]
    assert content_installation.invitation(made)["acceptedBy"] == got.json["user"]["id"]


def test_a_stranger_without_a_profile_is_told_what_waits(content_installation: Installation) -> None:
    owner, email = content_installation.user(), new_address()
    key = article(content_installation, owner, title="The Secret Garden")
    made, token = asked(content_installation, key, owner, email)
    for path in (ACCEPT, path_to(key)):
        problem = refused(accept(content_installation, token, None, path), 404, "user-not-found")
        assert problem["lookup"] == content_installation.post("/invitations/lookup", {"token": token}).json
        assert problem["lookup"]["content"] == [
            {"contentType": "articles", "key": key, "title": "The Secret Garden", "role": "VIEWER"}
        ]
        assert (problem["lookup"]["inviteEmail"], problem["lookup"]["accountExists"]) == (email, False)
    assert content_installation.invitation(made)["state"] == "PENDING"


def test_half_a_profile_is_refused_with_all_that_lacks(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, new_address())
    problem = refused(accept(content_installation, token, firstName="Ada", password="short", acceptTerms=True), 422)
    assert pointers(problem) >= {"/lastName", "/password"}
    refused(accept(content_installation, token, **PROFILE | {"acceptTerms": False}), 422, "terms-required")
    refused(accept(content_installation, token, **PROFILE, email="other@people.test"), 400)
    assert content_installation.invitation(made)["state"] == "PENDING"


def test_a_profile_changes_no_account(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    got = accept(content_installation, token, **PROFILE | {"password": "another one 99"})
    assert (got.status, "accessToken" in got.json, got.cookies) == (200, False, {})
    assert (
        content_installation.get("/users/me", content_installation.login(guest.email).token).json["firstName"] == "Una"
    )


def test_an_unverified_account_counts_as_none(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user(emailVerified=False)
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    refused(accept(content_installation, token), 404, "user-not-found")
    got = accept(content_installation, token, **PROFILE | {"password": "the true owner 7"})
    assert got.status in {200, 201}
    refused(content_installation.get("/users/me", guest.token), 401)
    refused(content_installation.post("/auth/login", {"email": guest.email, "password": guest.password}), 401)
    assert content_installation.login(guest.email, "the true owner 7")


def test_a_revealed_link_needs_the_session(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, _ = asked(content_installation, key, owner, guest.email)
    token = content_installation.reveal(made)
    refused(accept(content_installation, token), 409, "sign-in-required")
    assert accept(content_installation, token, guest).status == 200


def test_the_names_may_be_sent_along_and_must_fit(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key, other = article(content_installation, owner), article(content_installation, owner)
    recipe = article(content_installation, owner, kind="recipes")
    made, token = asked(content_installation, key, owner, guest.email)
    for by in (guest, None):
        for path, more in (
            (path_to(other), {}),
            (ACCEPT, {"contentKey": other}),
            (ACCEPT, {"contentKey": "not-there"}),
            (ACCEPT, {"contentType": "recipes"}),
            ("/content/recipes/invitations/accept", {}),
            ("/content/recipes/invitations/accept", {"contentType": "articles", "contentKey": key}),
            (f"/content/recipes/invitations/{recipe}", {}),
            (path_to(key), {"contentKey": other}),
            (path_to(key), {"contentType": "recipes"}),
        ):
            refused(accept(content_installation, token, by, path, **more), 400, "invitation-mismatch")
        refused(accept(content_installation, token, by, "/content/nothing/invitations/accept"), 404)
        refused(accept(content_installation, token, by, f"/content/nothing/invitations/{key}"), 404)
    assert (content_installation.invitation(made)["state"], levels(content_installation, key, guest)) == (
        "PENDING",
        [None],
    )
    assert (
        accept(content_installation, token, guest, path_to(key), contentType="articles", contentKey=key).status == 200
    )


def test_the_singular_accepts_too(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    got = accept(content_installation, token, guest, "/content/article/invitations/accept", contentKey=key)
    assert (got.status, got.json["contentType"]) == (200, "articles")


def test_over_is_told_before_mismatch(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key, other = article(content_installation, owner), article(content_installation, owner)
    _, used = asked(content_installation, key, owner, guest.email)
    assert accept(content_installation, used, guest).status == 200
    made, revoked = asked(content_installation, key, owner, guest.email, "EDITOR")
    content_installation.delete(f"/content/invitations/{made}", owner.token)
    for token, status, code in ((used, 409, "invitation-accepted"), (revoked, 410, "invitation-revoked")):
        for path in (path_to(other), path_to(key), ACCEPT, "/content/recipes/invitations/accept"):
            for by in (None, guest, owner):
                refused(accept(content_installation, token, by, path), status, code)
        refused(accept(content_installation, token, guest, "/content/nothing/invitations/accept"), 404)


def test_an_invitation_to_the_app_is_no_invitation_to_content(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = content_installation.invited(guest.email, role="author")
    for path in (ACCEPT, path_to(key)):
        refused(accept(content_installation, token, guest, path), 400, "invitation-mismatch")
    assert content_installation.invitation(made["id"])["state"] == "PENDING"


def test_forged_links_are_refused(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, new_address())
    for bad in ("ey", "ey.x.y", token[:-2], token + "A", "x" * 5000):
        for path in (ACCEPT, path_to(key)):
            refused(accept(content_installation, bad, None, path), 401, "invitation-token-invalid")
    for path in (ACCEPT, path_to(key)):
        refused(content_installation.post(path, {"token": token, "unknown": 1}), 400)
        refused(content_installation.post(path, raw=b'{"token": "a", "token": "b"}'), 400)
    refused(content_installation.post(ACCEPT, {}), 422)


def test_a_bad_credential_is_ignored_by_an_accept(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    got = content_installation.post(path_to(key), {"token": token}, "lsk_bad")
    assert (got.status, "data" in got.json) == (200, False)


def test_somebody_else_takes_no_link(content_installation: Installation) -> None:
    owner, guest, other = content_installation.user(), content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email)
    for by in (other, owner):
        refused(accept(content_installation, token, by), 409, "wrong-account")
    assert (content_installation.invitation(made)["state"], levels(content_installation, key, other)) == (
        "PENDING",
        [None],
    )


def test_a_blocked_account_accepts_nothing(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    content_installation.patch(f"/users/{guest.id}", {"blocked": True}, content_installation.key)
    for more in ({}, PROFILE):
        refused(accept(content_installation, token, **more), 409, "account-blocked")
    content_installation.patch(f"/users/{guest.id}", {"blocked": False}, content_installation.key)
    assert levels(content_installation, key, guest) == [None]
    assert accept(content_installation, token).status == 200


@pytest.mark.parametrize(("held", "offered", "kept"), [
    ("MAINTAINER", "VIEWER", "MAINTAINER"), ("EDITOR", "VIEWER", "EDITOR"),
    ("VIEWER", "EDITOR", "EDITOR"), ("EDITOR", "MAINTAINER", "MAINTAINER"),
])  # fmt: skip
def test_a_role_is_never_lowered(content_installation: Installation, held: str, offered: str, kept: str) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email, offered)
    share(content_installation, key, owner, (guest, held))
    got = accept(content_installation, token, guest)
    assert (got.status, got.json["access"]["canDelete"]) == (200, kept == "MAINTAINER")
    assert users_of(access(content_installation, key)) == {guest.id: kept}
    assert content_installation.invitation(made)["state"] == "ACCEPTED"


def test_an_owner_who_accepts_stays_owner(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email, "EDITOR")
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": guest.id}, owner.token)
    got = accept(content_installation, token, guest)
    assert (got.status, got.json["access"]["canDelete"], got.json["access"]["ownerId"]) == (200, True, guest.id)
    assert levels(content_installation, key, guest) == ["OWNER"]
    assert users_of(access(content_installation, key)) == {owner.id: "MAINTAINER"}


def test_the_general_path_accepts_the_same_link_and_tells_what_was_kept(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    share(content_installation, key, owner, (guest, "EDITOR"))
    got = content_installation.accept(token, by=guest)
    assert (got.status, got.json.keys()) == (200, {"user", "grants", "redirectUrl"})
    assert "EDITOR" in str(got.json["grants"])
    assert key in str(got.json["grants"])
    refused(accept(content_installation, token, guest), 409, "invitation-accepted")


def test_the_whole_bundle_is_accepted_through_one_object(content_installation: Installation) -> None:
    owner, guest, group = (
        content_installation.user(),
        content_installation.user(role=None),
        content_installation.group(),
    )
    one, two, recipe = (
        article(content_installation, owner),
        article(content_installation, owner),
        article(content_installation, owner, kind="recipes"),
    )
    content = [
        {"contentType": "articles", "key": one, "role": "VIEWER"},
        {"contentType": "articles", "key": two, "role": "EDITOR"},
        {"contentType": "recipes", "key": recipe, "role": "MAINTAINER"},
    ]
    sent = {"inviteEmail": guest.email, "role": "customer", "groups": [group], "content": content}
    made = content_installation.post("/invitations", sent, content_installation.key)
    assert (made.status, [grant | {"void": False} for grant in content]) == (201, made.json["content"])
    token = content_installation.mail_of(made.json).token
    assert {
        grant["key"] for grant in content_installation.post("/invitations/lookup", {"token": token}).json["content"]
    } == {
        one,
        two,
        recipe,
    }
    got = accept(content_installation, token, guest, path_to(two))
    assert (got.status, got.json["key"]) == (200, two)
    assert levels(content_installation, one, guest) + levels(content_installation, two, guest) == ["VIEWER", "EDITOR"]
    assert levels(content_installation, recipe, guest, kind="recipes") == ["MAINTAINER"]
    me = content_installation.get("/users/me", guest.token).json
    assert (me["role"], me["groups"]) == ("customer", [group])


def test_a_void_grant_beside_live_ones_is_no_mismatch(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    one, two = article(content_installation, owner), article(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (one, two)]
    made = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(made).token
    put_access(content_installation, one, owner, "PRIVATE")
    assert [
        grant["key"] for grant in content_installation.post("/invitations/lookup", {"token": token}).json["content"]
    ] == [two]
    got = accept(content_installation, token, guest)
    assert (got.status, got.json["key"]) == (200, two)
    assert levels(content_installation, one, guest) + levels(content_installation, two, guest) == [None, "VIEWER"]
    assert visibility(content_installation, one, owner) == "PRIVATE"


def test_a_void_grant_named_by_the_path_gives_nothing_of_it(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    one, two = article(content_installation, owner, data={"hidden": 1}), article(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (one, two)]
    made = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(made).token
    put_access(content_installation, one, owner, "PRIVATE")
    got = accept(content_installation, token, guest, path_to(one))
    assert got.status < 500
    assert "invitation-mismatch" not in got.body.decode()
    assert "hidden" not in got.body.decode()
    assert levels(content_installation, one, guest) == [None]
    assert visibility(content_installation, one, owner) == "PRIVATE"


def test_many_accepts_of_one_link_are_one(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    made, token = asked(content_installation, key, owner, guest.email)
    paths = [ACCEPT, path_to(key), "/invitations/accept"] * 5
    answers = at_once(*[lambda path=path: accept(content_installation, token, guest, path) for path in paths])
    assert sorted(answer.status for answer in answers) == [200] + [409] * 14
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"invitation-accepted"}
    assert [event["type"] for event in content_installation.events(made)].count("invitation.accepted") == 1


def test_many_registrations_by_one_link_are_one(content_installation: Installation) -> None:
    owner, email = content_installation.user(), new_address()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, email)
    answers = at_once(*[lambda: accept(content_installation, token, **PROFILE)] * 8)
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert content_installation.get(f"/users?email={email}", content_installation.key).json["total"] == 1


def test_declining_gives_nothing(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = article(content_installation, owner)
    _, token = asked(content_installation, key, owner, guest.email)
    assert content_installation.post("/invitations/decline", {"token": token}).status == 200
    refused(accept(content_installation, token, guest), 410, "invitation-declined")
    assert access(content_installation, key)["invitations"] == []
    assert ask(content_installation, key, owner, guest.email).status == 200
