"""Accounts: making, reading, changing, blocking, erasing."""

import pytest
from tests.support.database_dump import dump
from tests.support.installation import PASSWORD, PROFILE, House, new_address, numbers, pointers, refused

FIELDS = {
    "id", "email", "emailVerified", "externalId", "firstName", "lastName", "role", "groups", "locale", "blocked",
    "createdAt", "lastLoginAt",
}  # fmt: skip


def test_a_user_is_made_read_and_changed(house: House) -> None:
    sent = {
        "email": new_address("Mixed.Case"),
        "externalId": f"idp|{next(numbers)}",
        "firstName": "Ida",
        "lastName": "Noor",
        "role": "customer",
        "locale": "de",
        "password": PASSWORD,
    }
    made = house.post("/users", sent, house.key)
    assert made.status == 201
    assert made.json.keys() >= FIELDS
    assert "password" not in made.json
    assert made.json | {name: sent[name] for name in sent if name != "password"} == made.json
    assert (made.json["emailVerified"], made.json["blocked"], made.json["lastLoginAt"]) == (True, False, None)
    assert house.call("GET", made.headers["Location"], token=house.key).json == made.json
    changed = house.patch(f"/users/{made.json['id']}", {"firstName": "Ada", "role": "team", "locale": None}, house.key)
    assert (changed.status, changed.json["firstName"], changed.json["role"]) == (200, "Ada", "team")
    house.login(sent["email"])
    assert house.get(f"/users/{made.json['id']}", house.key).json["lastLoginAt"]


def test_addresses_and_external_ids_are_taken_once(house: House) -> None:
    one = house.user(externalId=f"idp|{next(numbers)}")
    fields = {"email": new_address(), "firstName": "A", "lastName": "B"}
    refused(house.post("/users", fields | {"email": one.email.upper()}, house.key), 409)
    external = house.get(f"/users/{one.id}", house.key).json["externalId"]
    refused(house.post("/users", fields | {"externalId": external}, house.key), 409)
    two = house.user()
    refused(house.patch(f"/users/{two.id}", {"email": one.email}, house.key), 409)


def test_all_fields_of_a_user_are_checked(house: House) -> None:
    bad = {
        "email": "no",
        "firstName": "x" * 101,
        "lastName": "a\nb",
        "role": "emperor",
        "password": "short",
        "locale": "?",
    }
    assert pointers(refused(house.post("/users", bad, house.key), 422)) == {f"/{name}" for name in bad}
    person = house.user()
    bad.pop("email")
    assert pointers(refused(house.patch(f"/users/{person.id}", bad, house.key), 422)) == {f"/{name}" for name in bad}


def test_a_blocked_user_is_out_at_once_and_in_again_when_freed(house: House) -> None:
    person = house.user("team")
    assert house.patch(f"/users/{person.id}", {"blocked": True}, house.key).json["blocked"] is True
    refused(house.get("/users/me", person.token), 401)
    refused(house.post("/auth/refresh", {"refreshToken": person.refresh_token}), 401)
    answer = house.post("/auth/login", {"email": person.email, "password": PASSWORD})
    assert answer.status in {401, 403, 409}
    house.patch(f"/users/{person.id}", {"blocked": False}, house.key)
    refused(house.get("/users/me", person.token), 401)
    assert house.login(person.email).id == person.id


def test_a_role_counts_from_the_next_request(house: House) -> None:
    person = house.user("customer")
    refused(house.get("/users", person.token), 403)
    house.patch(f"/users/{person.id}", {"role": "team"}, house.key)
    assert house.get("/users", person.token).status == 200


def test_one_reads_and_changes_oneself(house: House) -> None:
    person = house.user("customer")
    me = house.patch("/users/me", {"firstName": "Ora", "lastName": "Lind", "locale": "de"}, person.token)
    assert (me.status, me.json["firstName"], me.json["locale"]) == (200, "Ora", "de")
    assert me.json["permissions"] == ["app:plan"]
    for forbidden in ({"role": "admin"}, {"email": new_address()}, {"blocked": False}, {"password": "x" * 12}):
        refused(house.patch("/users/me", forbidden, person.token), 400)
    assert pointers(refused(house.patch("/users/me", {"firstName": ""}, person.token), 422)) == {"/firstName"}
    refused(house.get("/users/me"), 401)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_users_are_closed_to_who_has_no_permission(house: House, method: str) -> None:
    other, customer, team = house.user(), house.user("customer"), house.user("team")
    body = {"firstName": "X"} if method == "PATCH" else None
    answer = house.call(method, f"/api/users/{other.id}", body, token=customer.token)
    assert answer.status in {403, 404}
    if method != "GET":
        refused(house.call(method, f"/api/users/{other.id}", body, token=team.token), 403)


def test_new_terms_stop_everything_but_consent(own_house: House) -> None:
    house = own_house
    person, group = house.user("team"), house.group()
    _, token = house.invited(person.email, groups=[group])
    house.write_config(replace='terms-version = "1"', by='terms-version = "2"')
    house.restart()
    for answer in (
        house.get("/invitations", person.token),
        house.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, person.token),
        house.get("/groups", person.token),
    ):
        refused(answer, 403, "terms-required")
    assert house.get("/users/me", person.token).status == 200
    again = house.login(person.email)
    assert house.post("/invitations/lookup", {"token": token}, again.token).status == 200
    assert house.accept(token, by=again).status == 200
    assert house.patch("/users/me", {"acceptTerms": True}, person.token).status == 200
    assert house.get("/invitations", person.token).status == 200
    assert house.get("/invitations", house.key).status == 200


def test_an_erased_person_leaves_no_trace(house: House) -> None:
    name, family, address = f"Quillon{next(numbers)}", f"Verhoeven{next(numbers)}", new_address("quillon.verhoeven")
    inviter = house.user("team")
    fields = {"firstName": name, "lastName": family, "message": f"Dear {name}", "metadata": {"email": address}}
    accepted, token = house.invited(address, token=inviter.token, role="customer", **fields)
    headers = {"Idempotency-Key": f"erase-{next(numbers)}"}
    pending_body = {"inviteEmail": address.title(), "role": "team", "firstName": name, "lastName": family}
    pending = house.post("/invitations", pending_body, house.key, headers=headers)
    assert pending.status == 201
    declined = house.invite(address, groups=[house.group()])
    house.post("/invitations/decline", {"token": house.mail_of(declined).token, "reason": f"{name} is away"})
    user = house.accept(token, **PROFILE | {"firstName": name, "lastName": family}).json["user"]
    reset = house.post("/auth/password/reset-request", {"email": address})
    assert reset.status == 202
    house.post("/auth/login", {"email": address, "password": PASSWORD})
    assert house.delete(f"/users/{user['id']}", house.key).status == 204
    refused(house.get(f"/users/{user['id']}", house.key), 404)
    left = dump(house.database).lower()
    for word in (name, family, address, address.partition("@")[0], address.title()):
        assert word.lower() not in left, [line for line in left.splitlines() if word.lower() in line][:3]
    for made in (accepted, pending.json):
        shown = house.get(f"/invitations/{made['id']}", house.key)
        assert shown.status == 200
        assert name not in shown.body.decode()
        assert address.lower() not in shown.body.decode().lower()
    assert "invitation.accepted" in {event["type"] for event in house.events(accepted["id"])}
    refused(house.post("/auth/login", {"email": address, "password": PASSWORD}), 401)
    listed = house.get("/invitations?limit=200", house.key).body.decode().lower()
    assert address.lower() not in listed


def test_an_erased_inviter_is_no_name_in_the_history(house: House) -> None:
    name = f"Ignatz{next(numbers)}"
    inviter = house.user("team", firstName=name)
    made = house.invite(token=inviter.token)
    house.mail(made["inviteEmail"])
    assert house.delete(f"/users/{inviter.id}", house.key).status == 204
    assert name.lower() not in dump(house.database).lower()
    shown = house.invitation(made["id"])
    assert (shown["invitedBy"]["type"], shown["invitedBy"]["id"]) == ("USER", inviter.id)
    assert name not in str(shown) + str(house.events(made["id"]))
    assert house.get(f"/invitations?invitedBy={inviter.id}", house.key).json["total"] == 1
