"""Credentials: headers, cookies, CSRF, API keys, permissions."""

import re
from typing import Any

import pytest
from tests.support.installation import PASSWORD, PROFILE, Answer, Installation, SignedInUser, check_problem, new_address

INVALID = ["nonsense", "ey.ey.ey", "lsk_", "lsk_" + "A" * 40, ""]
KEY = re.compile(r"^lsk_[A-Za-z0-9_-]{20,}$")


def cookie_header(answer: Answer) -> dict[str, str]:
    """Return the Cookie header that a browser sends after this answer."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}


def test_unsafe_methods_with_session_cookies_require_the_csrf_token(installation: Installation) -> None:
    user = installation.user("team")
    signed_in = installation.post("/auth/login", {"email": user.email, "password": PASSWORD})
    cookies, csrf = cookie_header(signed_in), signed_in.cookies["csrf_token"]
    assert signed_in.cookies.keys() >= {"access_token", "refresh_token", "csrf_token"}
    assert installation.get("/users/me", headers=cookies).json["id"] == user.id
    body = {"inviteEmail": new_address(), "role": "customer"}
    check_problem(installation.post("/invitations", body, headers=cookies), 403)
    check_problem(installation.post("/invitations", body, headers=cookies | {"X-CSRF-Token": "other"}), 403)
    check_problem(installation.post("/invitations", body, headers=cookies | {"X-CSRF-Token": ""}), 403)
    assert installation.post("/invitations", body, headers=cookies | {"X-CSRF-Token": csrf}).status == 201


def test_a_csrf_token_of_another_session_is_refused(installation: Installation) -> None:
    user, other = installation.user("team"), installation.user("team")
    mine = installation.post("/auth/login", {"email": user.email, "password": PASSWORD})
    theirs = installation.post("/auth/login", {"email": other.email, "password": PASSWORD})
    headers = cookie_header(mine) | {"X-CSRF-Token": theirs.cookies["csrf_token"]}
    check_problem(
        installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, headers=headers), 403
    )


def test_session_cookies_are_http_only(installation: Installation) -> None:
    user = installation.user()
    lines = installation.post("/auth/login", {"email": user.email, "password": PASSWORD}).headers.get_all("Set-Cookie")
    assert lines
    for line in lines:
        assert "samesite=" in line.lower()
        assert ("httponly" in line.lower()) is not line.startswith("csrf_token=")


def test_a_header_takes_precedence_over_a_cookie(installation: Installation) -> None:
    user, other = installation.user("team"), installation.user("team")
    cookies = cookie_header(installation.post("/auth/login", {"email": other.email, "password": PASSWORD}))
    assert installation.get("/users/me", user.token, headers=cookies).json["id"] == user.id
    check_problem(installation.get("/users/me", "bad", headers=cookies), 401)
    body = {"inviteEmail": new_address(), "role": "customer"}
    assert installation.post("/invitations", body, user.token, headers=cookies).json["invitedBy"]["id"] == user.id
    assert installation.get("/users/me", user.token, headers={"Cookie": "access_token=bad"}).json["id"] == user.id


@pytest.mark.parametrize("credential", INVALID)
def test_an_invalid_credential_is_refused(installation: Installation, credential: str) -> None:
    for path in ("/roles", "/users/me", "/invitations", "/groups"):
        check_problem(installation.get(path, credential), 401)
    check_problem(
        installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, credential), 401
    )
    check_problem(installation.get("/users/me", headers={"Cookie": f"access_token={credential or 'x'}"}), 401)


def test_another_scheme_is_an_invalid_credential(installation: Installation) -> None:
    check_problem(installation.get("/invitations", headers={"Authorization": "Basic YTpi"}), 401)
    check_problem(installation.get("/invitations", headers={"Authorization": installation.key}), 401)
    assert installation.get("/invitations", headers={"Authorization": f"bearer {installation.key}"}).status == 200


@pytest.mark.parametrize("credential", INVALID)
def test_an_invalid_credential_is_ignored_where_the_link_is_the_credential(
    installation: Installation, credential: str
) -> None:
    _, token = installation.invite_with_token()
    assert installation.post("/invitations/lookup", {"token": token}, credential).status == 200
    assert installation.post("/invitations/request-new", {"token": token}, credential).status == 202
    assert installation.post("/invitations/accept", {"token": token, **PROFILE}, credential).status == 201
    _, token = installation.invite_with_token()
    assert installation.post("/invitations/decline", {"token": token}, credential).status == 200
    user = installation.user()
    assert installation.post("/auth/login", {"email": user.email, "password": PASSWORD}, credential).status == 200
    assert installation.post("/auth/password/reset-request", {"email": user.email}, credential).status == 202


def test_api_keys_have_a_checksum_and_are_shown_once(installation: Installation) -> None:
    key = installation.api_key("invitations:read")
    assert KEY.match(key)
    assert installation.get("/invitations", key).status == 200
    changed = key[:-1] + ("A" if key[-1] != "A" else "B")
    check_problem(installation.get("/invitations", changed), 401)
    assert key not in installation.get("/api-keys", installation.key).body.decode()


def test_api_keys_are_limited_to_their_scopes(installation: Installation) -> None:
    reader = installation.api_key("invitations:read")
    check_problem(installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, reader), 403)
    check_problem(installation.get("/users", reader), 403)
    invitation = installation.invite()
    check_problem(installation.delete(f"/invitations/{invitation['id']}", reader), 403)
    check_problem(installation.post(f"/invitations/{invitation['id']}/link", token=reader), 403)
    assert installation.get(f"/invitations/{invitation['id']}", reader).status == 200


def test_api_keys_grant_only_allowed_roles(installation: Installation) -> None:
    key = installation.api_key("invitations:write", may_grant=("customer",))
    assert installation.post("/invitations", {"inviteEmail": new_address(), "role": "customer"}, key).status == 201
    check_problem(
        installation.post("/invitations", {"inviteEmail": new_address(), "role": "team"}, key), 403, "grant-not-allowed"
    )


def create_key(installation: Installation, caller: SignedInUser, **fields: Any) -> Answer:
    return installation.post("/api-keys", {"name": "k", **fields}, caller.token)


def test_api_keys_can_be_created_listed_and_deleted(installation: Installation) -> None:
    admin = installation.user("admin")
    answer = create_key(installation, admin, scopes=["invitations:read"])
    assert answer.status == 201, answer
    key = answer.json["key"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert installation.get("/invitations", key).status == 200
    listed = installation.get("/api-keys", admin.token)
    assert answer.json["id"] in {item["id"] for item in listed.json["items"]}
    assert key not in listed.body.decode()
    assert installation.delete(f"/api-keys/{answer.json['id']}", admin.token).status == 204
    check_problem(installation.get("/invitations", key), 401)
    check_problem(installation.delete(f"/api-keys/{answer.json['id']}", admin.token), 404)


def test_a_key_cannot_exceed_the_permissions_of_its_creator(installation: Installation) -> None:
    lead = installation.user("lead")
    assert create_key(installation, lead, scopes=["invitations:write"], mayGrant=["customer"]).status == 201
    check_problem(create_key(installation, lead, scopes=["*"]), 403)
    check_problem(create_key(installation, lead, scopes=["invitations:reveal"]), 403)
    check_problem(
        create_key(installation, lead, scopes=["invitations:write"], mayGrant=["admin"]), 403, "grant-not-allowed"
    )
    check_problem(create_key(installation, installation.user("team"), scopes=["invitations:read"]), 403)


def test_an_expired_key_is_refused(installation: Installation) -> None:
    admin = installation.user("admin")
    answer = create_key(installation, admin, scopes=["invitations:read"], expiresAt="2020-01-01T00:00:00Z")
    if answer.status == 201:
        check_problem(installation.get("/invitations", answer.json["key"]), 401)
    else:
        check_problem(answer, 422)


def test_app_permissions_are_listed(installation: Installation) -> None:
    user = installation.user("customer")
    assert "app:plan" in installation.get("/users/me", user.token).json["permissions"]
    roles = installation.get("/roles", user.token).json
    customer = next(role for role in roles["items"] if role["key"] == "customer")
    assert "app:plan" in customer["permissions"]
