"""Users: creating, reading, changing, blocking, erasing."""

import pytest
from tests.support.database_dump import dump
from tests.support.installation import PASSWORD, PROFILE, Installation, check_problem, new_address, numbers, pointers

FIELDS = {
    "id", "email", "emailVerified", "externalId", "firstName", "lastName", "role", "groups", "locale", "blocked",
    "createdAt", "lastLoginAt",
}  # fmt: skip


def test_a_user_can_be_created_read_and_changed(installation: Installation) -> None:
    body = {
        "email": new_address("Mixed.Case"),
        "externalId": f"idp|{next(numbers)}",
        "firstName": "Ida",
        "lastName": "Noor",
        "role": "customer",
        "locale": "de",
        "password": PASSWORD,
    }
    created = installation.post("/users", body, installation.key)
    assert created.status == 201
    assert created.json.keys() >= FIELDS
    assert "password" not in created.json
    assert created.json | {name: body[name] for name in body if name != "password"} == created.json
    assert (created.json["emailVerified"], created.json["blocked"], created.json["lastLoginAt"]) == (True, False, None)
    assert installation.call("GET", created.headers["Location"], token=installation.key).json == created.json
    changed = installation.patch(
        f"/users/{created.json['id']}", {"firstName": "Ada", "role": "team", "locale": None}, installation.key
    )
    assert (changed.status, changed.json["firstName"], changed.json["role"]) == (200, "Ada", "team")
    installation.login(body["email"])
    assert installation.get(f"/users/{created.json['id']}", installation.key).json["lastLoginAt"]


def test_addresses_and_external_ids_are_unique(installation: Installation) -> None:
    first = installation.user(externalId=f"idp|{next(numbers)}")
    fields = {"email": new_address(), "firstName": "A", "lastName": "B"}
    check_problem(installation.post("/users", fields | {"email": first.email.upper()}, installation.key), 409)
    external = installation.get(f"/users/{first.id}", installation.key).json["externalId"]
    check_problem(installation.post("/users", fields | {"externalId": external}, installation.key), 409)
    second = installation.user()
    check_problem(installation.patch(f"/users/{second.id}", {"email": first.email}, installation.key), 409)


def test_all_fields_of_a_user_are_checked(installation: Installation) -> None:
    bad = {
        "email": "no",
        "firstName": "x" * 101,
        "lastName": "a\nb",
        "role": "emperor",
        "password": "short",
        "locale": "?",
    }
    assert pointers(check_problem(installation.post("/users", bad, installation.key), 422)) == {
        f"/{name}" for name in bad
    }
    user = installation.user()
    bad.pop("email")
    assert pointers(check_problem(installation.patch(f"/users/{user.id}", bad, installation.key), 422)) == {
        f"/{name}" for name in bad
    }


def test_a_blocked_user_loses_all_sessions_until_unblocked(installation: Installation) -> None:
    user = installation.user("team")
    assert installation.patch(f"/users/{user.id}", {"blocked": True}, installation.key).json["blocked"] is True
    check_problem(installation.get("/users/me", user.token), 401)
    check_problem(installation.post("/auth/refresh", {"refreshToken": user.refresh_token}), 401)
    answer = installation.post("/auth/login", {"email": user.email, "password": PASSWORD})
    assert answer.status in {401, 403, 409}
    installation.patch(f"/users/{user.id}", {"blocked": False}, installation.key)
    check_problem(installation.get("/users/me", user.token), 401)
    assert installation.login(user.email).id == user.id


def test_a_changed_role_counts_from_the_next_request(installation: Installation) -> None:
    user = installation.user("customer")
    check_problem(installation.get("/users", user.token), 403)
    installation.patch(f"/users/{user.id}", {"role": "team"}, installation.key)
    assert installation.get("/users", user.token).status == 200


def test_users_can_read_and_change_their_own_account(installation: Installation) -> None:
    user = installation.user("customer")
    me = installation.patch("/users/me", {"firstName": "Ora", "lastName": "Lind", "locale": "de"}, user.token)
    assert (me.status, me.json["firstName"], me.json["locale"]) == (200, "Ora", "de")
    assert me.json["permissions"] == ["app:plan"]
    for forbidden in ({"role": "admin"}, {"email": new_address()}, {"blocked": False}, {"password": "x" * 12}):
        check_problem(installation.patch("/users/me", forbidden, user.token), 400)
    assert pointers(check_problem(installation.patch("/users/me", {"firstName": ""}, user.token), 422)) == {
        "/firstName"
    }
    check_problem(installation.get("/users/me"), 401)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_other_users_require_a_permission(installation: Installation, method: str) -> None:
    other, customer, team = installation.user(), installation.user("customer"), installation.user("team")
    body = {"firstName": "X"} if method == "PATCH" else None
    answer = installation.call(method, f"/api/users/{other.id}", body, token=customer.token)
    assert answer.status in {403, 404}
    if method != "GET":
        check_problem(installation.call(method, f"/api/users/{other.id}", body, token=team.token), 403)


def test_new_terms_block_everything_but_consent(own_installation: Installation) -> None:
    installation = own_installation
    user, group = installation.user("team"), installation.group()
    _, token = installation.invite_with_token(user.email, groups=[group])
    installation.write_config(replace='terms-version = "1"', by='terms-version = "2"')
    installation.restart()
    for answer in (
        installation.get("/invitations", user.token),
        installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, user.token),
        installation.get("/groups", user.token),
    ):
        check_problem(answer, 403, "terms-required")
    assert installation.get("/users/me", user.token).status == 200
    again = installation.login(user.email)
    assert installation.post("/invitations/lookup", {"token": token}, again.token).status == 200
    assert installation.accept(token, by=again).status == 200
    assert installation.patch("/users/me", {"acceptTerms": True}, user.token).status == 200
    assert installation.get("/invitations", user.token).status == 200
    assert installation.get("/invitations", installation.key).status == 200


def test_an_erased_user_leaves_no_personal_data(installation: Installation) -> None:
    name, family, address = f"Quillon{next(numbers)}", f"Verhoeven{next(numbers)}", new_address("quillon.verhoeven")
    inviter = installation.user("team")
    fields = {"firstName": name, "lastName": family, "message": f"Dear {name}", "metadata": {"email": address}}
    accepted, token = installation.invite_with_token(address, token=inviter.token, role="customer", **fields)
    headers = {"Idempotency-Key": f"erase-{next(numbers)}"}
    pending_body = {"inviteEmail": address.title(), "role": "team", "firstName": name, "lastName": family}
    pending = installation.post("/invitations", pending_body, installation.key, headers=headers)
    assert pending.status == 201
    declined = installation.invite(address, groups=[installation.group()])
    installation.post(
        "/invitations/decline", {"token": installation.mail_of(declined).token, "reason": f"{name} is away"}
    )
    user = installation.accept(token, **PROFILE | {"firstName": name, "lastName": family}).json["user"]
    reset = installation.post("/auth/password/reset-request", {"email": address})
    assert reset.status == 202
    installation.post("/auth/login", {"email": address, "password": PASSWORD})
    assert installation.delete(f"/users/{user['id']}", installation.key).status == 204
    check_problem(installation.get(f"/users/{user['id']}", installation.key), 404)
    text = dump(installation.database).lower()
    for word in (name, family, address, address.partition("@")[0], address.title()):
        assert word.lower() not in text, [line for line in text.splitlines() if word.lower() in line][:3]
    for invitation in (accepted, pending.json):
        answer = installation.get(f"/invitations/{invitation['id']}", installation.key)
        assert answer.status == 200
        assert name not in answer.body.decode()
        assert address.lower() not in answer.body.decode().lower()
    assert "invitation.accepted" in {event["type"] for event in installation.events(accepted["id"])}
    check_problem(installation.post("/auth/login", {"email": address, "password": PASSWORD}), 401)
    listed = installation.get("/invitations?limit=200", installation.key).body.decode().lower()
    assert address.lower() not in listed


def test_the_history_contains_no_name_of_an_erased_inviter(installation: Installation) -> None:
    name = f"Ignatz{next(numbers)}"
    inviter = installation.user("team", firstName=name)
    invitation = installation.invite(token=inviter.token)
    installation.mail(invitation["inviteEmail"])
    assert installation.delete(f"/users/{inviter.id}", installation.key).status == 204
    assert name.lower() not in dump(installation.database).lower()
    answer = installation.invitation(invitation["id"])
    assert (answer["invitedBy"]["type"], answer["invitedBy"]["id"]) == ("USER", inviter.id)
    assert name not in str(answer) + str(installation.events(invitation["id"]))
    assert installation.get(f"/invitations?invitedBy={inviter.id}", installation.key).json["total"] == 1
