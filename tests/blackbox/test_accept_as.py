"""Accepting with `as`: the app answers for its own signed-in person."""

from typing import Any

import pytest
from tests.support.installation import PROFILE, Answer, Installation, new_address, numbers, refused


@pytest.fixture(scope="module")
def app_key(installation: Installation) -> str:
    return installation.api_key("invitations:accept")


def accept_as(installation: Installation, key: str | None, token: str, email: str, **more: Any) -> Answer:
    person = {"externalId": f"ext-{next(numbers)}", "firstName": "A", "lastName": "B", **vouched(email)}
    return installation.post("/invitations/accept", {"token": token, "as": person | more}, key)


def vouched(email: str) -> dict[str, Any]:
    return {"email": email, "emailVerified": True}


def test_a_person_is_made_without_password_and_session(installation: Installation, app_key: str) -> None:
    made, token = installation.invited(role="team")
    got = accept_as(installation, app_key, token, made["inviteEmail"].upper(), externalId="idp|7", locale="de")
    assert (got.status, got.json.keys(), got.cookies) == (201, {"user", "grants", "redirectUrl"}, {})
    user = got.json["user"]
    assert (user["externalId"], user["role"], user["emailVerified"], user["firstName"]) == ("idp|7", "team", True, "A")
    refused(installation.post("/auth/login", {"email": made["inviteEmail"], "password": PROFILE["password"]}), 401)
    assert installation.invitation(made["id"])["state"] == "ACCEPTED"
    refused(
        accept_as(installation, app_key, token, made["inviteEmail"], externalId="idp|7"), 409, "invitation-accepted"
    )


def test_the_same_person_is_found_by_the_external_id(installation: Installation, app_key: str) -> None:
    group, address, name = installation.group(), new_address(), f"idp|{next(numbers)}"
    _, first = installation.invited(address, role="customer")
    made = accept_as(installation, app_key, first, address, externalId=name)
    second = installation.mail_of(installation.invite(address, groups=[group])).token
    found = accept_as(installation, app_key, second, address, externalId=name, firstName="Changed")
    assert (made.status, found.status) == (201, 200)
    assert found.json["user"]["id"] == made.json["user"]["id"]
    assert (found.json["user"]["firstName"], found.json["user"]["groups"]) == ("A", [group])


def test_the_address_must_be_the_invitations_and_verified(installation: Installation, app_key: str) -> None:
    made, token = installation.invited()
    refused(accept_as(installation, app_key, token, new_address()), 409, "wrong-account")
    refused(accept_as(installation, app_key, token, made["inviteEmail"], emailVerified=False), 409, "wrong-account")
    assert installation.invitation(made["id"])["state"] == "PENDING"


def test_it_needs_the_permission(installation: Installation) -> None:
    made, token = installation.invited()
    refused(accept_as(installation, installation.api_key("invitations:write"), token, made["inviteEmail"]), 403)
    answer = accept_as(installation, None, token, made["inviteEmail"])
    assert answer.status in {401, 403}
    answer = accept_as(installation, "lsk_bad", token, made["inviteEmail"])
    assert answer.status in {401, 403}
    assert installation.invitation(made["id"])["state"] == "PENDING"


def test_no_password_comes_with_it(installation: Installation, app_key: str) -> None:
    made, token = installation.invited()
    body = {"token": token, "as": {"externalId": "x", **vouched(made["inviteEmail"])}, **PROFILE}
    answer = installation.post("/invitations/accept", body, app_key)
    assert answer.status in {400, 422}
    unknown = {"token": token, "as": {"externalId": "x", "role": "admin", **vouched(made["inviteEmail"])}}
    refused(installation.post("/invitations/accept", unknown, app_key), 400)
    assert installation.invitation(made["id"])["state"] == "PENDING"


def test_missing_fields_are_named(installation: Installation, app_key: str) -> None:
    _, token = installation.invited()
    problem = refused(installation.post("/invitations/accept", {"token": token, "as": {}}, app_key), 422)
    assert {error["pointer"] for error in problem["errors"]} >= {"/as/externalId", "/as/email", "/as/emailVerified"}


def test_a_blocked_person_stays_outside(installation: Installation, app_key: str) -> None:
    person = installation.user("customer", externalId=f"idp|{next(numbers)}")
    external = installation.get(f"/users/{person.id}", installation.key).json["externalId"]
    _, token = installation.invited(person.email, role="team")
    installation.patch(f"/users/{person.id}", {"blocked": True}, installation.key)
    refused(accept_as(installation, app_key, token, person.email, externalId=external), 409, "account-blocked")


def test_a_revealed_link_serves_too_as_the_app_vouches(installation: Installation, app_key: str) -> None:
    made = installation.invite()
    got = accept_as(installation, app_key, installation.reveal(made["id"]), made["inviteEmail"])
    assert (got.status, got.json["user"]["emailVerified"]) == (201, True)
