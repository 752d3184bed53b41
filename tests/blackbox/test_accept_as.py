"""Accepting with `as`: the app accepts on behalf of its own signed-in user."""

from typing import Any

import pytest
from tests.support.installation import PROFILE, Answer, Installation, check_problem, new_address, numbers


@pytest.fixture(scope="module")
def app_key(installation: Installation) -> str:
    return installation.api_key("invitations:accept")


def accept_as(installation: Installation, key: str | None, token: str, email: str, **fields: Any) -> Answer:
    user = {"externalId": f"ext-{next(numbers)}", "firstName": "A", "lastName": "B", **verified_address(email)}
    return installation.post("/invitations/accept", {"token": token, "as": user | fields}, key)


def verified_address(email: str) -> dict[str, Any]:
    return {"email": email, "emailVerified": True}


def test_accept_as_creates_a_user_without_password_and_session(installation: Installation, app_key: str) -> None:
    invitation, token = installation.invite_with_token(role="team")
    answer = accept_as(installation, app_key, token, invitation["inviteEmail"].upper(), externalId="idp|7", locale="de")
    assert (answer.status, answer.json.keys(), answer.cookies) == (201, {"user", "grants", "redirectUrl"}, {})
    user = answer.json["user"]
    assert (user["externalId"], user["role"], user["emailVerified"], user["firstName"]) == ("idp|7", "team", True, "A")
    check_problem(
        installation.post("/auth/login", {"email": invitation["inviteEmail"], "password": PROFILE["password"]}), 401
    )
    assert installation.invitation(invitation["id"])["state"] == "ACCEPTED"
    check_problem(
        accept_as(installation, app_key, token, invitation["inviteEmail"], externalId="idp|7"),
        409,
        "invitation-accepted",
    )


def test_the_external_id_identifies_an_existing_user(installation: Installation, app_key: str) -> None:
    group, address, external_id = installation.group(), new_address(), f"idp|{next(numbers)}"
    _, first_token = installation.invite_with_token(address, role="customer")
    first_answer = accept_as(installation, app_key, first_token, address, externalId=external_id)
    second_token = installation.mail_of(installation.invite(address, groups=[group])).token
    second_answer = accept_as(installation, app_key, second_token, address, externalId=external_id, firstName="Changed")
    assert (first_answer.status, second_answer.status) == (201, 200)
    assert second_answer.json["user"]["id"] == first_answer.json["user"]["id"]
    assert (second_answer.json["user"]["firstName"], second_answer.json["user"]["groups"]) == ("A", [group])


def test_the_address_must_be_verified_and_match_the_invitation(installation: Installation, app_key: str) -> None:
    invitation, token = installation.invite_with_token()
    check_problem(accept_as(installation, app_key, token, new_address()), 409, "wrong-account")
    check_problem(
        accept_as(installation, app_key, token, invitation["inviteEmail"], emailVerified=False), 409, "wrong-account"
    )
    assert installation.invitation(invitation["id"])["state"] == "PENDING"


def test_accept_as_requires_its_permission(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    check_problem(
        accept_as(installation, installation.api_key("invitations:write"), token, invitation["inviteEmail"]), 403
    )
    answer = accept_as(installation, None, token, invitation["inviteEmail"])
    assert answer.status in {401, 403}
    answer = accept_as(installation, "lsk_bad", token, invitation["inviteEmail"])
    assert answer.status in {401, 403}
    assert installation.invitation(invitation["id"])["state"] == "PENDING"


def test_password_and_role_are_refused(installation: Installation, app_key: str) -> None:
    invitation, token = installation.invite_with_token()
    body = {"token": token, "as": {"externalId": "x", **verified_address(invitation["inviteEmail"])}, **PROFILE}
    answer = installation.post("/invitations/accept", body, app_key)
    assert answer.status in {400, 422}
    unknown = {
        "token": token,
        "as": {"externalId": "x", "role": "admin", **verified_address(invitation["inviteEmail"])},
    }
    check_problem(installation.post("/invitations/accept", unknown, app_key), 400)
    assert installation.invitation(invitation["id"])["state"] == "PENDING"


def test_missing_fields_are_reported(installation: Installation, app_key: str) -> None:
    _, token = installation.invite_with_token()
    problem = check_problem(installation.post("/invitations/accept", {"token": token, "as": {}}, app_key), 422)
    assert {error["pointer"] for error in problem["errors"]} >= {"/as/externalId", "/as/email", "/as/emailVerified"}


def test_a_blocked_user_is_refused(installation: Installation, app_key: str) -> None:
    user = installation.user("customer", externalId=f"idp|{next(numbers)}")
    external = installation.get(f"/users/{user.id}", installation.key).json["externalId"]
    _, token = installation.invite_with_token(user.email, role="team")
    installation.patch(f"/users/{user.id}", {"blocked": True}, installation.key)
    check_problem(accept_as(installation, app_key, token, user.email, externalId=external), 409, "account-blocked")


def test_a_revealed_link_is_enough_with_a_verified_address(installation: Installation, app_key: str) -> None:
    invitation = installation.invite()
    answer = accept_as(installation, app_key, installation.reveal(invitation["id"]), invitation["inviteEmail"])
    assert (answer.status, answer.json["user"]["emailVerified"]) == (201, True)
