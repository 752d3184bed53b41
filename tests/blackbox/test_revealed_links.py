"""What a link proves: a mailed one a mailbox, a revealed one nothing."""

from typing import Any

from tests.support.installation import PASSWORD, PROFILE, Installation, Person, new_address, pointers, refused


def lie_in_wait(installation: Installation) -> tuple[str, Person]:
    """Somebody makes an account for an address by a revealed link, without owning the mailbox."""
    made = installation.invite(role="customer")
    got = installation.accept(installation.reveal(made["id"]), **PROFILE | {"password": "the squatter's words 1"})
    assert (got.status, got.json["user"]["emailVerified"]) == (201, False)
    user, email = got.json["user"], made["inviteEmail"]
    return email, Person(user["id"], email, got.json["accessToken"], got.json["refreshToken"])


def test_an_existing_account_must_sign_in_for_a_revealed_link(installation: Installation) -> None:
    group, person = installation.group(), installation.user("customer")
    made, mailed = installation.invited(person.email, groups=[group])
    revealed = installation.reveal(made["id"])
    refused(installation.accept(revealed), 409, "sign-in-required")
    refused(installation.accept(revealed, **PROFILE), 409, "sign-in-required")
    assert installation.get("/users/me", person.token).json["groups"] == []
    refused(installation.accept(revealed, by=installation.user()), 409, "wrong-account")
    assert installation.accept(revealed, by=person).status == 200
    refused(installation.accept(mailed), 409, "invitation-accepted")


def test_an_account_made_by_a_revealed_link_is_unverified_and_gets_a_mail(installation: Installation) -> None:
    email, person = lie_in_wait(installation)
    verification = installation.mail_about(email, "/verify-email").token
    assert installation.get("/users/me", person.token).json["emailVerified"] is False
    answer = installation.post("/auth/email/verify", {"token": verification})
    assert answer.status in {200, 204}
    assert installation.get("/users/me", person.token).json["emailVerified"] is True
    refused(installation.post("/auth/email/verify", {"token": verification}), 401)


def test_a_mailed_link_takes_an_unverified_account_from_the_squatter(installation: Installation) -> None:
    email, squatter = lie_in_wait(installation)
    made = installation.invite(email, role="team")
    token = installation.mail_of(made).token
    assert installation.post("/invitations/lookup", {"token": token}).json["accountExists"] is False
    assert pointers(refused(installation.accept(token), 422)) >= {"/password"}
    got = installation.accept(token, **PROFILE)
    assert got.status in {200, 201}, got
    assert got.json["user"]["emailVerified"] is True
    assert got.json["user"]["role"] == "team"
    refused(installation.get("/users/me", squatter.token), 401)
    refused(installation.post("/auth/refresh", {"refreshToken": squatter.refresh_token}), 401)
    refused(installation.post("/auth/login", {"email": email, "password": "the squatter's words 1"}), 401)
    assert installation.login(email, PASSWORD).id
    assert installation.invitation(made["id"])["state"] == "ACCEPTED"
    assert installation.get(f"/users?email={email}", installation.key).json["total"] == 1


def test_the_squatter_cannot_accept_what_is_mailed_by_his_session(installation: Installation) -> None:
    email, squatter = lie_in_wait(installation)
    made = installation.invite(email, role="team")
    refused(installation.accept(installation.reveal(made["id"])), 409, "sign-in-required")
    revealed = installation.reveal(made["id"])
    assert installation.post("/invitations/lookup", {"token": revealed}).json["accountExists"] is True
    assert installation.accept(revealed, by=squatter).status == 200


def test_a_user_made_by_an_administrator_counts_as_verified_unless_said_otherwise(installation: Installation) -> None:
    person = installation.user("customer")
    assert installation.get(f"/users/{person.id}", installation.key).json["emailVerified"] is True
    body: dict[str, Any] = {
        "email": new_address(),
        "firstName": "A",
        "lastName": "B",
        "emailVerified": False,
        "role": "customer",
    }
    assert installation.post("/users", body, installation.key).json["emailVerified"] is False
    _, token = installation.invited(body["email"], role="team")
    assert installation.post("/invitations/lookup", {"token": token}).json["accountExists"] is False
