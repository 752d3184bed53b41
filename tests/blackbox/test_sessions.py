"""Sessions: login, refresh, logout, passwords, verified addresses, signed access tokens."""

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.support.installation import PASSWORD, Installation, check_problem, new_address, pointers


def sign_in(installation: Installation, email: str, password: str = PASSWORD) -> Any:
    return installation.post("/auth/login", {"email": email, "password": password})


def test_a_login_returns_the_user_and_a_session(installation: Installation) -> None:
    user = installation.user("team")
    answer = sign_in(installation, user.email.upper())
    assert (answer.status, answer.json.keys()) == (200, {"user", "accessToken", "refreshToken", "expiresIn"})
    assert answer.json["expiresIn"] == 900
    assert answer.json["user"]["id"] == user.id


def test_wrong_address_and_wrong_password_get_the_same_answer(installation: Installation) -> None:
    user = installation.user()
    wrong = sign_in(installation, user.email, "not the password 1")
    unknown = sign_in(installation, new_address(), "not the password 1")
    first, second = check_problem(wrong, 401, "invalid-credentials"), check_problem(unknown, 401, "invalid-credentials")
    assert first | {"instance": 0} == second | {"instance": 0}
    no_password = {"email": new_address(), "firstName": "A", "lastName": "B"}
    assert installation.post("/users", no_password, installation.key).status == 201
    check_problem(sign_in(installation, str(no_password["email"]), "anything at all"), 401, "invalid-credentials")


def test_wrong_address_and_wrong_password_take_the_same_time(installation: Installation) -> None:
    user = installation.user()

    def seconds(email: str) -> float:
        start = time.perf_counter()
        sign_in(installation, email, "not the password 1")
        return time.perf_counter() - start

    pairs = [(seconds(user.email), seconds(new_address())) for _ in range(15)]
    known, unknown = (
        min(column) for column in zip(*pairs, strict=True)
    )  # the minimum excludes waiting for other processes
    assert 0.5 < known / unknown < 2.0


def test_refresh_tokens_rotate_and_an_old_one_ends_the_session(installation: Installation) -> None:
    user = installation.user()
    first = sign_in(installation, user.email).json
    other = installation.login(user.email)
    second = installation.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert (second.status, second.json.keys()) == (200, {"user", "accessToken", "refreshToken", "expiresIn"})
    assert second.json["refreshToken"] != first["refreshToken"]
    assert installation.get("/users/me", second.json["accessToken"]).status == 200
    check_problem(installation.post("/auth/refresh", {"refreshToken": first["refreshToken"]}), 401)
    check_problem(installation.get("/users/me", second.json["accessToken"]), 401)
    check_problem(installation.post("/auth/refresh", {"refreshToken": second.json["refreshToken"]}), 401)
    assert installation.get("/users/me", other.token).status == 200


def test_refresh_and_logout_work_by_cookie(installation: Installation) -> None:
    user = installation.user()
    answer = sign_in(installation, user.email)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
    csrf = {"X-CSRF-Token": answer.cookies["csrf_token"]}
    fresh = installation.post("/auth/refresh", headers=cookies | csrf)
    assert fresh.status == 200
    assert fresh.cookies["refresh_token"] != answer.cookies["refresh_token"]
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in fresh.cookies.items())}
    csrf = {"X-CSRF-Token": fresh.cookies["csrf_token"]}
    assert installation.post("/auth/logout", headers=cookies | csrf).status in {200, 204}
    check_problem(installation.get("/users/me", headers=cookies), 401)


@pytest.mark.parametrize("token", ["", "x", "ey.a.b", "lsr_" + "a" * 60])
def test_an_invalid_refresh_token_is_refused(installation: Installation, token: str) -> None:
    check_problem(installation.post("/auth/refresh", {"refreshToken": token}), 401)


def test_logout_ends_this_session_only(installation: Installation) -> None:
    user = installation.user()
    other = installation.login(user.email)
    assert installation.post("/auth/logout", token=user.token).status in {200, 204}
    check_problem(installation.get("/users/me", user.token), 401)
    check_problem(installation.post("/auth/refresh", {"refreshToken": user.refresh_token}), 401)
    assert installation.get("/users/me", other.token).status == 200


def test_a_forgotten_password_can_be_reset_by_mail(installation: Installation) -> None:
    user = installation.user()
    assert installation.post("/auth/password/reset-request", {"email": user.email}).status == 202
    token = installation.mail_about(user.email, "/password-reset").token
    weak = installation.post("/auth/password/reset", {"token": token, "newPassword": "short"})
    assert pointers(check_problem(weak, 422)) == {"/newPassword"}
    answer = installation.post("/auth/password/reset", {"token": token, "newPassword": "quite another one 5"})
    assert answer.status in {200, 204}, answer
    check_problem(installation.get("/users/me", user.token), 401)
    check_problem(sign_in(installation, user.email), 401)
    assert sign_in(installation, user.email, "quite another one 5").status == 200
    again = installation.post("/auth/password/reset", {"token": token, "newPassword": "quite another one 6"})
    check_problem(again, 401, "reset-token-invalid")


def test_using_a_reset_link_invalidates_older_links(installation: Installation) -> None:
    user = installation.user()
    tokens = list[str]()
    for count in (1, 2):
        installation.post("/auth/password/reset-request", {"email": user.email})
        tokens.append(installation.mail(user.email, count).token)
    assert installation.post("/auth/password/reset", {"token": tokens[1], "newPassword": PASSWORD + "1"}).status in {
        200,
        204,
    }
    for token in tokens:
        answer = installation.post("/auth/password/reset", {"token": token, "newPassword": PASSWORD + "2"})
        check_problem(answer, 401, "reset-token-invalid")


def test_a_reset_request_gets_the_same_answer_for_every_address(installation: Installation) -> None:
    address, user = new_address(), installation.user()
    answers = [installation.post("/auth/password/reset-request", {"email": email}) for email in (address, user.email)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body
    installation.mail(user.email)
    assert installation.smtp.to(address) == []


def test_tokens_are_bound_to_their_purpose(installation: Installation) -> None:
    user = installation.user()
    installation.post("/auth/password/reset-request", {"email": user.email})
    reset = installation.mail(user.email).token
    _, invitation = installation.invite_with_token()
    check_problem(installation.post("/invitations/lookup", {"token": reset}), 401, "invitation-token-invalid")
    check_problem(installation.post("/invitations/lookup", {"token": user.token}), 401, "invitation-token-invalid")
    body = {"newPassword": PASSWORD + "1"}
    check_problem(installation.post("/auth/password/reset", {"token": invitation, **body}), 401, "reset-token-invalid")
    check_problem(installation.post("/auth/email/verify", {"token": reset}), 401)
    for token in (reset, invitation):
        check_problem(installation.get("/users/me", token), 401)


def test_an_address_can_be_verified_by_mail(installation: Installation) -> None:
    user = installation.user(emailVerified=False)
    assert installation.post("/auth/email/verify-request", token=user.token).status == 202
    token = installation.mail_about(user.email, "/verify-email").token
    assert installation.post("/auth/email/verify", {"token": token}).status in {200, 204}
    assert installation.get("/users/me", user.token).json["emailVerified"] is True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_the_app_can_verify_access_tokens(installation: Installation) -> None:
    group, user = installation.group(), installation.user("team")
    installation.post(f"/groups/{group}/members/{user.id}", token=installation.key)
    access = sign_in(installation, user.email).json["accessToken"]
    published = installation.call("GET", "/.well-known/jwks.json")
    assert published.status == 200
    keys = KeySet.import_key_set(published.json)
    assert all(key["kty"] == "OKP" and key["crv"] == "Ed25519" and "d" not in key for key in published.json["keys"])
    header = json.loads(base64.urlsafe_b64decode(access.split(".")[0] + "=="))
    token = jwt.decode(access, keys, algorithms=[header["alg"]])
    assert header["alg"] in {"EdDSA", "Ed25519"}
    claims = token.claims
    assert claims.keys() >= {"sub", "role", "permissions", "groups", "iss", "aud", "exp", "iat", "sid"}
    assert (claims["sub"], claims["role"], claims["groups"]) == (user.id, "team", [group])
    assert set(claims["permissions"]) == {"invitations:read", "invitations:write", "users:read", "app:plan"}
    assert claims["exp"] - claims["iat"] == 900


@pytest.mark.parametrize("change", ["header", "payload", "signature", "none", "hs256"])
def test_a_forged_access_token_is_refused(installation: Installation, change: str) -> None:
    user = installation.user("customer")
    header, payload, signature = user.token.split(".")

    def encode(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = {
        "header": f"{encode({'alg': 'EdDSA', 'kid': 'x'})}.{payload}.{signature}",
        "payload": f"{header}.{encode(claims | {'role': 'admin', 'permissions': ['*']})}.{signature}",
        "signature": f"{header}.{payload}.{signature[:-3]}AAA",
        "none": f"{encode({'alg': 'none'})}.{payload}.",
        "hs256": f"{encode({'alg': 'HS256'})}.{payload}.{signature}",
    }
    check_problem(installation.get("/users/me", forged[change]), 401)
