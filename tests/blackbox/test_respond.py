"""Lookup, accept and decline, and each refusal with its code."""

from typing import Any

import pytest
from tests.support.installation import PASSWORD, PROFILE, Installation, new_address, pointers, refused

LOOKUP = {
    "inviteEmail", "invitedBy", "app", "role", "groups", "content", "firstName", "lastName", "message", "expiresAt",
    "accountExists", "passwordPolicy", "termsUrl", "locale",
}  # fmt: skip


def test_a_lookup_shows_what_waits(installation: Installation) -> None:
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
    made, token = installation.invited(token=inviter.token, **fields)
    shown = installation.post("/invitations/lookup", {"token": token})
    assert (shown.status, shown.json.keys()) == (200, LOOKUP)
    assert shown.json["groups"] == [{"key": group, "name": "The Garden"}]
    assert shown.json["invitedBy"] == {"name": "Mira Okafor"}
    assert shown.json["app"]["name"] == "Orchard Lane"
    assert shown.json["termsUrl"] == "https://orchard.example/terms"
    same = ("inviteEmail", "firstName", "lastName", "message", "expiresAt", "locale", "content")
    assert [shown.json[name] for name in same] == [made[name] for name in same]
    assert (shown.json["accountExists"], bool(shown.json["passwordPolicy"])) == (False, True)
    assert "no-store" in shown.headers["Cache-Control"]


def test_a_stranger_becomes_a_user(installation: Installation) -> None:
    group = installation.group()
    made, token = installation.invited(role="team", groups=[group], redirectUrl="https://app.orchard.example/in")
    got = installation.accept(token, **PROFILE, locale="de")
    assert (got.status, got.json.keys()) == (
        201,
        {"user", "grants", "accessToken", "refreshToken", "expiresIn", "redirectUrl"},
    )
    user = got.json["user"]
    assert (user["email"], user["emailVerified"], user["role"], user["groups"], user["locale"]) == (
        made["inviteEmail"], True, "team", [group], "de",
    )  # fmt: skip
    assert got.json["redirectUrl"] == "https://app.orchard.example/in"
    assert got.json["expiresIn"] == 900
    assert got.cookies.keys() >= {"access_token", "refresh_token", "csrf_token"}
    assert installation.get("/users/me", got.json["accessToken"]).json["id"] == user["id"]
    after = installation.invitation(made["id"])
    assert after["state"] == "ACCEPTED"
    assert user["id"] in str(after["acceptedBy"])
    assert after["acceptedAt"]
    assert [event["type"] for event in installation.events(made["id"])].count("invitation.accepted") == 1
    assert installation.login(made["inviteEmail"]).id == user["id"]
    for _ in range(2):
        refused(installation.accept(token, **PROFILE), 409, "invitation-accepted")
    refused(installation.post("/invitations/lookup", {"token": token}), 409, "invitation-accepted")


def test_everything_missing_from_a_profile_is_named(installation: Installation) -> None:
    made, token = installation.invited()
    problem = refused(installation.accept(token), 422)
    assert pointers(problem) >= {"/firstName", "/lastName", "/password"}
    bad: dict[str, Any] = {
        "firstName": "x" * 101,
        "lastName": "a\nb",
        "password": "short",
        "acceptTerms": True,
        "locale": "?",
    }
    assert pointers(refused(installation.accept(token, **bad), 422)) == {
        "/firstName",
        "/lastName",
        "/password",
        "/locale",
    }
    refused(installation.accept(token, **PROFILE | {"acceptTerms": False}), 422, "terms-required")
    refused(installation.accept(token, firstName="A", lastName="B", password=PASSWORD), 422, "terms-required")
    assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.get(f"/users?email={made['inviteEmail']}", installation.key).json["total"] == 0


def test_names_from_the_invitation_serve_a_profile_or_are_asked(installation: Installation) -> None:
    made, token = installation.invited(firstName="Jonas", lastName="Weir")
    got = installation.accept(token, firstName="Jon", lastName="Weir", password=PASSWORD, acceptTerms=True)
    assert (got.status, got.json["user"]["firstName"]) == (201, "Jon")
    assert installation.invitation(made["id"])["firstName"] == "Jonas"


@pytest.mark.parametrize("password", ["short", "", "a" * 9, "password123", "guest password"[:9]])
def test_weak_passwords_are_refused(installation: Installation, password: str) -> None:
    _, token = installation.invited()
    assert pointers(refused(installation.accept(token, **PROFILE | {"password": password}), 422)) == {"/password"}


def test_who_has_an_account_accepts_without_signing_in_and_gets_no_session(installation: Installation) -> None:
    group, person = installation.group(), installation.user("customer")
    made, token = installation.invited(person.email, groups=[group])
    assert installation.post("/invitations/lookup", {"token": token}).json["accountExists"] is True
    got = installation.accept(
        token, firstName="Changed", lastName="Name", password="another password 9", acceptTerms=True
    )
    assert (got.status, got.json.keys(), got.cookies) == (200, {"grants", "redirectUrl"}, {})
    me = installation.get("/users/me", person.token).json
    assert (me["groups"], me["firstName"]) == ([group], "Una")
    assert installation.login(person.email).id == person.id
    assert installation.invitation(made["id"])["state"] == "ACCEPTED"


def test_who_is_signed_in_accepts_as_himself(installation: Installation) -> None:
    group, person = installation.group(), installation.user("customer")
    _, token = installation.invited(person.email, groups=[group])
    got = installation.accept(token, by=person)
    assert (got.status, got.json.keys()) == (200, {"user", "grants", "redirectUrl"})
    assert (got.json["user"]["id"], got.json["user"]["groups"]) == (person.id, [group])


def test_somebody_else_is_told_so_and_nothing_happens(installation: Installation) -> None:
    other = installation.user("customer")
    for address in (new_address(), installation.user("customer").email):
        made, token = installation.invited(address, role="team")
        refused(installation.accept(token, by=other, **PROFILE), 409, "wrong-account")
        assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.get("/users/me", other.token).json["role"] == "customer"


def test_an_expired_session_is_no_other_person(installation: Installation) -> None:
    other = installation.user("customer")
    assert installation.post("/auth/logout", token=other.token).status in {200, 204}
    _, token = installation.invited()
    assert installation.accept(token, by=other, **PROFILE).status == 201


def test_a_blocked_account_cannot_come_in(installation: Installation) -> None:
    person = installation.user("customer")
    made, token = installation.invited(person.email, role="team")
    installation.patch(f"/users/{person.id}", {"blocked": True}, installation.key)
    refused(installation.accept(token), 409, "account-blocked")
    refused(installation.accept(token, **PROFILE), 409, "account-blocked")
    assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.get(f"/users/{person.id}", installation.key).json["role"] == "customer"


def test_declining_ends_it(installation: Installation) -> None:
    made, token = installation.invited()
    assert installation.post("/invitations/decline", {"token": token, "reason": "Not\r\nnow."}).status == 200
    after = installation.invitation(made["id"])
    assert (after["state"], bool(after["declinedAt"])) == ("DECLINED", True)
    for answer in (
        installation.post("/invitations/decline", {"token": token}),
        installation.accept(token, **PROFILE),
        installation.post("/invitations/lookup", {"token": token}),
    ):
        refused(answer, 410, "invitation-declined")
    assert [event["type"] for event in installation.events(made["id"])].count("invitation.declined") == 1


def test_a_used_link_never_readmits_somebody_who_was_removed(installation: Installation) -> None:
    made, token = installation.invited()
    user = installation.accept(token, **PROFILE).json["user"]
    assert installation.delete(f"/users/{user['id']}", installation.key).status == 204
    refused(installation.accept(token, **PROFILE), 409, "invitation-accepted")
    assert installation.get(f"/users?email={made['inviteEmail']}", installation.key).json["total"] == 0


def all_refuse(installation: Installation, token: str, status: int, code: str) -> None:
    for path, body in (("lookup", {}), ("accept", PROFILE), ("decline", {})):
        refused(installation.post(f"/invitations/{path}", {"token": token, **body}), status, code)


def test_the_first_reason_that_holds_is_told(installation: Installation) -> None:
    def resent(**fields: Any) -> tuple[str, str, str]:
        made, old = installation.invited(**fields)
        installation.post(f"/invitations/{made['id']}/resend", token=installation.key)
        return made["id"], old, installation.mail(made["inviteEmail"], 2).token

    _, old, new = resent()
    all_refuse(installation, old, 410, "invitation-superseded")
    assert installation.accept(new, **PROFILE).status == 201
    all_refuse(installation, old, 409, "invitation-accepted")
    _, old, new = resent()
    assert installation.post("/invitations/decline", {"token": new}).status == 200
    all_refuse(installation, old, 410, "invitation-declined")
    made, old, new = resent()
    installation.delete(f"/invitations/{made}", installation.key)
    for token in (old, new):
        all_refuse(installation, token, 410, "invitation-revoked")
    made, old, new = resent(expiresIn="PT3S")
    installation.wait_until_expired(made)
    refused(installation.post("/invitations/lookup", {"token": old}), 410, "invitation-superseded")
    refused(installation.post("/invitations/lookup", {"token": new}), 410, "invitation-expired")
    refused(installation.accept(new, **PROFILE), 410, "invitation-expired")
    installation.delete(f"/invitations/{made}", installation.key)
    refused(installation.accept(new, **PROFILE), 410, "invitation-revoked")


def test_over_is_told_before_the_profile_and_the_account(installation: Installation) -> None:
    other = installation.user("customer")
    made, token = installation.invited()
    installation.delete(f"/invitations/{made['id']}", installation.key)
    refused(installation.accept(token), 410, "invitation-revoked")
    refused(installation.accept(token, by=other), 410, "invitation-revoked")


def test_a_new_account_without_a_role_may_nothing(installation: Installation) -> None:
    group = installation.group()
    _, token = installation.invited(groups=[group])
    got = installation.accept(token, **PROFILE)
    assert (got.json["user"]["role"], got.json["user"]["groups"]) == (None, [group])
    refused(installation.get("/users", got.json["accessToken"]), 403)
