"""Accepting an invitation to content, on both documented paths, and every refusal."""

import pytest
from tests.support.concurrency import run_concurrently
from tests.support.content_calls import (
    ACCEPT,
    accept,
    check_levels,
    create_invitation,
    create_object,
    get_access,
    get_object,
    get_visibility,
    post_invitation,
    put_access,
    roles_of_users,
    share,
)
from tests.support.installation import PROFILE, Installation, check_problem, new_address, pointers

OBJECT = {"contentType", "key", "title", "url", "data", "createdAt", "updatedAt", "access"}


def path_to(key: str) -> str:
    return f"/content/articles/invitations/{key}"


@pytest.mark.parametrize("on_key", [True, False])
def test_a_signed_in_user_gets_the_object(content_installation: Installation, *, on_key: bool) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner, data={"secret": 1}, url="https://app.orchard.example/a")
    _, token = create_invitation(content_installation, key, owner, guest.email, "EDITOR")
    answer = accept(content_installation, token, guest, path_to(key) if on_key else ACCEPT)
    assert (answer.status, answer.json) == (200, get_object(content_installation, key, guest))
    assert answer.json["access"] == {"ownerId": owner.id, "visibility": "SHARED", "canEdit": True, "canDelete": False}
    assert (check_levels(content_installation, key, guest), get_access(content_installation, key)["invitations"]) == (
        ["EDITOR"],
        [],
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("on_key", [True, False])
def test_accepting_without_a_session_returns_no_data(content_installation: Installation, *, on_key: bool) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner, data={"secret": 1})
    _, token = create_invitation(content_installation, key, owner, guest.email)
    answer = accept(content_installation, token, None, path_to(key) if on_key else ACCEPT)
    assert (answer.status, answer.json.keys(), answer.cookies) == (200, OBJECT - {"data"}, {})
    assert (answer.json["key"], answer.json["access"]["canEdit"]) == (key, False)
    assert check_levels(content_installation, key, guest) == ["VIEWER"]


@pytest.mark.parametrize("on_key", [True, False])
def test_an_unregistered_invitee_registers_and_accepts_in_one_step(
    content_installation: Installation, *, on_key: bool
) -> None:
    owner, email = content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, email, "EDITOR")
    answer = accept(
        content_installation,
        token,
        None,
        path_to(key) if on_key else ACCEPT,
        **PROFILE,
        contentType="articles",
        contentKey=key,
    )
    assert answer.status == 201, answer
    assert answer.json.keys() - {"data"} == OBJECT - {"data"} | {
        "user",
        "grants",
        "accessToken",
        "refreshToken",
        "expiresIn",
    }
    assert (answer.json["key"], answer.json["user"]["email"], answer.json["user"]["emailVerified"]) == (
        key,
        email,
        True,
    )
    assert answer.json["user"]["role"] is None
    assert answer.cookies.keys() >= {"access_token", "refresh_token", "csrf_token"}
    edited = content_installation.patch(f"/content/articles/{key}", {"title": "Mine, too"}, answer.json["accessToken"])
    assert edited.status == 200
    assert content_installation.login(email).id == answer.json["user"]["id"]
    assert content_installation.invitation(invitation_id)["acceptedBy"] == answer.json["user"]["id"]


def test_without_a_profile_an_unregistered_invitee_gets_the_lookup(content_installation: Installation) -> None:
    owner, email = content_installation.user(), new_address()
    key = create_object(content_installation, owner, title="The Secret Garden")
    invitation_id, token = create_invitation(content_installation, key, owner, email)
    for path in (ACCEPT, path_to(key)):
        problem = check_problem(accept(content_installation, token, None, path), 404, "user-not-found")
        assert problem["lookup"] == content_installation.post("/invitations/lookup", {"token": token}).json
        assert problem["lookup"]["content"] == [
            {"contentType": "articles", "key": key, "title": "The Secret Garden", "role": "VIEWER"}
        ]
        assert (problem["lookup"]["inviteEmail"], problem["lookup"]["accountExists"]) == (email, False)
    assert content_installation.invitation(invitation_id)["state"] == "PENDING"


def test_an_incomplete_profile_is_refused_with_every_missing_field(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, new_address())
    problem = check_problem(
        accept(content_installation, token, firstName="Ada", password="short", acceptTerms=True), 422
    )
    assert pointers(problem) >= {"/lastName", "/password"}
    check_problem(accept(content_installation, token, **PROFILE | {"acceptTerms": False}), 422, "terms-required")
    check_problem(accept(content_installation, token, **PROFILE, email="other@people.test"), 400)
    assert content_installation.invitation(invitation_id)["state"] == "PENDING"


def test_a_profile_does_not_change_an_existing_account(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    answer = accept(content_installation, token, **PROFILE | {"password": "another one 99"})
    assert (answer.status, "accessToken" in answer.json, answer.cookies) == (200, False, {})
    assert (
        content_installation.get("/users/me", content_installation.login(guest.email).token).json["firstName"] == "Una"
    )


def test_an_unverified_account_counts_as_unregistered(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user(emailVerified=False)
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    check_problem(accept(content_installation, token), 404, "user-not-found")
    answer = accept(content_installation, token, **PROFILE | {"password": "the true owner 7"})
    assert answer.status in {200, 201}
    check_problem(content_installation.get("/users/me", guest.token), 401)
    check_problem(content_installation.post("/auth/login", {"email": guest.email, "password": guest.password}), 401)
    assert content_installation.login(guest.email, "the true owner 7")


def test_a_revealed_link_requires_a_session(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, _ = create_invitation(content_installation, key, owner, guest.email)
    token = content_installation.reveal(invitation_id)
    check_problem(accept(content_installation, token), 409, "sign-in-required")
    assert accept(content_installation, token, guest).status == 200


def test_optional_type_and_key_must_match_the_invitation(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key, other = create_object(content_installation, owner), create_object(content_installation, owner)
    recipe = create_object(content_installation, owner, kind="recipes")
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    for user in (guest, None):
        for path, fields in (
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
            check_problem(accept(content_installation, token, user, path, **fields), 400, "invitation-mismatch")
        check_problem(accept(content_installation, token, user, "/content/nothing/invitations/accept"), 404)
        check_problem(accept(content_installation, token, user, f"/content/nothing/invitations/{key}"), 404)
    assert (
        content_installation.invitation(invitation_id)["state"],
        check_levels(content_installation, key, guest),
    ) == (
        "PENDING",
        [None],
    )
    assert (
        accept(content_installation, token, guest, path_to(key), contentType="articles", contentKey=key).status == 200
    )


def test_the_singular_type_name_works_for_accepting(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    answer = accept(content_installation, token, guest, "/content/article/invitations/accept", contentKey=key)
    assert (answer.status, answer.json["contentType"]) == (200, "articles")


def test_an_ended_invitation_is_reported_before_a_mismatch(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key, other = create_object(content_installation, owner), create_object(content_installation, owner)
    _, used = create_invitation(content_installation, key, owner, guest.email)
    assert accept(content_installation, used, guest).status == 200
    invitation_id, revoked = create_invitation(content_installation, key, owner, guest.email, "EDITOR")
    content_installation.delete(f"/content/invitations/{invitation_id}", owner.token)
    for token, status, code in ((used, 409, "invitation-accepted"), (revoked, 410, "invitation-revoked")):
        for path in (path_to(other), path_to(key), ACCEPT, "/content/recipes/invitations/accept"):
            for user in (None, guest, owner):
                check_problem(accept(content_installation, token, user, path), status, code)
        check_problem(accept(content_installation, token, guest, "/content/nothing/invitations/accept"), 404)


def test_an_invitation_to_the_app_does_not_match_content(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = content_installation.invite_with_token(guest.email, role="author")
    for path in (ACCEPT, path_to(key)):
        check_problem(accept(content_installation, token, guest, path), 400, "invitation-mismatch")
    assert content_installation.invitation(invitation_id["id"])["state"] == "PENDING"


def test_forged_links_are_refused(content_installation: Installation) -> None:
    owner = content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, new_address())
    for bad in ("ey", "ey.x.y", token[:-2], token + "A", "x" * 5000):
        for path in (ACCEPT, path_to(key)):
            check_problem(accept(content_installation, bad, None, path), 401, "invitation-token-invalid")
    for path in (ACCEPT, path_to(key)):
        check_problem(content_installation.post(path, {"token": token, "unknown": 1}), 400)
        check_problem(content_installation.post(path, raw=b'{"token": "a", "token": "b"}'), 400)
    check_problem(content_installation.post(ACCEPT, {}), 422)


def test_accepting_ignores_an_invalid_credential(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    answer = content_installation.post(path_to(key), {"token": token}, "lsk_bad")
    assert (answer.status, "data" in answer.json) == (200, False)


def test_another_user_cannot_use_a_link(content_installation: Installation) -> None:
    owner, guest, other = content_installation.user(), content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    for user in (other, owner):
        check_problem(accept(content_installation, token, user), 409, "wrong-account")
    assert (
        content_installation.invitation(invitation_id)["state"],
        check_levels(content_installation, key, other),
    ) == (
        "PENDING",
        [None],
    )


def test_a_blocked_account_cannot_accept(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    content_installation.patch(f"/users/{guest.id}", {"blocked": True}, content_installation.key)
    for fields in ({}, PROFILE):
        check_problem(accept(content_installation, token, **fields), 409, "account-blocked")
    content_installation.patch(f"/users/{guest.id}", {"blocked": False}, content_installation.key)
    assert check_levels(content_installation, key, guest) == [None]
    assert accept(content_installation, token).status == 200


@pytest.mark.parametrize(("current", "offered", "expected"), [
    ("MAINTAINER", "VIEWER", "MAINTAINER"), ("EDITOR", "VIEWER", "EDITOR"),
    ("VIEWER", "EDITOR", "EDITOR"), ("EDITOR", "MAINTAINER", "MAINTAINER"),
])  # fmt: skip
def test_a_role_is_never_lowered(content_installation: Installation, current: str, offered: str, expected: str) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email, offered)
    share(content_installation, key, owner, (guest, current))
    answer = accept(content_installation, token, guest)
    assert (answer.status, answer.json["access"]["canDelete"]) == (200, expected == "MAINTAINER")
    assert roles_of_users(get_access(content_installation, key)) == {guest.id: expected}
    assert content_installation.invitation(invitation_id)["state"] == "ACCEPTED"


def test_an_owner_who_accepts_an_invitation_stays_owner(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email, "EDITOR")
    content_installation.put(f"/content/articles/{key}/owner", {"newOwnerId": guest.id}, owner.token)
    answer = accept(content_installation, token, guest)
    assert (answer.status, answer.json["access"]["canDelete"], answer.json["access"]["ownerId"]) == (
        200,
        True,
        guest.id,
    )
    assert check_levels(content_installation, key, guest) == ["OWNER"]
    assert roles_of_users(get_access(content_installation, key)) == {owner.id: "MAINTAINER"}


def test_the_general_path_accepts_the_same_link_and_reports_the_kept_role(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    share(content_installation, key, owner, (guest, "EDITOR"))
    answer = content_installation.accept(token, by=guest)
    assert (answer.status, answer.json.keys()) == (200, {"user", "grants", "redirectUrl"})
    assert "EDITOR" in str(answer.json["grants"])
    assert key in str(answer.json["grants"])
    check_problem(accept(content_installation, token, guest), 409, "invitation-accepted")


def test_accepting_one_object_accepts_all_grants_of_the_invitation(content_installation: Installation) -> None:
    owner, guest, group = (
        content_installation.user(),
        content_installation.user(role=None),
        content_installation.group(),
    )
    first, second, recipe = (
        create_object(content_installation, owner),
        create_object(content_installation, owner),
        create_object(content_installation, owner, kind="recipes"),
    )
    content = [
        {"contentType": "articles", "key": first, "role": "VIEWER"},
        {"contentType": "articles", "key": second, "role": "EDITOR"},
        {"contentType": "recipes", "key": recipe, "role": "MAINTAINER"},
    ]
    body = {"inviteEmail": guest.email, "role": "customer", "groups": [group], "content": content}
    created = content_installation.post("/invitations", body, content_installation.key)
    assert (created.status, [grant | {"void": False} for grant in content]) == (201, created.json["content"])
    token = content_installation.mail_of(created.json).token
    assert {
        grant["key"] for grant in content_installation.post("/invitations/lookup", {"token": token}).json["content"]
    } == {
        first,
        second,
        recipe,
    }
    answer = accept(content_installation, token, guest, path_to(second))
    assert (answer.status, answer.json["key"]) == (200, second)
    assert check_levels(content_installation, first, guest) + check_levels(content_installation, second, guest) == [
        "VIEWER",
        "EDITOR",
    ]
    assert check_levels(content_installation, recipe, guest, kind="recipes") == ["MAINTAINER"]
    me = content_installation.get("/users/me", guest.token).json
    assert (me["role"], me["groups"]) == ("customer", [group])


def test_a_void_grant_beside_live_grants_is_not_a_mismatch(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    void_key, live_key = create_object(content_installation, owner), create_object(content_installation, owner)
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (void_key, live_key)]
    invitation = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(invitation).token
    put_access(content_installation, void_key, owner, "PRIVATE")
    assert [
        grant["key"] for grant in content_installation.post("/invitations/lookup", {"token": token}).json["content"]
    ] == [live_key]
    answer = accept(content_installation, token, guest)
    assert (answer.status, answer.json["key"]) == (200, live_key)
    assert check_levels(content_installation, void_key, guest) + check_levels(
        content_installation, live_key, guest
    ) == [
        None,
        "VIEWER",
    ]
    assert get_visibility(content_installation, void_key, owner) == "PRIVATE"


def test_a_void_grant_in_the_path_gives_no_access(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    void_key, live_key = (
        create_object(content_installation, owner, data={"hidden": 1}),
        create_object(content_installation, owner),
    )
    content = [{"contentType": "articles", "key": key, "role": "VIEWER"} for key in (void_key, live_key)]
    invitation = content_installation.post(
        "/invitations", {"inviteEmail": guest.email, "content": content}, content_installation.key
    ).json
    token = content_installation.mail_of(invitation).token
    put_access(content_installation, void_key, owner, "PRIVATE")
    answer = accept(content_installation, token, guest, path_to(void_key))
    assert answer.status < 500
    assert "invitation-mismatch" not in answer.body.decode()
    assert "hidden" not in answer.body.decode()
    assert check_levels(content_installation, void_key, guest) == [None]
    assert get_visibility(content_installation, void_key, owner) == "PRIVATE"


def test_one_of_many_concurrent_accepts_succeeds(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    invitation_id, token = create_invitation(content_installation, key, owner, guest.email)
    paths = [ACCEPT, path_to(key), "/invitations/accept"] * 5
    answers = run_concurrently(*[lambda path=path: accept(content_installation, token, guest, path) for path in paths])
    assert sorted(answer.status for answer in answers) == [200] + [409] * 14
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"invitation-accepted"}
    assert [event["type"] for event in content_installation.events(invitation_id)].count("invitation.accepted") == 1


def test_concurrent_registrations_create_one_account(content_installation: Installation) -> None:
    owner, email = content_installation.user(), new_address()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, email)
    answers = run_concurrently(*[lambda: accept(content_installation, token, **PROFILE)] * 8)
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert content_installation.get(f"/users?email={email}", content_installation.key).json["total"] == 1


def test_declining_grants_nothing(content_installation: Installation) -> None:
    owner, guest = content_installation.user(), content_installation.user()
    key = create_object(content_installation, owner)
    _, token = create_invitation(content_installation, key, owner, guest.email)
    assert content_installation.post("/invitations/decline", {"token": token}).status == 200
    check_problem(accept(content_installation, token, guest), 410, "invitation-declined")
    assert get_access(content_installation, key)["invitations"] == []
    assert post_invitation(content_installation, key, owner, guest.email).status == 200
