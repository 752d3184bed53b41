"""Lookup, accept and decline, and each refusal with its code."""

import pytest
from tests.support.installation import PASSWORD, PROFILE, House, new_address, pointers, refused

LOOKUP = {
    "inviteEmail", "invitedBy", "app", "role", "groups", "content", "firstName", "lastName", "message", "expiresAt",
    "accountExists", "passwordPolicy", "termsUrl", "locale",
}  # fmt: skip


def test_a_lookup_shows_what_waits(house: House) -> None:
    group, inviter = house.group(name="The Garden"), house.user("admin", firstName="Mira", lastName="Okafor")
    fields = {"role": "team", "groups": [group], "firstName": "Jo", "lastName": "Li", "message": "Hi", "locale": "de"}
    made, token = house.invited(token=inviter.token, **fields)
    shown = house.post("/invitations/lookup", {"token": token})
    assert (shown.status, shown.json.keys()) == (200, LOOKUP)
    assert shown.json["groups"] == [{"key": group, "name": "The Garden"}]
    assert shown.json["invitedBy"] == {"name": "Mira Okafor"}
    assert shown.json["app"]["name"] == "Orchard Lane"
    assert shown.json["termsUrl"] == "https://orchard.example/terms"
    same = ("inviteEmail", "firstName", "lastName", "message", "expiresAt", "locale", "content")
    assert [shown.json[name] for name in same] == [made[name] for name in same]
    assert (shown.json["accountExists"], bool(shown.json["passwordPolicy"])) == (False, True)
    assert "no-store" in shown.headers["Cache-Control"]


def test_a_stranger_becomes_a_user(house: House) -> None:
    group = house.group()
    made, token = house.invited(role="team", groups=[group], redirectUrl="https://app.orchard.example/in")
    got = house.accept(token, **PROFILE, locale="de")
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
    assert house.get("/users/me", got.json["accessToken"]).json["id"] == user["id"]
    after = house.invitation(made["id"])
    assert after["state"] == "ACCEPTED"
    assert user["id"] in str(after["acceptedBy"])
    assert after["acceptedAt"]
    assert [event["type"] for event in house.events(made["id"])].count("invitation.accepted") == 1
    assert house.login(made["inviteEmail"]).id == user["id"]
    for _ in range(2):
        refused(house.accept(token, **PROFILE), 409, "invitation-accepted")
    refused(house.post("/invitations/lookup", {"token": token}), 409, "invitation-accepted")


def test_everything_missing_from_a_profile_is_named(house: House) -> None:
    made, token = house.invited()
    problem = refused(house.accept(token), 422)
    assert pointers(problem) >= {"/firstName", "/lastName", "/password"}
    bad = {"firstName": "x" * 101, "lastName": "a\nb", "password": "short", "acceptTerms": True, "locale": "?"}
    assert pointers(refused(house.accept(token, **bad), 422)) == {"/firstName", "/lastName", "/password", "/locale"}
    refused(house.accept(token, **PROFILE | {"acceptTerms": False}), 422, "terms-required")
    refused(house.accept(token, firstName="A", lastName="B", password=PASSWORD), 422, "terms-required")
    assert house.invitation(made["id"])["state"] == "PENDING"
    assert house.get(f"/users?email={made['inviteEmail']}", house.key).json["total"] == 0


def test_names_from_the_invitation_serve_a_profile_or_are_asked(house: House) -> None:
    made, token = house.invited(firstName="Jonas", lastName="Weir")
    got = house.accept(token, firstName="Jon", lastName="Weir", password=PASSWORD, acceptTerms=True)
    assert (got.status, got.json["user"]["firstName"]) == (201, "Jon")
    assert house.invitation(made["id"])["firstName"] == "Jonas"


@pytest.mark.parametrize("password", ["short", "", "a" * 9, "password123", "guest password"[:9]])
def test_weak_passwords_are_refused(house: House, password: str) -> None:
    _, token = house.invited()
    assert pointers(refused(house.accept(token, **PROFILE | {"password": password}), 422)) == {"/password"}


def test_who_has_an_account_accepts_without_signing_in_and_gets_no_session(house: House) -> None:
    group, person = house.group(), house.user("customer")
    made, token = house.invited(person.email, groups=[group])
    assert house.post("/invitations/lookup", {"token": token}).json["accountExists"] is True
    got = house.accept(token, firstName="Changed", lastName="Name", password="another password 9", acceptTerms=True)
    assert (got.status, got.json.keys(), got.cookies) == (200, {"grants", "redirectUrl"}, {})
    me = house.get("/users/me", person.token).json
    assert (me["groups"], me["firstName"]) == ([group], "Una")
    assert house.login(person.email).id == person.id
    assert house.invitation(made["id"])["state"] == "ACCEPTED"


def test_who_is_signed_in_accepts_as_himself(house: House) -> None:
    group, person = house.group(), house.user("customer")
    _, token = house.invited(person.email, groups=[group])
    got = house.accept(token, by=person)
    assert (got.status, got.json.keys()) == (200, {"user", "grants", "redirectUrl"})
    assert (got.json["user"]["id"], got.json["user"]["groups"]) == (person.id, [group])


def test_somebody_else_is_told_so_and_nothing_happens(house: House) -> None:
    other = house.user("customer")
    for address in (new_address(), house.user("customer").email):
        made, token = house.invited(address, role="team")
        refused(house.accept(token, by=other, **PROFILE), 409, "wrong-account")
        assert house.invitation(made["id"])["state"] == "PENDING"
    assert house.get("/users/me", other.token).json["role"] == "customer"


def test_an_expired_session_is_no_other_person(house: House) -> None:
    other = house.user("customer")
    assert house.post("/auth/logout", token=other.token).status in {200, 204}
    _, token = house.invited()
    assert house.accept(token, by=other, **PROFILE).status == 201


def test_a_blocked_account_cannot_come_in(house: House) -> None:
    person = house.user("customer")
    made, token = house.invited(person.email, role="team")
    house.patch(f"/users/{person.id}", {"blocked": True}, house.key)
    refused(house.accept(token), 409, "account-blocked")
    refused(house.accept(token, **PROFILE), 409, "account-blocked")
    assert house.invitation(made["id"])["state"] == "PENDING"
    assert house.get(f"/users/{person.id}", house.key).json["role"] == "customer"


def test_declining_ends_it(house: House) -> None:
    made, token = house.invited()
    assert house.post("/invitations/decline", {"token": token, "reason": "Not\r\nnow."}).status == 200
    after = house.invitation(made["id"])
    assert (after["state"], bool(after["declinedAt"])) == ("DECLINED", True)
    for answer in (
        house.post("/invitations/decline", {"token": token}),
        house.accept(token, **PROFILE),
        house.post("/invitations/lookup", {"token": token}),
    ):
        refused(answer, 410, "invitation-declined")
    assert [event["type"] for event in house.events(made["id"])].count("invitation.declined") == 1


def test_a_used_link_never_readmits_somebody_who_was_removed(house: House) -> None:
    made, token = house.invited()
    user = house.accept(token, **PROFILE).json["user"]
    assert house.delete(f"/users/{user['id']}", house.key).status == 204
    refused(house.accept(token, **PROFILE), 409, "invitation-accepted")
    assert house.get(f"/users?email={made['inviteEmail']}", house.key).json["total"] == 0


def all_refuse(house: House, token: str, status: int, code: str) -> None:
    for path, body in (("lookup", {}), ("accept", PROFILE), ("decline", {})):
        refused(house.post(f"/invitations/{path}", {"token": token, **body}), status, code)


def test_the_first_reason_that_holds_is_told(house: House) -> None:
    def resent(**fields: object) -> tuple[str, str, str]:
        made, old = house.invited(**fields)
        house.post(f"/invitations/{made['id']}/resend", token=house.key)
        return made["id"], old, house.mail(made["inviteEmail"], 2).token

    _, old, new = resent()
    all_refuse(house, old, 410, "invitation-superseded")
    assert house.accept(new, **PROFILE).status == 201
    all_refuse(house, old, 409, "invitation-accepted")
    _, old, new = resent()
    assert house.post("/invitations/decline", {"token": new}).status == 200
    all_refuse(house, old, 410, "invitation-declined")
    made, old, new = resent()
    house.delete(f"/invitations/{made}", house.key)
    for token in (old, new):
        all_refuse(house, token, 410, "invitation-revoked")
    made, old, new = resent(expiresIn="PT3S")
    house.wait_until_expired(made)
    refused(house.post("/invitations/lookup", {"token": old}), 410, "invitation-superseded")
    refused(house.post("/invitations/lookup", {"token": new}), 410, "invitation-expired")
    refused(house.accept(new, **PROFILE), 410, "invitation-expired")
    house.delete(f"/invitations/{made}", house.key)
    refused(house.accept(new, **PROFILE), 410, "invitation-revoked")


def test_over_is_told_before_the_profile_and_the_account(house: House) -> None:
    other = house.user("customer")
    made, token = house.invited()
    house.delete(f"/invitations/{made['id']}", house.key)
    refused(house.accept(token), 410, "invitation-revoked")
    refused(house.accept(token, by=other), 410, "invitation-revoked")


def test_a_new_account_without_a_role_may_nothing(house: House) -> None:
    group = house.group()
    _, token = house.invited(groups=[group])
    got = house.accept(token, **PROFILE)
    assert (got.json["user"]["role"], got.json["user"]["groups"]) == (None, [group])
    refused(house.get("/users", got.json["accessToken"]), 403)
