"""A mailed link proves control of the mailbox. A revealed link does not."""

from typing import Any

from tests.support.installation import (
    PASSWORD,
    PROFILE,
    Installation,
    SignedInUser,
    check_problem,
    new_address,
    pointers,
)


def create_squatter(installation: Installation) -> tuple[str, SignedInUser]:
    """Register an account by a revealed link, without control of the mailbox; return the address and the account."""
    invitation = installation.invite(role="customer")
    answer = installation.accept(
        installation.reveal(invitation["id"]), **PROFILE | {"password": "the squatter's words 1"}
    )
    assert (answer.status, answer.json["user"]["emailVerified"]) == (201, False)
    user, email = answer.json["user"], invitation["inviteEmail"]
    return email, SignedInUser(user["id"], email, answer.json["accessToken"], answer.json["refreshToken"])


def test_a_revealed_link_requires_an_existing_account_to_sign_in(installation: Installation) -> None:
    group, user = installation.group(), installation.user("customer")
    invitation, mailed = installation.invite_with_token(user.email, groups=[group])
    revealed = installation.reveal(invitation["id"])
    check_problem(installation.accept(revealed), 409, "sign-in-required")
    check_problem(installation.accept(revealed, **PROFILE), 409, "sign-in-required")
    assert installation.get("/users/me", user.token).json["groups"] == []
    check_problem(installation.accept(revealed, by=installation.user()), 409, "wrong-account")
    assert installation.accept(revealed, by=user).status == 200
    check_problem(installation.accept(mailed), 409, "invitation-accepted")


def test_an_account_registered_by_a_revealed_link_must_verify_its_address(installation: Installation) -> None:
    email, user = create_squatter(installation)
    verification = installation.mail_about(email, "/verify-email").token
    assert installation.get("/users/me", user.token).json["emailVerified"] is False
    answer = installation.post("/auth/email/verify", {"token": verification})
    assert answer.status in {200, 204}
    assert installation.get("/users/me", user.token).json["emailVerified"] is True
    check_problem(installation.post("/auth/email/verify", {"token": verification}), 401)


def test_a_mailed_link_takes_over_an_unverified_account(installation: Installation) -> None:
    email, squatter = create_squatter(installation)
    invitation = installation.invite(email, role="team")
    token = installation.mail_of(invitation).token
    assert installation.post("/invitations/lookup", {"token": token}).json["accountExists"] is False
    assert pointers(check_problem(installation.accept(token), 422)) >= {"/password"}
    answer = installation.accept(token, **PROFILE)
    assert answer.status in {200, 201}, answer
    assert answer.json["user"]["emailVerified"] is True
    assert answer.json["user"]["role"] == "team"
    check_problem(installation.get("/users/me", squatter.token), 401)
    check_problem(installation.post("/auth/refresh", {"refreshToken": squatter.refresh_token}), 401)
    check_problem(installation.post("/auth/login", {"email": email, "password": "the squatter's words 1"}), 401)
    assert installation.login(email, PASSWORD).id
    assert installation.invitation(invitation["id"])["state"] == "ACCEPTED"
    assert installation.get(f"/users?email={email}", installation.key).json["total"] == 1


def test_a_revealed_link_needs_the_session_of_the_account(installation: Installation) -> None:
    email, squatter = create_squatter(installation)
    invitation = installation.invite(email, role="team")
    check_problem(installation.accept(installation.reveal(invitation["id"])), 409, "sign-in-required")
    revealed = installation.reveal(invitation["id"])
    assert installation.post("/invitations/lookup", {"token": revealed}).json["accountExists"] is True
    assert installation.accept(revealed, by=squatter).status == 200


def test_a_user_created_over_the_api_is_verified_by_default(installation: Installation) -> None:
    user = installation.user("customer")
    assert installation.get(f"/users/{user.id}", installation.key).json["emailVerified"] is True
    body: dict[str, Any] = {
        "email": new_address(),
        "firstName": "A",
        "lastName": "B",
        "emailVerified": False,
        "role": "customer",
    }
    assert installation.post("/users", body, installation.key).json["emailVerified"] is False
    _, token = installation.invite_with_token(body["email"], role="team")
    assert installation.post("/invitations/lookup", {"token": token}).json["accountExists"] is False
