"""Lookup, accept and decline, and each refusal with its code."""

from typing import Any

import pytest
from tests.support.installation import PASSWORD, PROFILE, Installation, check_problem, new_address, pointers

LOOKUP = {
    "inviteEmail", "invitedBy", "app", "role", "groups", "content", "firstName", "lastName", "message", "expiresAt",
    "accountExists", "passwordPolicy", "termsUrl", "locale",
}  # fmt: skip


def test_a_lookup_shows_the_invitation(installation: Installation) -> None:
    group, inviter = (
        installation.group(name="The Garden"),
        installation.user("admin", firstName="Mira", lastName="Okafor"),
    )
    fields: dict[str, Any] = {
        "role": "team",
        "groups": [group],
        "firstName": "Jo",
        "lastName": "Li",
        "message": "Hi",
        "locale": "de",
    }
    invitation, token = installation.invite_with_token(token=inviter.token, **fields)
    answer = installation.post("/invitations/lookup", {"token": token})
    assert (answer.status, answer.json.keys()) == (200, LOOKUP)
    assert answer.json["groups"] == [{"key": group, "name": "The Garden"}]
    assert answer.json["invitedBy"] == {"name": "Mira Okafor"}
    assert answer.json["app"]["name"] == "Orchard Lane"
    assert answer.json["termsUrl"] == "https://orchard.example/terms"
    same = ("inviteEmail", "firstName", "lastName", "message", "expiresAt", "locale", "content")
    assert [answer.json[name] for name in same] == [invitation[name] for name in same]
    assert (answer.json["accountExists"], bool(answer.json["passwordPolicy"])) == (False, True)
    assert "no-store" in answer.headers["Cache-Control"]


def test_an_unregistered_invitee_becomes_a_user(installation: Installation) -> None:
    group = installation.group()
    invitation, token = installation.invite_with_token(
        role="team", groups=[group], redirectUrl="https://app.orchard.example/in"
    )
    answer = installation.accept(token, **PROFILE, locale="de")
    assert (answer.status, answer.json.keys()) == (
        201,
        {"user", "grants", "accessToken", "refreshToken", "expiresIn", "redirectUrl"},
    )
    user = answer.json["user"]
    assert (user["email"], user["emailVerified"], user["role"], user["groups"], user["locale"]) == (
        invitation["inviteEmail"], True, "team", [group], "de",
    )  # fmt: skip
    assert answer.json["redirectUrl"] == "https://app.orchard.example/in"
    assert answer.json["expiresIn"] == 900
    assert answer.cookies.keys() >= {"access_token", "refresh_token", "csrf_token"}
    assert installation.get("/users/me", answer.json["accessToken"]).json["id"] == user["id"]
    after = installation.invitation(invitation["id"])
    assert after["state"] == "ACCEPTED"
    assert user["id"] in str(after["acceptedBy"])
    assert after["acceptedAt"]
    assert [event["type"] for event in installation.events(invitation["id"])].count("invitation.accepted") == 1
    assert installation.login(invitation["inviteEmail"]).id == user["id"]
    for _ in range(2):
        check_problem(installation.accept(token, **PROFILE), 409, "invitation-accepted")
    check_problem(installation.post("/invitations/lookup", {"token": token}), 409, "invitation-accepted")


def test_every_missing_field_of_a_profile_is_reported(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    problem = check_problem(installation.accept(token), 422)
    assert pointers(problem) >= {"/firstName", "/lastName", "/password"}
    bad: dict[str, Any] = {
        "firstName": "x" * 101,
        "lastName": "a\nb",
        "password": "short",
        "acceptTerms": True,
        "locale": "?",
    }
    assert pointers(check_problem(installation.accept(token, **bad), 422)) == {
        "/firstName",
        "/lastName",
        "/password",
        "/locale",
    }
    check_problem(installation.accept(token, **PROFILE | {"acceptTerms": False}), 422, "terms-required")
    check_problem(installation.accept(token, firstName="A", lastName="B", password=PASSWORD), 422, "terms-required")
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.get(f"/users?email={invitation['inviteEmail']}", installation.key).json["total"] == 0


def test_names_of_a_profile_replace_names_of_the_invitation(installation: Installation) -> None:
    invitation, token = installation.invite_with_token(firstName="Jonas", lastName="Weir")
    answer = installation.accept(token, firstName="Jon", lastName="Weir", password=PASSWORD, acceptTerms=True)
    assert (answer.status, answer.json["user"]["firstName"]) == (201, "Jon")
    assert installation.invitation(invitation["id"])["firstName"] == "Jonas"


@pytest.mark.parametrize("password", ["short", "", "a" * 9, "password123", "guest password"[:9]])
def test_weak_passwords_are_refused(installation: Installation, password: str) -> None:
    _, token = installation.invite_with_token()
    assert pointers(check_problem(installation.accept(token, **PROFILE | {"password": password}), 422)) == {"/password"}


def test_a_registered_invitee_accepts_without_a_session_and_gets_none(installation: Installation) -> None:
    group, user = installation.group(), installation.user("customer")
    invitation, token = installation.invite_with_token(user.email, groups=[group])
    assert installation.post("/invitations/lookup", {"token": token}).json["accountExists"] is True
    answer = installation.accept(
        token, firstName="Changed", lastName="Name", password="another password 9", acceptTerms=True
    )
    assert (answer.status, answer.json.keys(), answer.cookies) == (200, {"grants", "redirectUrl"}, {})
    me = installation.get("/users/me", user.token).json
    assert (me["groups"], me["firstName"]) == ([group], "Una")
    assert installation.login(user.email).id == user.id
    assert installation.invitation(invitation["id"])["state"] == "ACCEPTED"


def test_a_signed_in_user_accepts_with_their_session(installation: Installation) -> None:
    group, user = installation.group(), installation.user("customer")
    _, token = installation.invite_with_token(user.email, groups=[group])
    answer = installation.accept(token, by=user)
    assert (answer.status, answer.json.keys()) == (200, {"user", "grants", "redirectUrl"})
    assert (answer.json["user"]["id"], answer.json["user"]["groups"]) == (user.id, [group])


def test_another_user_cannot_accept(installation: Installation) -> None:
    other = installation.user("customer")
    for address in (new_address(), installation.user("customer").email):
        invitation, token = installation.invite_with_token(address, role="team")
        check_problem(installation.accept(token, by=other, **PROFILE), 409, "wrong-account")
        assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.get("/users/me", other.token).json["role"] == "customer"


def test_an_ended_session_does_not_count_as_another_user(installation: Installation) -> None:
    other = installation.user("customer")
    assert installation.post("/auth/logout", token=other.token).status in {200, 204}
    _, token = installation.invite_with_token()
    assert installation.accept(token, by=other, **PROFILE).status == 201


def test_a_blocked_account_cannot_accept(installation: Installation) -> None:
    user = installation.user("customer")
    invitation, token = installation.invite_with_token(user.email, role="team")
    installation.patch(f"/users/{user.id}", {"blocked": True}, installation.key)
    check_problem(installation.accept(token), 409, "account-blocked")
    check_problem(installation.accept(token, **PROFILE), 409, "account-blocked")
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.get(f"/users/{user.id}", installation.key).json["role"] == "customer"


def test_declining_ends_the_invitation(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    assert installation.post("/invitations/decline", {"token": token, "reason": "Not\r\nnow."}).status == 200
    after = installation.invitation(invitation["id"])
    assert (after["state"], bool(after["declinedAt"])) == ("DECLINED", True)
    for answer in (
        installation.post("/invitations/decline", {"token": token}),
        installation.accept(token, **PROFILE),
        installation.post("/invitations/lookup", {"token": token}),
    ):
        check_problem(answer, 410, "invitation-declined")
    assert [event["type"] for event in installation.events(invitation["id"])].count("invitation.declined") == 1


def test_a_used_link_does_not_restore_an_erased_user(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    user = installation.accept(token, **PROFILE).json["user"]
    assert installation.delete(f"/users/{user['id']}", installation.key).status == 204
    check_problem(installation.accept(token, **PROFILE), 409, "invitation-accepted")
    assert installation.get(f"/users?email={invitation['inviteEmail']}", installation.key).json["total"] == 0


def check_all_refuse(installation: Installation, token: str, status: int, code: str) -> None:
    for path, body in (("lookup", {}), ("accept", PROFILE), ("decline", {})):
        check_problem(installation.post(f"/invitations/{path}", {"token": token, **body}), status, code)


def test_the_first_applicable_reason_is_reported(installation: Installation) -> None:
    def resend(**fields: Any) -> tuple[str, str, str]:
        invitation, old = installation.invite_with_token(**fields)
        installation.post(f"/invitations/{invitation['id']}/resend", token=installation.key)
        return invitation["id"], old, installation.mail(invitation["inviteEmail"], 2).token

    _, old, new = resend()
    check_all_refuse(installation, old, 410, "invitation-superseded")
    assert installation.accept(new, **PROFILE).status == 201
    check_all_refuse(installation, old, 409, "invitation-accepted")
    _, old, new = resend()
    assert installation.post("/invitations/decline", {"token": new}).status == 200
    check_all_refuse(installation, old, 410, "invitation-declined")
    invitation, old, new = resend()
    installation.delete(f"/invitations/{invitation}", installation.key)
    for token in (old, new):
        check_all_refuse(installation, token, 410, "invitation-revoked")
    invitation, old, new = resend(expiresIn="PT3S")
    installation.wait_until_expired(invitation)
    check_problem(installation.post("/invitations/lookup", {"token": old}), 410, "invitation-superseded")
    check_problem(installation.post("/invitations/lookup", {"token": new}), 410, "invitation-expired")
    check_problem(installation.accept(new, **PROFILE), 410, "invitation-expired")
    installation.delete(f"/invitations/{invitation}", installation.key)
    check_problem(installation.accept(new, **PROFILE), 410, "invitation-revoked")


def test_an_ended_invitation_is_reported_before_profile_and_account(installation: Installation) -> None:
    other = installation.user("customer")
    invitation, token = installation.invite_with_token()
    installation.delete(f"/invitations/{invitation['id']}", installation.key)
    check_problem(installation.accept(token), 410, "invitation-revoked")
    check_problem(installation.accept(token, by=other), 410, "invitation-revoked")


def test_a_new_account_without_a_role_has_no_permissions(installation: Installation) -> None:
    group = installation.group()
    _, token = installation.invite_with_token(groups=[group])
    answer = installation.accept(token, **PROFILE)
    assert (answer.json["user"]["role"], answer.json["user"]["groups"]) == (None, [group])
    check_problem(installation.get("/users", answer.json["accessToken"]), 403)
