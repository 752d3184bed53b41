"""What a link proves: a mailed one a mailbox, a revealed one nothing."""

from tests.support.installation import PASSWORD, PROFILE, House, Person, new_address, pointers, refused


def lie_in_wait(house: House) -> tuple[str, Person]:
    """Somebody makes an account for an address by a revealed link, without owning the mailbox."""
    made = house.invite(role="customer")
    got = house.accept(house.reveal(made["id"]), **PROFILE | {"password": "the squatter's words 1"})
    assert (got.status, got.json["user"]["emailVerified"]) == (201, False)
    user, email = got.json["user"], made["inviteEmail"]
    return email, Person(user["id"], email, got.json["accessToken"], got.json["refreshToken"])


def test_an_existing_account_must_sign_in_for_a_revealed_link(house: House) -> None:
    group, person = house.group(), house.user("customer")
    made, mailed = house.invited(person.email, groups=[group])
    revealed = house.reveal(made["id"])
    refused(house.accept(revealed), 409, "sign-in-required")
    refused(house.accept(revealed, **PROFILE), 409, "sign-in-required")
    assert house.get("/users/me", person.token).json["groups"] == []
    refused(house.accept(revealed, by=house.user()), 409, "wrong-account")
    assert house.accept(revealed, by=person).status == 200
    refused(house.accept(mailed), 409, "invitation-accepted")


def test_an_account_made_by_a_revealed_link_is_unverified_and_gets_a_mail(house: House) -> None:
    email, person = lie_in_wait(house)
    verification = house.mail_about(email, "/verify-email").token
    assert house.get("/users/me", person.token).json["emailVerified"] is False
    answer = house.post("/auth/email/verify", {"token": verification})
    assert answer.status in {200, 204}
    assert house.get("/users/me", person.token).json["emailVerified"] is True
    refused(house.post("/auth/email/verify", {"token": verification}), 401)


def test_a_mailed_link_takes_an_unverified_account_from_the_squatter(house: House) -> None:
    email, squatter = lie_in_wait(house)
    made = house.invite(email, role="team")
    token = house.mail_of(made).token
    assert house.post("/invitations/lookup", {"token": token}).json["accountExists"] is False
    assert pointers(refused(house.accept(token), 422)) >= {"/password"}
    got = house.accept(token, **PROFILE)
    assert got.status in {200, 201}, got
    assert got.json["user"]["emailVerified"] is True
    assert got.json["user"]["role"] == "team"
    refused(house.get("/users/me", squatter.token), 401)
    refused(house.post("/auth/refresh", {"refreshToken": squatter.refresh_token}), 401)
    refused(house.post("/auth/login", {"email": email, "password": "the squatter's words 1"}), 401)
    assert house.login(email, PASSWORD).id
    assert house.invitation(made["id"])["state"] == "ACCEPTED"
    assert house.get(f"/users?email={email}", house.key).json["total"] == 1


def test_the_squatter_cannot_accept_what_is_mailed_by_his_session(house: House) -> None:
    email, squatter = lie_in_wait(house)
    made = house.invite(email, role="team")
    refused(house.accept(house.reveal(made["id"])), 409, "sign-in-required")
    revealed = house.reveal(made["id"])
    assert house.post("/invitations/lookup", {"token": revealed}).json["accountExists"] is True
    assert house.accept(revealed, by=squatter).status == 200


def test_a_user_made_by_an_administrator_counts_as_verified_unless_said_otherwise(house: House) -> None:
    person = house.user("customer")
    assert house.get(f"/users/{person.id}", house.key).json["emailVerified"] is True
    body = {"email": new_address(), "firstName": "A", "lastName": "B", "emailVerified": False, "role": "customer"}
    assert house.post("/users", body, house.key).json["emailVerified"] is False
    _, token = house.invited(body["email"], role="team")
    assert house.post("/invitations/lookup", {"token": token}).json["accountExists"] is False
