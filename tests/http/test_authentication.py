"""A header wins over a cookie, a cookie needs its CSRF token, and a bad credential is refused unless it is ignored."""

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


async def knock(client: httpx2.AsyncClient, headers: dict[str, str]) -> tuple[int, object]:
    """POST where anybody may come but a bad credential may not."""
    got = await client.post("/api/knock", headers=headers)
    return got.status_code, got.json().get("code", got.json().get("known"))


async def test_no_credential_is_anonymous(client: httpx2.AsyncClient) -> None:
    assert await knock(client, {}) == (200, False)


@pytest.mark.parametrize("headers", [AS_KEY, AS_USER, {"Authorization": f"bearer   {GOOD_TOKEN}"}, COOKIE | CSRF])
async def test_a_good_credential_is_known(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert await knock(client, headers) == (200, True)


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
async def test_a_bad_credential_is_401(client: httpx2.AsyncClient, headers: Any) -> None:
    assert await knock(client, headers) == (401, "credential-invalid")
    got = await client.post("/api/open", json={}, headers=headers)
    assert (got.status_code, got.json()["known"]) == (200, False)


async def test_two_authorization_headers_are_401(client: httpx2.AsyncClient) -> None:
    got = await client.post("/api/knock", headers=[("Authorization", AS_KEY["Authorization"])] * 2)
    assert got.status_code == 401


async def test_401_says_how_to_authenticate(client: httpx2.AsyncClient) -> None:
    missing = await client.get("/api/things/x")
    assert missing.headers["www-authenticate"] == 'Bearer realm="latchstring"'
    bad = await client.get("/api/things/x", headers={"Authorization": "Bearer x"})
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]


async def test_a_header_wins_over_a_cookie(client: httpx2.AsyncClient) -> None:
    assert await knock(client, COOKIE | CSRF | {"Authorization": "Bearer nonsense"}) == (401, "credential-invalid")
    assert await knock(client, {"Cookie": "access_token=nonsense"} | AS_USER) == (200, True)
    got = await client.post("/api/open", json={}, headers=COOKIE | CSRF | {"Authorization": "Bearer nonsense"})
    assert got.json()["known"] is False


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
async def test_a_cookie_without_its_csrf_token_is_403_and_ignored_where_credentials_are(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert await knock(client, headers) == (403, "csrf-token-invalid")
    got = await client.post("/api/open", json={}, headers=headers)
    assert (got.status_code, got.json()["known"]) == (200, False)


async def test_a_cookie_with_its_csrf_token_is_known_on_lenient_routes(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/open", json={}, headers=COOKIE | CSRF)).json()["known"] is True


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
async def test_a_planted_csrf_cookie_does_not_help_a_foreign_page(
    client: httpx2.AsyncClient, site: str, origin: str, status: int
) -> None:
    headers = COOKIE | CSRF | {"Sec-Fetch-Site": site, "Origin": origin}
    assert (await knock(client, headers))[0] == status


async def test_outdated_terms_are_403_everywhere_but_on_lenient_routes(
    client: httpx2.AsyncClient, sessions: FakeSessions
) -> None:
    sessions.user = replace(USER, terms_version="0")
    assert await knock(client, AS_USER) == (403, "terms-required")
    assert (await client.post("/api/open", json={}, headers=AS_USER)).json()["known"] is True
    assert await knock(client, AS_KEY) == (200, True)


def cookies_of(public_url: str) -> dict[str, str]:
    made = session_cookies(
        "acc", "ref", expires_in=900, refresh_lifetime=timedelta(days=30), app=App(public_url=public_url)
    )
    return {line.decode().partition("=")[0]: line.decode() for line in made}


def test_session_cookies_are_out_of_reach_of_scripts_except_the_csrf_token() -> None:
    found = cookies_of("https://invite.example.org")
    assert found["access_token"] == "access_token=acc; Max-Age=900; Path=/; SameSite=Lax; HttpOnly; Secure"
    assert found["refresh_token"] == "refresh_token=ref; Max-Age=2592000; Path=/; SameSite=Lax; HttpOnly; Secure"
    assert "HttpOnly" not in found["csrf_token"]
    assert "Secure" in found["csrf_token"]
    assert all("Secure" not in line for line in cookies_of("http://127.0.0.1:8080").values())


def test_cleared_cookies_have_the_paths_of_the_set_ones() -> None:
    lines = [line.decode() for line in clear_session_cookies(App())]
    assert [line.partition(";")[0] for line in lines] == ["access_token=", "refresh_token=", "csrf_token="]
    assert all("Max-Age=0" in line for line in lines)
    assert all("; Path=/;" in line for line in lines)
