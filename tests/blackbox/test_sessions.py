"""Sessions: login, refresh, logout, passwords, verified addresses, signed access tokens."""

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.support.installation import PASSWORD, Installation, new_address, pointers, refused


def signed_in(installation: Installation, email: str, password: str = PASSWORD) -> Any:
    return installation.post("/auth/login", {"email": email, "password": password})


def test_a_login_answers_the_user_and_a_session(installation: Installation) -> None:
    person = installation.user("team")
    answer = signed_in(installation, person.email.upper())
    assert (answer.status, answer.json.keys()) == (200, {"user", "accessToken", "refreshToken", "expiresIn"})
    assert answer.json["expiresIn"] == 900
    assert answer.json["user"]["id"] == person.id


def test_wrong_address_and_wrong_password_are_told_alike(installation: Installation) -> None:
    person = installation.user()
    wrong = signed_in(installation, person.email, "not the password 1")
    unknown = signed_in(installation, new_address(), "not the password 1")
    one, two = refused(wrong, 401, "invalid-credentials"), refused(unknown, 401, "invalid-credentials")
    assert one | {"instance": 0} == two | {"instance": 0}
    no_password = {"email": new_address(), "firstName": "A", "lastName": "B"}
    assert installation.post("/users", no_password, installation.key).status == 201
    refused(signed_in(installation, str(no_password["email"]), "anything at all"), 401, "invalid-credentials")


def test_wrong_address_and_wrong_password_take_the_same_time(installation: Installation) -> None:
    person = installation.user()

    def seconds(email: str) -> float:
        start = time.perf_counter()
        signed_in(installation, email, "not the password 1")
        return time.perf_counter() - start

    pairs = [(seconds(person.email), seconds(new_address())) for _ in range(15)]
    known, unknown = (min(column) for column in zip(*pairs, strict=True))  # what waited for others does not count
    assert 0.5 < known / unknown < 2.0


def test_refresh_tokens_rotate_and_an_old_one_ends_the_session(installation: Installation) -> None:
    person = installation.user()
    first = signed_in(installation, person.email).json
    other = installation.login(person.email)
    second = installation.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert (second.status, second.json.keys()) == (200, {"user", "accessToken", "refreshToken", "expiresIn"})
    assert second.json["refreshToken"] != first["refreshToken"]
    assert installation.get("/users/me", second.json["accessToken"]).status == 200
    refused(installation.post("/auth/refresh", {"refreshToken": first["refreshToken"]}), 401)
    refused(installation.get("/users/me", second.json["accessToken"]), 401)
    refused(installation.post("/auth/refresh", {"refreshToken": second.json["refreshToken"]}), 401)
    assert installation.get("/users/me", other.token).status == 200


def test_refresh_and_logout_work_by_cookie(installation: Installation) -> None:
    person = installation.user()
    answer = signed_in(installation, person.email)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
    csrf = {"X-CSRF-Token": answer.cookies["csrf_token"]}
    fresh = installation.post("/auth/refresh", headers=cookies | csrf)
    assert fresh.status == 200
    assert fresh.cookies["refresh_token"] != answer.cookies["refresh_token"]
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in fresh.cookies.items())}
    csrf = {"X-CSRF-Token": fresh.cookies["csrf_token"]}
    assert installation.post("/auth/logout", headers=cookies | csrf).status in {200, 204}
    refused(installation.get("/users/me", headers=cookies), 401)


@pytest.mark.parametrize("token", ["", "x", "ey.a.b", "lsr_" + "a" * 60])
def test_a_bad_refresh_token_is_refused(installation: Installation, token: str) -> None:
    refused(installation.post("/auth/refresh", {"refreshToken": token}), 401)


def test_logout_ends_this_session_only(installation: Installation) -> None:
    person = installation.user()
    other = installation.login(person.email)
    assert installation.post("/auth/logout", token=person.token).status in {200, 204}
    refused(installation.get("/users/me", person.token), 401)
    refused(installation.post("/auth/refresh", {"refreshToken": person.refresh_token}), 401)
    assert installation.get("/users/me", other.token).status == 200


def test_a_forgotten_password_is_set_anew_by_mail(installation: Installation) -> None:
    person = installation.user()
    assert installation.post("/auth/password/reset-request", {"email": person.email}).status == 202
    token = installation.mail_about(person.email, "/password-reset").token
    weak = installation.post("/auth/password/reset", {"token": token, "newPassword": "short"})
    assert pointers(refused(weak, 422)) == {"/newPassword"}
    done = installation.post("/auth/password/reset", {"token": token, "newPassword": "quite another one 5"})
    assert done.status in {200, 204}, done
    refused(installation.get("/users/me", person.token), 401)
    refused(signed_in(installation, person.email), 401)
    assert signed_in(installation, person.email, "quite another one 5").status == 200
    again = installation.post("/auth/password/reset", {"token": token, "newPassword": "quite another one 6"})
    refused(again, 401, "reset-token-invalid")


def test_a_newer_reset_does_not_help_an_older_link_after_use(installation: Installation) -> None:
    person = installation.user()
    tokens = list[str]()
    for count in (1, 2):
        installation.post("/auth/password/reset-request", {"email": person.email})
        tokens.append(installation.mail(person.email, count).token)
    assert installation.post("/auth/password/reset", {"token": tokens[1], "newPassword": PASSWORD + "1"}).status in {
        200,
        204,
    }
    for token in tokens:
        answer = installation.post("/auth/password/reset", {"token": token, "newPassword": PASSWORD + "2"})
        refused(answer, 401, "reset-token-invalid")


def test_a_reset_is_asked_for_alike_for_everybody(installation: Installation) -> None:
    address, person = new_address(), installation.user()
    answers = [installation.post("/auth/password/reset-request", {"email": one}) for one in (address, person.email)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body
    installation.mail(person.email)
    assert installation.smtp.to(address) == []


def test_tokens_serve_their_purpose_only(installation: Installation) -> None:
    person = installation.user()
    installation.post("/auth/password/reset-request", {"email": person.email})
    reset = installation.mail(person.email).token
    _, invitation = installation.invited()
    refused(installation.post("/invitations/lookup", {"token": reset}), 401, "invitation-token-invalid")
    refused(installation.post("/invitations/lookup", {"token": person.token}), 401, "invitation-token-invalid")
    body = {"newPassword": PASSWORD + "1"}
    refused(installation.post("/auth/password/reset", {"token": invitation, **body}), 401, "reset-token-invalid")
    refused(installation.post("/auth/email/verify", {"token": reset}), 401)
    for token in (reset, invitation):
        refused(installation.get("/users/me", token), 401)


def test_an_address_is_verified_by_mail(installation: Installation) -> None:
    person = installation.user(emailVerified=False)
    assert installation.post("/auth/email/verify-request", token=person.token).status == 202
    token = installation.mail_about(person.email, "/verify-email").token
    assert installation.post("/auth/email/verify", {"token": token}).status in {200, 204}
    assert installation.get("/users/me", person.token).json["emailVerified"] is True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_access_tokens_can_be_checked_by_the_app(installation: Installation) -> None:
    group, person = installation.group(), installation.user("team")
    installation.post(f"/groups/{group}/members/{person.id}", token=installation.key)
    access = signed_in(installation, person.email).json["accessToken"]
    published = installation.call("GET", "/.well-known/jwks.json")
    assert published.status == 200
    keys = KeySet.import_key_set(published.json)
    assert all(key["kty"] == "OKP" and key["crv"] == "Ed25519" and "d" not in key for key in published.json["keys"])
    header = json.loads(base64.urlsafe_b64decode(access.split(".")[0] + "=="))
    token = jwt.decode(access, keys, algorithms=[header["alg"]])
    assert header["alg"] in {"EdDSA", "Ed25519"}
    claims = token.claims
    assert claims.keys() >= {"sub", "role", "permissions", "groups", "iss", "aud", "exp", "iat", "sid"}
    assert (claims["sub"], claims["role"], claims["groups"]) == (person.id, "team", [group])
    assert set(claims["permissions"]) == {"invitations:read", "invitations:write", "users:read", "app:plan"}
    assert claims["exp"] - claims["iat"] == 900


@pytest.mark.parametrize("change", ["header", "payload", "signature", "none", "hs256"])
def test_a_forged_access_token_is_refused(installation: Installation, change: str) -> None:
    person = installation.user("customer")
    header, payload, signature = person.token.split(".")

    def encoded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = {
        "header": f"{encoded({'alg': 'EdDSA', 'kid': 'x'})}.{payload}.{signature}",
        "payload": f"{header}.{encoded(claims | {'role': 'admin', 'permissions': ['*']})}.{signature}",
        "signature": f"{header}.{payload}.{signature[:-3]}AAA",
        "none": f"{encoded({'alg': 'none'})}.{payload}.",
        "hs256": f"{encoded({'alg': 'HS256'})}.{payload}.{signature}",
    }
    refused(installation.get("/users/me", forged[change]), 401)
