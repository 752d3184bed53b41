"""Sessions over HTTP: login, cookies, refresh, password reset and verification."""

from typing import Any

import pytest

from latchstring.domain.mail import MailKind
from latchstring.storage.engine.tables import outbox

PASSWORD = "correct horse 9 Battery"


def parse_cookies(answer: Any) -> dict[str, str]:
    return {
        line.partition("=")[0]: line.partition("=")[2].partition(";")[0]
        for line in answer.headers.get_list("set-cookie")
    }


async def test_a_login_returns_the_user_tokens_and_cookies(api: Any) -> None:
    user = await api.user("team")
    answer = await api.login(user["email"].upper())
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"user", "accessToken", "refreshToken", "expiresIn"}
    assert body["user"] == user | {"lastLoginAt": "2026-03-01T09:30:00Z"}
    cookies = parse_cookies(answer)
    assert (cookies["access_token"], cookies["refresh_token"]) == (body["accessToken"], body["refreshToken"])
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("email", "password"),
    [("{email}", "wrong password"), ("nobody@people.test", PASSWORD), ("no address", PASSWORD), ("", PASSWORD)],
)
async def test_all_failed_logins_get_the_same_response(api: Any, email: str, password: str) -> None:
    user = await api.user()
    answer = await api.login(email.format(email=user["email"]), password)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-credentials")
    assert "set-cookie" not in answer.headers


async def test_a_login_reports_all_missing_fields(api: Any) -> None:
    answer = await api.post("/auth/login", {})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/email", "/password"]


async def test_an_invalid_credential_does_not_prevent_a_login(api: Any) -> None:
    user = await api.user()
    answer = await api.post("/auth/login", {"email": user["email"], "password": PASSWORD}, "lsk_bad")
    assert answer.status_code == 200


async def test_refresh_by_body_rotates_and_reuse_ends_the_session(api: Any) -> None:
    first = (await api.login((await api.user())["email"])).json()
    second = await api.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert second.status_code == 200
    assert (await api.get("/users/me", second.json()["accessToken"])).status_code == 200
    api.http.cookies.clear()
    again = await api.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert (again.status_code, again.json()["code"]) == (401, "refresh-token-invalid")
    assert (await api.get("/users/me", second.json()["accessToken"])).status_code == 401


async def test_refresh_and_logout_by_cookie_need_the_csrf_token(api: Any) -> None:
    signed_in = await api.login((await api.user())["email"])
    cookies = parse_cookies(signed_in)
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    for path in ("/auth/refresh", "/auth/logout"):
        refused = await api.post(path, Cookie=header)
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf-token-invalid")
    fresh = await api.post("/auth/refresh", Cookie=header, X_CSRF_Token=cookies["csrf_token"])
    assert fresh.status_code == 200
    api.http.cookies.clear()
    cookies = parse_cookies(fresh)
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    logout = await api.post("/auth/logout", Cookie=header, X_CSRF_Token=cookies["csrf_token"])
    assert logout.status_code == 204
    assert all("Max-Age=0" in line for line in logout.headers.get_list("set-cookie"))
    assert (await api.get("/users/me", Cookie=header)).status_code == 401


async def test_a_refresh_token_is_only_accepted_by_the_auth_routes(api: Any) -> None:
    user = await api.user("admin")
    cookies = parse_cookies(await api.login(user["email"]))
    api.http.cookies.clear()
    header = f"refresh_token={cookies['refresh_token']}; csrf_token={cookies['csrf_token']}"
    proof = {"Cookie": header, "X_CSRF_Token": cookies["csrf_token"]}
    assert (await api.get("/users/me", **proof)).status_code == 401
    assert (await api.post("/groups", {"key": "k", "name": "K"}, **proof)).status_code == 401
    assert (await api.get("/users/me", cookies["refresh_token"])).status_code == 401
    bad = await api.get("/users/me", Cookie=f"access_token={cookies['refresh_token']}")
    assert bad.status_code == 401
    assert (await api.post("/auth/refresh", **proof)).status_code == 200


async def test_refresh_without_a_token_is_refused(api: Any) -> None:
    assert (await api.post("/auth/refresh")).status_code == 401
    assert (await api.post("/auth/refresh", {"refreshToken": "x"})).status_code == 401
    assert (await api.post("/auth/refresh", {"token": "x"})).status_code == 400


async def test_logout_ends_the_session_and_allows_anonymous_callers(api: Any) -> None:
    token = await api.token()
    assert (await api.post("/auth/logout", token=token)).status_code == 204
    assert (await api.get("/users/me", token)).status_code == 401
    assert (await api.post("/auth/logout", token=token)).status_code == 204
    assert (await api.post("/auth/logout")).status_code == 204


async def test_a_reset_request_sends_mail_only_to_accounts(api: Any) -> None:
    user = await api.user()
    answers = [
        await api.post("/auth/password/reset-request", {"email": email}) for email in (user["email"], "no@people.test")
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b""), (202, b"")]
    rows = await api.services.db.fetch(outbox.select())
    assert [row.state for row in rows] == ["QUEUED", "SUPPRESSED"]


async def test_a_reset_link_works_once(api: Any) -> None:
    user = await api.user()
    await api.post("/auth/password/reset-request", {"email": user["email"]})
    token = await api.mailed_token(MailKind.PASSWORD_RESET)
    weak = await api.post("/auth/password/reset", {"token": token, "newPassword": "short"})
    assert [error["pointer"] for error in weak.json()["errors"]] == ["/newPassword"]
    body = {"token": token, "newPassword": "quite another one 5"}
    assert (await api.post("/auth/password/reset", body)).status_code == 204
    again = await api.post("/auth/password/reset", body)
    assert (again.status_code, again.json()["code"]) == (401, "reset-token-invalid")
    assert (await api.login(user["email"], "quite another one 5")).status_code == 200


async def test_an_address_is_verified_by_mail(api: Any) -> None:
    user = await api.user(emailVerified=False)
    token = (await api.login(user["email"])).json()["accessToken"]
    assert (await api.post("/auth/email/verify-request", token=token)).status_code == 202
    link = await api.mailed_token(MailKind.EMAIL_VERIFICATION)
    assert (await api.post("/auth/email/verify", {"token": link})).status_code == 204
    assert (await api.get("/users/me", token)).json()["emailVerified"] is True
    again = await api.post("/auth/email/verify", {"token": link})
    assert (again.status_code, again.json()["code"]) == (401, "verification-token-invalid")


async def test_a_verification_link_is_requested_by_address_or_session(api: Any) -> None:
    assert (await api.post("/auth/email/verify-request")).status_code == 401
    for email in ((await api.user(emailVerified=False))["email"], "nobody@people.test"):
        assert (await api.post("/auth/email/verify-request", {"email": email})).status_code == 202


@pytest.mark.parametrize(
    "path", ["login", "refresh", "logout", "password/reset-request", "password/reset", "email/verify"]
)
async def test_auth_routes_refuse_an_idempotency_key(api: Any, path: str) -> None:
    answer = await api.post(f"/auth/{path}", {}, Idempotency_Key="k")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-refused")


async def test_keys_are_published_at_the_root_and_under_the_api(api: Any) -> None:
    at_root = await api.http.get("/.well-known/jwks.json")
    assert at_root.status_code == 200
    assert at_root.json() == (await api.get("/.well-known/jwks.json")).json()
    assert [key["alg"] for key in at_root.json()["keys"]] == ["EdDSA"]
    assert at_root.headers.get_list("cache-control") == ["public, max-age=300"]


async def test_logins_of_an_account_are_limited_and_resets_are_limited_silently(limited_api: Any) -> None:
    api = limited_api
    user = await api.user()
    answers = [(await api.login(user["email"], "wrong password")).status_code for _ in range(4)]
    assert answers == [401, 401, 401, 429]
    assert "retry-after" in (await api.login(user["email"])).headers
    resets = [await api.post("/auth/password/reset-request", {"email": user["email"]}) for _ in range(4)]
    assert [answer.status_code for answer in resets] == [202] * 4
    assert len(await api.services.db.fetch(outbox.select())) == 2
