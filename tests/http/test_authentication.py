"""Credentials in headers and cookies, CSRF protection, and session cookies."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from tests.support.sample_app import AS_KEY, AS_USER, GOOD_TOKEN, ORIGIN, USER, FakeSessions

from latchstring.domain.settings import App
from latchstring.http.authentication import clear_session_cookies, session_cookies

COOKIE = {"Cookie": f"access_token={GOOD_TOKEN}; csrf_token=c5f"}
CSRF = {"X-CSRF-Token": "c5f"}


async def call_optional_route(client: httpx2.AsyncClient, headers: dict[str, str]) -> tuple[int, object]:
    """POST to a route that allows anonymous callers but refuses invalid credentials."""
    response = await client.post("/api/optional", headers=headers)
    return response.status_code, response.json().get("code", response.json().get("known"))


async def test_no_credential_is_anonymous(client: httpx2.AsyncClient) -> None:
    assert await call_optional_route(client, {}) == (200, False)


@pytest.mark.parametrize("headers", [AS_KEY, AS_USER, {"Authorization": f"bearer   {GOOD_TOKEN}"}, COOKIE | CSRF])
async def test_a_valid_credential_is_accepted(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert await call_optional_route(client, headers) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer lsk_nonsense"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Authorization": "Basic YTpi"},
        {"Authorization": f"Token {GOOD_TOKEN}"},
        {"Authorization": f"Bearer {GOOD_TOKEN} x"},
        {"Authorization": "Bearer ö".encode()},
        {"Cookie": "access_token=nonsense"},
        {"Cookie": "access_token=lsk_good; csrf_token=c5f"} | CSRF,
    ],
)
async def test_an_invalid_credential_is_401_or_ignored_on_lenient_routes(
    client: httpx2.AsyncClient, headers: Any
) -> None:
    assert await call_optional_route(client, headers) == (401, "credential-invalid")
    response = await client.post("/api/lenient", json={}, headers=headers)
    assert (response.status_code, response.json()["known"]) == (200, False)


async def test_two_authorization_headers_are_401(client: httpx2.AsyncClient) -> None:
    response = await client.post("/api/optional", headers=[("Authorization", AS_KEY["Authorization"])] * 2)
    assert response.status_code == 401


async def test_a_401_response_has_a_challenge(client: httpx2.AsyncClient) -> None:
    missing = await client.get("/api/things/x")
    assert missing.headers["www-authenticate"] == 'Bearer realm="latchstring"'
    bad = await client.get("/api/things/x", headers={"Authorization": "Bearer x"})
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]


async def test_the_header_takes_precedence_over_the_cookie(client: httpx2.AsyncClient) -> None:
    assert await call_optional_route(client, COOKIE | CSRF | {"Authorization": "Bearer nonsense"}) == (
        401,
        "credential-invalid",
    )
    assert await call_optional_route(client, {"Cookie": "access_token=nonsense"} | AS_USER) == (200, True)
    response = await client.post("/api/lenient", json={}, headers=COOKIE | CSRF | {"Authorization": "Bearer nonsense"})
    assert response.json()["known"] is False


@pytest.mark.parametrize(
    "headers",
    [
        COOKIE,
        COOKIE | {"X-CSRF-Token": "other"},
        COOKIE | {"X-CSRF-Token": ""},
        {"Cookie": f"access_token={GOOD_TOKEN}"} | CSRF,
        {"Cookie": f"access_token={GOOD_TOKEN}; csrf_token="} | {"X-CSRF-Token": ""},
    ],
)
async def test_a_cookie_without_its_csrf_token_is_403_or_ignored_on_lenient_routes(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert await call_optional_route(client, headers) == (403, "csrf-token-invalid")
    response = await client.post("/api/lenient", json={}, headers=headers)
    assert (response.status_code, response.json()["known"]) == (200, False)


async def test_a_cookie_with_its_csrf_token_is_accepted_on_lenient_routes(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/lenient", json={}, headers=COOKIE | CSRF)).json()["known"] is True


async def test_reading_with_a_cookie_needs_no_csrf_token(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/things/x", headers=COOKIE)).status_code == 404


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("same-origin", "https://invite.example.org", 200),
        ("same-site", ORIGIN, 200),
        ("same-site", "https://planted.example.org", 403),
        ("cross-site", "https://evil.example", 403),
    ],
)
async def test_a_page_of_another_origin_is_refused_even_with_the_csrf_token(
    client: httpx2.AsyncClient, site: str, origin: str, status: int
) -> None:
    headers = COOKIE | CSRF | {"Sec-Fetch-Site": site, "Origin": origin}
    assert (await call_optional_route(client, headers))[0] == status


async def test_outdated_terms_are_403_everywhere_but_on_lenient_routes(
    client: httpx2.AsyncClient, sessions: FakeSessions
) -> None:
    sessions.user = replace(USER, terms_version="0")
    assert await call_optional_route(client, AS_USER) == (403, "terms-required")
    assert (await client.post("/api/lenient", json={}, headers=AS_USER)).json()["known"] is True
    assert await call_optional_route(client, AS_KEY) == (200, True)


def parse_session_cookies(public_url: str) -> dict[str, str]:
    lines = session_cookies(
        "acc", "ref", expires_in=900, refresh_lifetime=timedelta(days=30), app=App(public_url=public_url)
    )
    return {line.decode().partition("=")[0]: line.decode() for line in lines}


def test_session_cookies_are_http_only_except_the_csrf_token() -> None:
    cookies = parse_session_cookies("https://invite.example.org")
    assert cookies["access_token"] == "access_token=acc; Max-Age=900; Path=/; SameSite=Lax; HttpOnly; Secure"
    assert cookies["refresh_token"] == "refresh_token=ref; Max-Age=2592000; Path=/; SameSite=Lax; HttpOnly; Secure"
    assert "HttpOnly" not in cookies["csrf_token"]
    assert "Secure" in cookies["csrf_token"]
    assert all("Secure" not in line for line in parse_session_cookies("http://127.0.0.1:8080").values())


def test_cleared_cookies_have_the_same_paths() -> None:
    lines = [line.decode() for line in clear_session_cookies(App())]
    assert [line.partition(";")[0] for line in lines] == ["access_token=", "refresh_token=", "csrf_token="]
    assert all("Max-Age=0" in line for line in lines)
    assert all("; Path=/;" in line for line in lines)
