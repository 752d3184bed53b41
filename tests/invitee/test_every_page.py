"""Rules for every page: headers, CSRF protection of forms, languages, and error pages."""

import re

import pytest
from tests.support.page_client import PASSWORD, PageClient, PageResponse

from latchstring.invitee.routes import routes
from latchstring.pages.assets import assets

PAGES = ["/", "/login", "/invitation", "/password-reset", "/verify-email?token=x", "/nothing-here"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_restrictive_headers(page_client: PageClient, path: str) -> None:
    headers = (await page_client.get(path, headers={"Accept": "text/html"})).response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Robots-Tag"].startswith("noindex")
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_inline_scripts_or_styles(page_client: PageClient, path: str) -> None:
    page = await page_client.get(path, headers={"Accept": "text/html"})
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page.html)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", page.html))
    foreign = [url for url in re.findall(r'(?:src|href)="(https?:[^"]*)"', page.html) if "orchard.example" not in url]
    assert foreign == []


async def test_assets_are_named_by_content_and_cached(page_client: PageClient) -> None:
    page = await page_client.get("/login")
    urls = set(re.findall(r'"(/assets/[^"#]+)', page.html))
    names = {url.rsplit("/", 1)[1] for url in urls}
    assert {"tokens.css", "components.css", "icons.svg", "logo.svg", "pages.js"} == names <= set(assets())
    for url in urls:
        response = (await page_client.get(url)).response
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "set-cookie" not in response.headers


async def test_an_asset_of_another_version_is_the_current_one_with_a_short_lifetime(page_client: PageClient) -> None:
    response = (await page_client.get("/assets/0000000000000000/tokens.css")).response
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "public, max-age=60")
    assert (await page_client.get("/assets/0000000000000000/nothing.css")).status == 404
    assert (await page_client.get("/assets/0/..%2fpage.py")).status == 404


# ---- forms -----------------------------------------------------------------------------------------------------------

ACTIONS = [path for route in routes for path in route.paths if route.method == "POST"]


@pytest.mark.parametrize("path", sorted(ACTIONS))
async def test_a_form_without_csrf_token_is_rejected(page_client: PageClient, path: str) -> None:
    await page_client.user()
    await page_client.sign_in()
    before = await page_client.dump()
    for fields in ({"token": "x"}, {"csrf": ""}, {"csrf": "guessed"}):
        result = await page_client.post(path, fields, csrf=False)
        assert (result.status, result.code) == (403, "csrf-token-invalid")
        assert 'data-testid="refusal"' in result.html
    assert await page_client.dump() == before


async def test_a_browser_without_cookies_gets_a_hint(page_client: PageClient) -> None:
    result = await page_client.post("/login", {"csrf": "anything", "email": "a@b.test", "password": "x"}, csrf=False)
    assert (result.status, result.code) == (403, "csrf-token-invalid")
    assert "cookies are turned off" in result.words


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_of_another_site_is_rejected_even_with_a_csrf_cookie(page_client: PageClient, site: str) -> None:
    result = await page_client.post("/login", {"email": "a@b.test", "password": "x"}, headers={"Sec-Fetch-Site": site})
    assert (result.status, result.code) == (403, "csrf-token-invalid")


async def test_a_same_origin_form_with_a_null_origin_is_accepted(page_client: PageClient) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    result = await page_client.post("/login", {"email": "a@b.test", "password": "x"}, headers=headers)
    assert result.code == "invalid-credentials"


async def test_the_csrf_cookie_is_lax_and_reused(page_client: PageClient) -> None:
    first = await page_client.get("/login")
    assert "SameSite=Lax" in first.response.headers["Set-Cookie"]
    second = await page_client.get("/login")
    assert "Set-Cookie" not in second.response.headers
    assert first.hidden["csrf"] == second.hidden["csrf"] == page_client.browser.cookies["csrf_token"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"email=a&email=b", "application/x-www-form-urlencoded", 400, "duplicate-key"),
        (b"email=%zz", "application/x-www-form-urlencoded", 400, "unreadable"),
        (b"email=%ff", "application/x-www-form-urlencoded", 400, "unreadable"),
        (b"email=a%00b", "application/x-www-form-urlencoded", 400, "unreadable"),
        (b"colour=red", "application/x-www-form-urlencoded", 400, "unknown-field"),
        (b"&".join(b"f%d=1" % i for i in range(50)), "application/x-www-form-urlencoded", 400, "unreadable"),
        (b"email=" + b"a" * 40_000, "application/x-www-form-urlencoded", 413, "body-too-large"),
        (b'{"email":"a"}', "application/json", 415, "unsupported-media-type"),
    ],
)
async def test_a_malformed_form_is_rejected(
    page_client: PageClient, body: bytes, kind: str, status: int, code: str
) -> None:
    result = PageResponse(await page_client.browser.post("/login", content=body, headers={"Content-Type": kind}))
    assert (result.status, result.code) == (status, code)
    assert 'data-testid="refusal"' in result.html


async def test_too_many_attempts_are_rejected_with_retry_after(page_client: PageClient) -> None:
    for _ in range(10):
        await page_client.post("/login", {"email": "ada@people.test", "password": "wrong"})
    result = await page_client.post("/login", {"email": "ada@people.test", "password": "wrong"})
    assert (result.status, result.code) == (429, "too-many-requests")
    assert int(result.response.headers["Retry-After"]) > 0
    assert "Too many attempts." in result.words


# ---- languages -------------------------------------------------------------------------------------------------------


async def test_the_chosen_language_is_used_and_kept(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    page = await page_client.get(f"/invitation?token={token}&locale=de", headers={"Accept-Language": "en"})
    assert '<html lang="de" dir="ltr">' in page.html
    assert page.response.headers["Content-Language"] == "de"
    assert page.hidden["locale"] == "de"
    assert f'href="/invitation?token={token}&amp;locale=en" lang="en"' in page.html
    result = await page_client.post("/invitation/accept", {"token": token, "locale": "de", "password": PASSWORD})
    assert '<html lang="de" dir="ltr">' in result.html
    assert f'href="/invitation?token={token}&amp;locale=en" lang="en"' in result.html


@pytest.mark.parametrize(
    ("accepts", "mailed_in", "spoken"),
    [
        ("de-AT,en;q=0.5", None, "de"),
        ("tlh", "de", "de"),
        ("en", "de", "en"),
        ("", None, "en"),
        ("tlh;q=x,,", None, "en"),
    ],
)
async def test_a_page_speaks_the_readers_language(
    page_client: PageClient, accepts: str, mailed_in: str | None, spoken: str
) -> None:
    token = page_client.token(await page_client.invite(locale=mailed_in))
    page = await page_client.get(f"/invitation?token={token}", headers={"Accept-Language": accepts})
    assert f'<html lang="{spoken}"' in page.html


async def test_the_language_of_the_page_becomes_the_persons(page_client: PageClient) -> None:
    token = page_client.token(await page_client.invite())
    fields = {"firstName": "J", "lastName": "K", "password": PASSWORD, "acceptTerms": "yes", "locale": "de"}
    result = await page_client.post("/invitation/accept", {**fields, "token": token})
    assert result.target == "/invitation/arrived?how=joined&locale=de"
    assert (await page_client.find_user("jonas@people.test")).locale == "de"  # type: ignore[union-attr]


@pytest.mark.parametrize("locale", ["tlh", "%00", "x" * 100, "%ff", "<b>"])
async def test_a_language_nobody_speaks_does_not_matter(page_client: PageClient, locale: str) -> None:
    page = await page_client.get(f"/login?locale={locale}")
    assert page.status == 200
    assert '<html lang="en"' in page.html


# ---- refusals --------------------------------------------------------------------------------------------------------


async def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(page_client: PageClient) -> None:
    page = await page_client.get("/nowhere", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status, page.code) == (404, "not-found")
    assert 'data-testid="refusal"' in page.html
    assert (await page_client.get("/nowhere")).response.headers["Content-Type"] == "application/problem+json"


async def test_an_internal_error_page_reveals_no_details(
    page_client: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = page_client.token(await page_client.invite())
    monkeypatch.setattr("latchstring.invitee.previews.summarize_invitation", lambda *_: 1 / 0)
    page = await page_client.get(f"/invitation?token={token}")
    assert (page.status, page.code) == (500, "internal-error")
    assert 'data-testid="refusal"' in page.html
    assert "ZeroDivision" not in page.html
