"""Who is asking: headers, cookies, CSRF, API keys, permissions."""

import re
from typing import Any

import pytest
from tests.support.installation import PASSWORD, PROFILE, Answer, Installation, Person, new_address, refused

BAD = ["nonsense", "ey.ey.ey", "lsk_", "lsk_" + "A" * 40, ""]
KEY = re.compile(r"^lsk_[A-Za-z0-9_-]{20,}$")


def browser(answer: Answer) -> dict[str, str]:
    """The cookies of a session as a browser sends them back."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}


def test_cookies_carry_a_session_and_unsafe_methods_need_the_csrf_token(installation: Installation) -> None:
    person = installation.user("team")
    signed_in = installation.post("/auth/login", {"email": person.email, "password": PASSWORD})
    cookies, csrf = browser(signed_in), signed_in.cookies["csrf_token"]
    assert signed_in.cookies.keys() >= {"access_token", "refresh_token", "csrf_token"}
    assert installation.get("/users/me", headers=cookies).json["id"] == person.id
    sent = {"inviteEmail": new_address(), "role": "customer"}
    refused(installation.post("/invitations", sent, headers=cookies), 403)
    refused(installation.post("/invitations", sent, headers=cookies | {"X-CSRF-Token": "other"}), 403)
    refused(installation.post("/invitations", sent, headers=cookies | {"X-CSRF-Token": ""}), 403)
    assert installation.post("/invitations", sent, headers=cookies | {"X-CSRF-Token": csrf}).status == 201


def test_a_csrf_token_of_another_session_is_as_good_as_none(installation: Installation) -> None:
    one, other = installation.user("team"), installation.user("team")
    mine = installation.post("/auth/login", {"email": one.email, "password": PASSWORD})
    theirs = installation.post("/auth/login", {"email": other.email, "password": PASSWORD})
    headers = browser(mine) | {"X-CSRF-Token": theirs.cookies["csrf_token"]}
    refused(installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, headers=headers), 403)


def test_session_cookies_are_kept_from_scripts(installation: Installation) -> None:
    person = installation.user()
    lines = installation.post("/auth/login", {"email": person.email, "password": PASSWORD}).headers.get_all(
        "Set-Cookie"
    )
    assert lines
    for line in lines:
        assert "samesite=" in line.lower()
        assert ("httponly" in line.lower()) is not line.startswith("csrf_token=")


def test_a_header_wins_over_a_cookie(installation: Installation) -> None:
    one, other = installation.user("team"), installation.user("team")
    cookies = browser(installation.post("/auth/login", {"email": other.email, "password": PASSWORD}))
    assert installation.get("/users/me", one.token, headers=cookies).json["id"] == one.id
    refused(installation.get("/users/me", "bad", headers=cookies), 401)
    sent = {"inviteEmail": new_address(), "role": "customer"}
    assert installation.post("/invitations", sent, one.token, headers=cookies).json["invitedBy"]["id"] == one.id
    assert installation.get("/users/me", one.token, headers={"Cookie": "access_token=bad"}).json["id"] == one.id


@pytest.mark.parametrize("credential", BAD)
def test_a_bad_credential_is_refused_where_one_is_read(installation: Installation, credential: str) -> None:
    for path in ("/roles", "/users/me", "/invitations", "/groups"):
        refused(installation.get(path, credential), 401)
    refused(installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, credential), 401)
    refused(installation.get("/users/me", headers={"Cookie": f"access_token={credential or 'x'}"}), 401)


def test_another_scheme_is_a_bad_credential(installation: Installation) -> None:
    refused(installation.get("/invitations", headers={"Authorization": "Basic YTpi"}), 401)
    refused(installation.get("/invitations", headers={"Authorization": installation.key}), 401)
    assert installation.get("/invitations", headers={"Authorization": f"bearer {installation.key}"}).status == 200


@pytest.mark.parametrize("credential", BAD)
def test_a_bad_credential_is_ignored_where_the_link_is_the_credential(
    installation: Installation, credential: str
) -> None:
    _, token = installation.invited()
    assert installation.post("/invitations/lookup", {"token": token}, credential).status == 200
    assert installation.post("/invitations/request-new", {"token": token}, credential).status == 202
    assert installation.post("/invitations/accept", {"token": token, **PROFILE}, credential).status == 201
    _, token = installation.invited()
    assert installation.post("/invitations/decline", {"token": token}, credential).status == 200
    person = installation.user()
    assert installation.post("/auth/login", {"email": person.email, "password": PASSWORD}, credential).status == 200
    assert installation.post("/auth/password/reset-request", {"email": person.email}, credential).status == 202


def test_api_keys_have_a_checksum_and_are_shown_once(installation: Installation) -> None:
    key = installation.api_key("invitations:read")
    assert KEY.match(key)
    assert installation.get("/invitations", key).status == 200
    turned = key[:-1] + ("A" if key[-1] != "A" else "B")
    refused(installation.get("/invitations", turned), 401)
    assert key not in installation.get("/api-keys", installation.key).body.decode()


def test_api_keys_do_what_their_scopes_say(installation: Installation) -> None:
    reader = installation.api_key("invitations:read")
    refused(installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, reader), 403)
    refused(installation.get("/users", reader), 403)
    made = installation.invite()
    refused(installation.delete(f"/invitations/{made['id']}", reader), 403)
    refused(installation.post(f"/invitations/{made['id']}/link", token=reader), 403)
    assert installation.get(f"/invitations/{made['id']}", reader).status == 200


def test_api_keys_grant_what_they_were_given(installation: Installation) -> None:
    key = installation.api_key("invitations:write", may_grant=("customer",))
    assert installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, key).status == 201
    refused(
        installation.post("/invitations", {"inviteEmail": new_address(), "role": "team"}, key), 403, "grant-not-allowed"
    )


def made_key(installation: Installation, caller: Person, **fields: Any) -> Answer:
    return installation.post("/api-keys", {"name": "made", **fields}, caller.token)


def test_api_keys_are_made_listed_and_removed_over_http(installation: Installation) -> None:
    admin = installation.user("admin")
    made = made_key(installation, admin, scopes=["invitations:read"])
    assert made.status == 201, made
    key = made.json["key"]
    assert "no-store" in made.headers["Cache-Control"]
    assert installation.get("/invitations", key).status == 200
    listed = installation.get("/api-keys", admin.token)
    assert made.json["id"] in {item["id"] for item in listed.json["items"]}
    assert key not in listed.body.decode()
    assert installation.delete(f"/api-keys/{made.json['id']}", admin.token).status == 204
    refused(installation.get("/invitations", key), 401)
    refused(installation.delete(f"/api-keys/{made.json['id']}", admin.token), 404)


def test_nobody_makes_a_key_that_may_do_more_than_he(installation: Installation) -> None:
    lead = installation.user("lead")
    assert made_key(installation, lead, scopes=["invitations:write"], mayGrant=["customer"]).status == 201
    refused(made_key(installation, lead, scopes=["*"]), 403)
    refused(made_key(installation, lead, scopes=["invitations:reveal"]), 403)
    refused(made_key(installation, lead, scopes=["invitations:write"], mayGrant=["admin"]), 403, "grant-not-allowed")
    refused(made_key(installation, installation.user("team"), scopes=["invitations:read"]), 403)


def test_a_key_runs_out(installation: Installation) -> None:
    admin = installation.user("admin")
    made = made_key(installation, admin, scopes=["invitations:read"], expiresAt="2020-01-01T00:00:00Z")
    if made.status == 201:
        refused(installation.get("/invitations", made.json["key"]), 401)
    else:
        refused(made, 422)


def test_app_permissions_are_handed_on(installation: Installation) -> None:
    person = installation.user("customer")
    assert "app:plan" in installation.get("/users/me", person.token).json["permissions"]
    roles = installation.get("/roles", person.token).json
    customer = next(role for role in roles["items"] if role["key"] == "customer")
    assert "app:plan" in customer["permissions"]
