"""Sessions: login, refresh, logout, passwords, verified addresses, signed access tokens."""

import base64
import json
import statistics
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.support.installation import PASSWORD, House, new_address, pointers, refused


def signed_in(house: House, email: str, password: str = PASSWORD) -> Any:
    return house.post("/auth/login", {"email": email, "password": password})


def test_a_login_answers_the_user_and_a_session(house: House) -> None:
    person = house.user("team")
    answer = signed_in(house, person.email.upper())
    assert (answer.status, answer.json.keys()) == (200, {"user", "accessToken", "refreshToken", "expiresIn"})
    assert answer.json["expiresIn"] == 900
    assert answer.json["user"]["id"] == person.id


def test_wrong_address_and_wrong_password_are_told_alike(house: House) -> None:
    person = house.user()
    wrong = signed_in(house, person.email, "not the password 1")
    unknown = signed_in(house, new_address(), "not the password 1")
    one, two = refused(wrong, 401, "invalid-credentials"), refused(unknown, 401, "invalid-credentials")
    assert one | {"instance": 0} == two | {"instance": 0}
    no_password = {"email": new_address(), "firstName": "A", "lastName": "B"}
    assert house.post("/users", no_password, house.key).status == 201
    refused(signed_in(house, str(no_password["email"]), "anything at all"), 401, "invalid-credentials")


def test_wrong_address_and_wrong_password_take_the_same_time(house: House) -> None:
    person = house.user()

    def seconds(email: str) -> float:
        start = time.perf_counter()
        signed_in(house, email, "not the password 1")
        return time.perf_counter() - start

    pairs = [(seconds(person.email), seconds(new_address())) for _ in range(9)]
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2.0


def test_refresh_tokens_rotate_and_an_old_one_ends_the_session(house: House) -> None:
    person = house.user()
    first = signed_in(house, person.email).json
    other = house.login(person.email)
    second = house.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert (second.status, second.json.keys()) == (200, {"user", "accessToken", "refreshToken", "expiresIn"})
    assert second.json["refreshToken"] != first["refreshToken"]
    assert house.get("/users/me", second.json["accessToken"]).status == 200
    refused(house.post("/auth/refresh", {"refreshToken": first["refreshToken"]}), 401)
    refused(house.get("/users/me", second.json["accessToken"]), 401)
    refused(house.post("/auth/refresh", {"refreshToken": second.json["refreshToken"]}), 401)
    assert house.get("/users/me", other.token).status == 200


def test_refresh_and_logout_work_by_cookie(house: House) -> None:
    person = house.user()
    answer = signed_in(house, person.email)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
    csrf = {"X-CSRF-Token": answer.cookies["csrf_token"]}
    fresh = house.post("/auth/refresh", headers=cookies | csrf)
    assert fresh.status == 200
    assert fresh.cookies["refresh_token"] != answer.cookies["refresh_token"]
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in fresh.cookies.items())}
    csrf = {"X-CSRF-Token": fresh.cookies["csrf_token"]}
    assert house.post("/auth/logout", headers=cookies | csrf).status in {200, 204}
    refused(house.get("/users/me", headers=cookies), 401)


@pytest.mark.parametrize("token", ["", "x", "ey.a.b", "lsr_" + "a" * 60])
def test_a_bad_refresh_token_is_refused(house: House, token: str) -> None:
    refused(house.post("/auth/refresh", {"refreshToken": token}), 401)


def test_logout_ends_this_session_only(house: House) -> None:
    person = house.user()
    other = house.login(person.email)
    assert house.post("/auth/logout", token=person.token).status in {200, 204}
    refused(house.get("/users/me", person.token), 401)
    refused(house.post("/auth/refresh", {"refreshToken": person.refresh_token}), 401)
    assert house.get("/users/me", other.token).status == 200


def test_a_forgotten_password_is_set_anew_by_mail(house: House) -> None:
    person = house.user()
    assert house.post("/auth/password/reset-request", {"email": person.email}).status == 202
    token = house.mail_about(person.email, "/password-reset").token
    weak = house.post("/auth/password/reset", {"token": token, "newPassword": "short"})
    assert pointers(refused(weak, 422)) == {"/newPassword"}
    done = house.post("/auth/password/reset", {"token": token, "newPassword": "quite another one 5"})
    assert done.status in {200, 204}, done
    refused(house.get("/users/me", person.token), 401)
    refused(signed_in(house, person.email), 401)
    assert signed_in(house, person.email, "quite another one 5").status == 200
    again = house.post("/auth/password/reset", {"token": token, "newPassword": "quite another one 6"})
    refused(again, 401, "reset-token-invalid")


def test_a_newer_reset_does_not_help_an_older_link_after_use(house: House) -> None:
    person = house.user()
    tokens = list[str]()
    for count in (1, 2):
        house.post("/auth/password/reset-request", {"email": person.email})
        tokens.append(house.mail(person.email, count).token)
    assert house.post("/auth/password/reset", {"token": tokens[1], "newPassword": PASSWORD + "1"}).status in {200, 204}
    for token in tokens:
        answer = house.post("/auth/password/reset", {"token": token, "newPassword": PASSWORD + "2"})
        refused(answer, 401, "reset-token-invalid")


def test_a_reset_is_asked_for_alike_for_everybody(house: House) -> None:
    address, person = new_address(), house.user()
    answers = [house.post("/auth/password/reset-request", {"email": one}) for one in (address, person.email)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body
    house.mail(person.email)
    assert house.smtp.to(address) == []


def test_tokens_serve_their_purpose_only(house: House) -> None:
    person = house.user()
    house.post("/auth/password/reset-request", {"email": person.email})
    reset = house.mail(person.email).token
    _, invitation = house.invited()
    refused(house.post("/invitations/lookup", {"token": reset}), 401, "invitation-token-invalid")
    refused(house.post("/invitations/lookup", {"token": person.token}), 401, "invitation-token-invalid")
    body = {"newPassword": PASSWORD + "1"}
    refused(house.post("/auth/password/reset", {"token": invitation, **body}), 401, "reset-token-invalid")
    refused(house.post("/auth/email/verify", {"token": reset}), 401)
    for token in (reset, invitation):
        refused(house.get("/users/me", token), 401)


def test_an_address_is_verified_by_mail(house: House) -> None:
    person = house.user(emailVerified=False)
    assert house.post("/auth/email/verify-request", token=person.token).status == 202
    token = house.mail_about(person.email, "/verify-email").token
    assert house.post("/auth/email/verify", {"token": token}).status in {200, 204}
    assert house.get("/users/me", person.token).json["emailVerified"] is True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_access_tokens_can_be_checked_by_the_app(house: House) -> None:
    group, person = house.group(), house.user("team")
    house.post(f"/groups/{group}/members/{person.id}", token=house.key)
    access = signed_in(house, person.email).json["accessToken"]
    published = house.call("GET", "/.well-known/jwks.json")
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
def test_a_forged_access_token_is_refused(house: House, change: str) -> None:
    person = house.user("customer")
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
    refused(house.get("/users/me", forged[change]), 401)
