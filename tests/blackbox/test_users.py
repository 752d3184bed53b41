"""Accounts: making, reading, changing, blocking, erasing."""

import pytest
from tests.support.database_dump import dump
from tests.support.installation import PASSWORD, PROFILE, Installation, new_address, numbers, pointers, refused

FIELDS = {
    "id", "email", "emailVerified", "externalId", "firstName", "lastName", "role", "groups", "locale", "blocked",
    "createdAt", "lastLoginAt",
}  # fmt: skip


def test_a_user_is_made_read_and_changed(installation: Installation) -> None:
    sent = {
        "email": new_address("Mixed.Case"),
        "externalId": f"idp|{next(numbers)}",
        "firstName": "Ida",
        "lastName": "Noor",
        "role": "customer",
        "locale": "de",
        "password": PASSWORD,
    }
    made = installation.post("/users", sent, installation.key)
    assert made.status == 201
    assert made.json.keys() >= FIELDS
    assert "password" not in made.json
    assert made.json | {name: sent[name] for name in sent if name != "password"} == made.json
    assert (made.json["emailVerified"], made.json["blocked"], made.json["lastLoginAt"]) == (True, False, None)
    assert installation.call("GET", made.headers["Location"], token=installation.key).json == made.json
    changed = installation.patch(
        f"/users/{made.json['id']}", {"firstName": "Ada", "role": "team", "locale": None}, installation.key
    )
    assert (changed.status, changed.json["firstName"], changed.json["role"]) == (200, "Ada", "team")
    installation.login(sent["email"])
    assert installation.get(f"/users/{made.json['id']}", installation.key).json["lastLoginAt"]


def test_addresses_and_external_ids_are_taken_once(installation: Installation) -> None:
    one = installation.user(externalId=f"idp|{next(numbers)}")
    fields = {"email": new_address(), "firstName": "A", "lastName": "B"}
    refused(installation.post("/users", fields | {"email": one.email.upper()}, installation.key), 409)
    external = installation.get(f"/users/{one.id}", installation.key).json["externalId"]
    refused(installation.post("/users", fields | {"externalId": external}, installation.key), 409)
    two = installation.user()
    refused(installation.patch(f"/users/{two.id}", {"email": one.email}, installation.key), 409)


def test_all_fields_of_a_user_are_checked(installation: Installation) -> None:
    bad = {
        "email": "no",
        "firstName": "x" * 101,
        "lastName": "a\nb",
        "role": "emperor",
        "password": "short",
        "locale": "?",
    }
    assert pointers(refused(installation.post("/users", bad, installation.key), 422)) == {f"/{name}" for name in bad}
    person = installation.user()
    bad.pop("email")
    assert pointers(refused(installation.patch(f"/users/{person.id}", bad, installation.key), 422)) == {
        f"/{name}" for name in bad
    }


def test_a_blocked_user_is_out_at_once_and_in_again_when_freed(installation: Installation) -> None:
    person = installation.user("team")
    assert installation.patch(f"/users/{person.id}", {"blocked": True}, installation.key).json["blocked"] is True
    refused(installation.get("/users/me", person.token), 401)
    refused(installation.post("/auth/refresh", {"refreshToken": person.refresh_token}), 401)
    answer = installation.post("/auth/login", {"email": person.email, "password": PASSWORD})
    assert answer.status in {401, 403, 409}
    installation.patch(f"/users/{person.id}", {"blocked": False}, installation.key)
    refused(installation.get("/users/me", person.token), 401)
    assert installation.login(person.email).id == person.id


def test_a_role_counts_from_the_next_request(installation: Installation) -> None:
    person = installation.user("customer")
    refused(installation.get("/users", person.token), 403)
    installation.patch(f"/users/{person.id}", {"role": "team"}, installation.key)
    assert installation.get("/users", person.token).status == 200


def test_one_reads_and_changes_oneself(installation: Installation) -> None:
    person = installation.user("customer")
    me = installation.patch("/users/me", {"firstName": "Ora", "lastName": "Lind", "locale": "de"}, person.token)
    assert (me.status, me.json["firstName"], me.json["locale"]) == (200, "Ora", "de")
    assert me.json["permissions"] == ["app:plan"]
    for forbidden in ({"role": "admin"}, {"email": new_address()}, {"blocked": False}, {"password": "x" * 12}):
        refused(installation.patch("/users/me", forbidden, person.token), 400)
    assert pointers(refused(installation.patch("/users/me", {"firstName": ""}, person.token), 422)) == {"/firstName"}
    refused(installation.get("/users/me"), 401)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_users_are_closed_to_who_has_no_permission(installation: Installation, method: str) -> None:
    other, customer, team = installation.user(), installation.user("customer"), installation.user("team")
    body = {"firstName": "X"} if method == "PATCH" else None
    answer = installation.call(method, f"/api/users/{other.id}", body, token=customer.token)
    assert answer.status in {403, 404}
    if method != "GET":
        refused(installation.call(method, f"/api/users/{other.id}", body, token=team.token), 403)


def test_new_terms_stop_everything_but_consent(own_installation: Installation) -> None:
    installation = own_installation
    person, group = installation.user("team"), installation.group()
    _, token = installation.invited(person.email, groups=[group])
    installation.write_config(replace='terms-version = "1"', by='terms-version = "2"')
    installation.restart()
    for answer in (
        installation.get("/invitations", person.token),
        installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, person.token),
        installation.get("/groups", person.token),
    ):
        refused(answer, 403, "terms-required")
    assert installation.get("/users/me", person.token).status == 200
    again = installation.login(person.email)
    assert installation.post("/invitations/lookup", {"token": token}, again.token).status == 200
    assert installation.accept(token, by=again).status == 200
    assert installation.patch("/users/me", {"acceptTerms": True}, person.token).status == 200
    assert installation.get("/invitations", person.token).status == 200
    assert installation.get("/invitations", installation.key).status == 200


def test_an_erased_person_leaves_no_trace(installation: Installation) -> None:
    name, family, address = f"Quillon{next(numbers)}", f"Verhoeven{next(numbers)}", new_address("quillon.verhoeven")
    inviter = installation.user("team")
    fields = {"firstName": name, "lastName": family, "message": f"Dear {name}", "metadata": {"email": address}}
    accepted, token = installation.invited(address, token=inviter.token, role="customer", **fields)
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
    refused(installation.get(f"/users/{user['id']}", installation.key), 404)
    left = dump(installation.database).lower()
    for word in (name, family, address, address.partition("@")[0], address.title()):
        assert word.lower() not in left, [line for line in left.splitlines() if word.lower() in line][:3]
    for made in (accepted, pending.json):
        shown = installation.get(f"/invitations/{made['id']}", installation.key)
        assert shown.status == 200
        assert name not in shown.body.decode()
        assert address.lower() not in shown.body.decode().lower()
    assert "invitation.accepted" in {event["type"] for event in installation.events(accepted["id"])}
    refused(installation.post("/auth/login", {"email": address, "password": PASSWORD}), 401)
    listed = installation.get("/invitations?limit=200", installation.key).body.decode().lower()
    assert address.lower() not in listed


def test_an_erased_inviter_is_no_name_in_the_history(installation: Installation) -> None:
    name = f"Ignatz{next(numbers)}"
    inviter = installation.user("team", firstName=name)
    made = installation.invite(token=inviter.token)
    installation.mail(made["inviteEmail"])
    assert installation.delete(f"/users/{inviter.id}", installation.key).status == 204
    assert name.lower() not in dump(installation.database).lower()
    shown = installation.invitation(made["id"])
    assert (shown["invitedBy"]["type"], shown["invitedBy"]["id"]) == ("USER", inviter.id)
    assert name not in str(shown) + str(installation.events(made["id"]))
    assert installation.get(f"/invitations?invitedBy={inviter.id}", installation.key).json["total"] == 1
