"""The gate: who comes in, what a session is worth, and what nobody learns from it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.support.page_client import COOKIE, PASSWORD, PageClient, PageResponse

from latchstring.crypto.totp import step_at, totp_code
from latchstring.domain.account import Admin
from latchstring.domain.errors import TooManyRequests
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.domain.settings import Limits
from latchstring.formats.email_address import parse_address
from latchstring.rate_limits import Limiter
from latchstring.storage.engine.tables import outbox
from latchstring.storage.outbox.outbox import OutboxRow

EMAIL = "mira@panel.test"
MAILS = outbox.select().where(outbox.c.kind == "admin-set-up").order_by(outbox.c.id.desc())


async def sign_in(page_client: PageClient, email: str = EMAIL, password: str = PASSWORD, **fields: str) -> PageResponse:
    return await page_client.send("/admin/login", {"email": email, "password": password, **fields}, page="/admin/login")


def session(page_client: PageClient) -> str | None:
    found: str | None = page_client.browser.cookies.get(COOKIE)
    return found


def forward(page_client: PageClient, by: timedelta) -> None:
    page_client.clock.now += by


async def enrol(page_client: PageClient) -> tuple[Admin, bytes, tuple[str, ...]]:
    """An administrator with a second factor: who it is, the app's secret, the recovery codes."""
    admin, admins = await page_client.admin(), page_client.services.admins
    new = await admins.sessions.login(EMAIL, PASSWORD, user_agent="", network="")
    visit: Any = await admins.sessions.find(new.token)
    await admins.second_factors.start(visit)
    visit = await admins.sessions.find(new.token)
    secret = admins.second_factors._unseal(visit.admin)
    assert secret
    codes = await admins.second_factors.confirm(visit, totp_code(secret, step_at(page_client.clock.now)), PASSWORD)
    forward(page_client, timedelta(minutes=1))
    return admin, secret, codes


async def mailed_token(page_client: PageClient) -> str:
    """The token of the newest set-up mail."""
    row = (await page_client.services.db.fetch(MAILS))[0]
    mail = OutboxRow(row.id, MailKind.ADMIN_SET_UP, row.subject_id, row.generation, row.locale, row.state, 0)
    message = await page_client.services.admins.set_up_links.load_mail(mail)
    assert message
    return message.link_url.partition("token=")[2]


# ---- password --------------------------------------------------------------------------------------------------------


async def test_an_administrator_signs_in_and_out(page_client: PageClient) -> None:
    await page_client.admin()
    seen = await sign_in(page_client)
    assert (seen.status, seen.target) == (303, "/admin")
    cookie = next(line for line in seen.response.headers.get_list("set-cookie") if line.startswith(COOKIE))
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Mira Okafor" in (await page_client.get("/admin/nothing-here")).words
    before = session(page_client)
    left = await page_client.send("/admin/logout")
    assert left.target == "/admin/login?said=left"
    assert session(page_client) is None
    assert (await page_client.get(left.target)).status == 200
    assert await page_client.services.admins.sessions.find(before or "") is None


@pytest.mark.parametrize("page_client", [('"http://pages.test"', '"https://pages.test"')], indirect=True)
async def test_behind_tls_the_cookie_is_locked_to_this_host(page_client: PageClient) -> None:
    await page_client.admin()
    page_client.browser.base_url = "https://pages.test"
    seen = await sign_in(page_client)
    assert seen.target == "/admin"
    cookie = next(line for line in seen.response.headers.get_list("set-cookie") if f"__Host-{COOKIE}" in line)
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert (await page_client.get("/admin/nothing-here")).status == 404


@pytest.mark.parametrize("who", ["wrong password", "unknown", "no address", "a user", "deactivated"])
async def test_every_failed_login_looks_alike(page_client: PageClient, who: str) -> None:
    admin = await page_client.admin(role="viewer")
    await page_client.user()
    if who == "deactivated":
        await page_client.services.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL)
    email = {"unknown": "nobody@panel.test", "no address": "mira", "a user": "ada@people.test"}.get(who, EMAIL)
    seen = await sign_in(page_client, email, "not the password" if who == "wrong password" else PASSWORD)
    assert (seen.status, seen.code) == (401, "invalid-credentials")
    assert 'data-problem="credentials"' in seen.html
    assert PASSWORD not in seen.html
    assert session(page_client) is None


async def test_an_administrator_cannot_sign_in_to_the_app(page_client: PageClient) -> None:
    await page_client.admin()
    seen = await page_client.post("/login", {"email": EMAIL, "password": PASSWORD})
    assert (seen.status, seen.code) == (401, "invalid-credentials")


async def test_being_signed_in_to_the_app_opens_nothing(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD})
    seen = await page_client.get("/admin/nothing-here")
    assert (seen.status, seen.target) == (303, "/admin/login?next=%2Fadmin%2Fnothing-here")


async def test_a_session_that_was_planted_is_not_the_one_after_the_login(page_client: PageClient) -> None:
    await page_client.admin()
    await sign_in(page_client)
    planted = session(page_client)
    shown = await page_client.get("/admin/login/forgotten")  # somebody else's browser, with the planted cookie
    csrf = re.findall(r'name="csrf" value="(\w+)"', shown.html)[0]
    fields = {"csrf": csrf, "email": EMAIL, "password": PASSWORD}
    assert PageResponse(await page_client.browser.post("/admin/login", data=fields)).status == 303
    assert session(page_client) not in (None, planted)


@pytest.mark.parametrize("wanted", ["https://evil.test/admin/", "//evil.test", "/admin\\evil.test", "/login"])
async def test_signing_in_leads_nowhere_else(page_client: PageClient, wanted: str) -> None:
    await page_client.admin()
    assert (await sign_in(page_client, next=wanted)).target == "/admin"
    page_client.sign_out()
    assert "evil.test" not in (await page_client.get(f"/admin/login?next={wanted}")).html


async def test_signing_in_leads_on_to_the_page_that_was_wanted(page_client: PageClient) -> None:
    await page_client.admin()
    seen = await page_client.get("/admin/users?q=ada%20%26%20co")
    shown = await page_client.get(seen.target)
    wanted = re.findall(r'name="next" value="([^"]+)"', shown.html)[0]
    assert (await sign_in(page_client, next=wanted)).target == "/admin/users?q=ada+%26+co"
    assert (await page_client.get("/admin/login?next=/admin/users")).target == "/admin/users"


async def test_a_form_of_another_site_or_session_is_refused(page_client: PageClient) -> None:
    await page_client.admin()
    fields = {"email": EMAIL, "password": PASSWORD}
    await page_client.get("/admin/login")
    for proof in ({}, {"csrf": "0" * 32}):
        seen = PageResponse(await page_client.browser.post("/admin/login", data=fields | proof))
        assert (seen.status, seen.code) == (403, "csrf-token-invalid")
    foreign = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    shown = await page_client.get("/admin/login")
    csrf = re.findall(r'name="csrf" value="(\w+)"', shown.html)[0]
    seen = PageResponse(await page_client.browser.post("/admin/login", data={**fields, "csrf": csrf}, headers=foreign))
    assert (seen.status, seen.code) == (403, "csrf-token-invalid")


async def test_guessing_is_slowed_down_for_administrators_apart_from_users(page_client: PageClient) -> None:
    await page_client.admin()
    seen = [await sign_in(page_client, "Mira@Panel.test", "wrong password") for _ in range(10)]
    assert {one.status for one in seen} == {401}
    late = await sign_in(page_client)
    assert (late.status, late.code) == (429, "too-many-requests")
    assert int(late.response.headers["Retry-After"]) > 0
    assert (await sign_in(page_client, "other@panel.test")).status == 401


# ---- second factor ---------------------------------------------------------------------------------------------------


async def test_the_second_factor_stands_between_the_password_and_the_panel(page_client: PageClient) -> None:
    _, secret, _ = await enrol(page_client)
    seen = await sign_in(page_client, next="/admin/users")
    assert seen.target == "/admin/login/code?next=%2Fadmin%2Fusers"
    waiting = session(page_client)
    assert (await page_client.get("/admin/users")).target == "/admin/login/code?next=%2Fadmin%2Fusers"
    assert (await page_client.get("/admin/login")).target == "/admin/login/code"
    wrong = await page_client.send("/admin/login/code", {"code": "12345"}, page="/admin/login/code")
    assert (wrong.status, wrong.code) == (401, "second-factor-invalid")
    code = totp_code(secret, step_at(page_client.clock.now))
    fields = {"code": f" {code[:3]} {code[3:]}"[:8].strip(), "next": "/admin/users"}
    assert (await page_client.send("/admin/login/code", fields, page="/admin/login/code")).target == "/admin/users"
    assert session(page_client) not in (None, waiting)
    assert (await page_client.get("/admin/login/code")).target == "/admin"


async def test_a_recovery_code_opens_the_panel_once(page_client: PageClient) -> None:
    _, _, codes = await enrol(page_client)
    for status in (303, 401):
        page_client.sign_out()
        await sign_in(page_client)
        seen = await page_client.send("/admin/login/code", {"code": codes[0]}, page="/admin/login/code")
        assert seen.status == status
    assert "<details open>" in seen.html


async def test_without_a_password_there_is_no_question_for_the_code(page_client: PageClient) -> None:
    assert (await page_client.get("/admin/login/code")).target == "/admin/login"
    assert (
        await page_client.send("/admin/login/code", {"code": "123456"}, page="/admin/login")
    ).target == "/admin/login"


async def test_guessing_codes_is_slowed_down(page_client: PageClient) -> None:
    await enrol(page_client)
    await sign_in(page_client)
    seen = [await page_client.send("/admin/login/code", {"code": "x"}, page="/admin/login/code") for _ in range(11)]
    assert [one.status for one in seen[-2:]] == [401, 429]


def test_codes_are_counted_over_all_networks() -> None:
    limiter = Limiter(Limits())
    for _ in range(10):
        limiter.check_code(EMAIL)
    with pytest.raises(TooManyRequests):
        limiter.check_code(EMAIL)


# ---- forgotten and set up --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", [EMAIL, "nobody@panel.test", "ada@people.test"])
async def test_asking_for_a_new_password_tells_nothing(page_client: PageClient, email: str) -> None:
    await page_client.admin()
    await page_client.user()
    seen = await page_client.send("/admin/login/forgotten", {"email": email}, page="/admin/login/forgotten")
    assert seen.target == "/admin/login/forgotten?sent=yes"
    assert "If the address belongs to an administrator" in (await page_client.get(seen.target)).words
    assert len(await page_client.services.db.fetch(MAILS)) == (email == EMAIL)


async def test_what_is_no_address_is_said_so(page_client: PageClient) -> None:
    seen = await page_client.send("/admin/login/forgotten", {"email": "mira"}, page="/admin/login/forgotten")
    assert (seen.status, seen.code) == (422, "invalid-fields")
    assert "Enter a full address" in seen.words


async def test_a_forgotten_password_is_set_through_the_mail_and_ends_every_session(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.send("/admin/login/forgotten", {"email": EMAIL}, page="/admin/login/forgotten")
    token = await mailed_token(page_client)
    page = f"/admin/set-up?token={token}"
    assert "Set a new password" in (await page_client.get(page)).words
    short = await page_client.send("/admin/set-up", {"token": token, "password": "short"}, page=page)
    assert (short.status, short.code) == (422, "invalid-fields")
    sent = await page_client.send("/admin/set-up", {"token": token, "password": "quite another 1"}, page=page)
    assert sent.target == "/admin/login?said=password"
    assert session(page_client) is None
    assert (await sign_in(page_client)).status == 401
    assert (await sign_in(page_client, password="quite another 1")).status == 303
    assert (await page_client.get(page)).code == "set-up-token-invalid"


async def test_the_first_administrator_comes_from_the_command_line(page_client: PageClient) -> None:
    made = await page_client.services.admins.create(
        address=parse_address(EMAIL), role="super-admin", by=OPERATOR_PRINCIPAL
    )
    assert made.set_up_url
    page = made.set_up_url.removeprefix("http://pages.test")
    assert "Set up your administrator account" in (await page_client.get(page)).words
    token = page.partition("token=")[2]
    assert (await page_client.send("/admin/set-up", {"token": token, "password": PASSWORD}, page=page)).status == 303
    assert (await sign_in(page_client)).target == "/admin"


async def test_a_set_up_link_that_is_not_good_names_the_way(page_client: PageClient) -> None:
    seen = await page_client.get("/admin/set-up?token=x")
    assert (seen.status, seen.code) == (401, "set-up-token-invalid")
    assert "latchstring admin create" in seen.words


@pytest.mark.parametrize("path", ["/admin/login", "/admin/login/forgotten", "/admin/set-up"])
async def test_the_gate_keeps_to_itself(page_client: PageClient, path: str) -> None:
    seen = await page_client.get(path)
    headers = seen.response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", seen.html)


@pytest.mark.parametrize("path", ["/admin", "/admin/"])
async def test_the_panel_leads_to_its_login(page_client: PageClient, path: str) -> None:
    seen = await page_client.get(path)
    assert (seen.status, seen.target) == (303, "/admin/login")
