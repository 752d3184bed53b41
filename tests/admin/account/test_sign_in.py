"""Sign-in, second factor, sign-out, forgotten password and set-up."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.support.page_client import COOKIE, PASSWORD, PageClient, PageResponse
from tests.support.service_env import NETWORK

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
    token: str | None = page_client.browser.cookies.get(COOKIE)
    return token


def forward(page_client: PageClient, by: timedelta) -> None:
    page_client.clock.now += by


async def enrol(page_client: PageClient) -> tuple[Admin, bytes, tuple[str, ...]]:
    """Create an administrator with a second factor, and return them, the secret and the recovery codes."""
    admin, admins = await page_client.admin(), page_client.services.admins
    new = await admins.sessions.login(EMAIL, PASSWORD, user_agent="", network="")
    admin_session: Any = await admins.sessions.find(new.token)
    await admins.second_factors.start(admin_session)
    admin_session = await admins.sessions.find(new.token)
    secret = admins.second_factors._unseal(admin_session.admin)
    assert secret
    codes = await admins.second_factors.confirm(
        admin_session, totp_code(secret, step_at(page_client.clock.now)), PASSWORD, network=NETWORK
    )
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
    assert left.target == "/admin/login?notice=signed-out"
    assert session(page_client) is None
    assert (await page_client.get(left.target)).status == 200
    assert await page_client.services.admins.sessions.find(before or "") is None


@pytest.mark.parametrize("page_client", [('"http://pages.test"', '"https://pages.test"')], indirect=True)
async def test_with_tls_the_cookie_has_the_host_prefix(page_client: PageClient) -> None:
    await page_client.admin()
    page_client.browser.base_url = "https://pages.test"
    seen = await sign_in(page_client)
    assert seen.target == "/admin"
    cookie = next(line for line in seen.response.headers.get_list("set-cookie") if f"__Host-{COOKIE}" in line)
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert (await page_client.get("/admin/nothing-here")).status == 404


@pytest.mark.parametrize("reason", ["wrong password", "unknown", "no address", "a user", "deactivated"])
async def test_failed_logins_are_indistinguishable(page_client: PageClient, reason: str) -> None:
    admin = await page_client.admin(role="viewer")
    await page_client.user()
    if reason == "deactivated":
        await page_client.services.admins.deactivate(admin.id, by=OPERATOR_PRINCIPAL)
    email = {"unknown": "nobody@panel.test", "no address": "mira", "a user": "ada@people.test"}.get(reason, EMAIL)
    seen = await sign_in(page_client, email, "not the password" if reason == "wrong password" else PASSWORD)
    assert (seen.status, seen.code) == (401, "invalid-credentials")
    assert 'data-problem="credentials"' in seen.html
    assert PASSWORD not in seen.html
    assert session(page_client) is None


async def test_an_administrator_cannot_sign_in_to_the_app(page_client: PageClient) -> None:
    await page_client.admin()
    seen = await page_client.post("/login", {"email": EMAIL, "password": PASSWORD})
    assert (seen.status, seen.code) == (401, "invalid-credentials")


async def test_a_session_of_the_app_gives_no_access_to_the_panel(page_client: PageClient) -> None:
    await page_client.user()
    await page_client.post("/login", {"email": "ada@people.test", "password": PASSWORD})
    seen = await page_client.get("/admin/nothing-here")
    assert (seen.status, seen.target) == (303, "/admin/login?next=%2Fadmin%2Fnothing-here")


async def test_signing_in_replaces_a_fixated_session(page_client: PageClient) -> None:
    await page_client.admin()
    await sign_in(page_client)
    planted = session(page_client)
    form = await page_client.get("/admin/login/forgotten")  # the victim's browser, with the cookie of the attacker
    csrf = re.findall(r'name="csrf" value="(\w+)"', form.html)[0]
    fields = {"csrf": csrf, "email": EMAIL, "password": PASSWORD}
    assert PageResponse(await page_client.browser.post("/admin/login", data=fields)).status == 303
    assert session(page_client) not in (None, planted)


@pytest.mark.parametrize("next_path", ["https://evil.test/admin/", "//evil.test", "/admin\\evil.test", "/login"])
async def test_sign_in_does_not_redirect_to_other_sites(page_client: PageClient, next_path: str) -> None:
    await page_client.admin()
    assert (await sign_in(page_client, next=next_path)).target == "/admin"
    page_client.sign_out()
    assert "evil.test" not in (await page_client.get(f"/admin/login?next={next_path}")).html


async def test_sign_in_redirects_to_the_requested_page(page_client: PageClient) -> None:
    await page_client.admin()
    seen = await page_client.get("/admin/users?q=ada%20%26%20co")
    form = await page_client.get(seen.target)
    next_path = re.findall(r'name="next" value="([^"]+)"', form.html)[0]
    assert (await sign_in(page_client, next=next_path)).target == "/admin/users?q=ada+%26+co"
    assert (await page_client.get("/admin/login?next=/admin/users")).target == "/admin/users"


async def test_a_form_of_another_site_or_session_is_refused(page_client: PageClient) -> None:
    await page_client.admin()
    fields = {"email": EMAIL, "password": PASSWORD}
    await page_client.get("/admin/login")
    for proof in ({}, {"csrf": "0" * 32}):
        seen = PageResponse(await page_client.browser.post("/admin/login", data=fields | proof))
        assert (seen.status, seen.code) == (403, "csrf-token-invalid")
    foreign = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    form = await page_client.get("/admin/login")
    csrf = re.findall(r'name="csrf" value="(\w+)"', form.html)[0]
    seen = PageResponse(await page_client.browser.post("/admin/login", data={**fields, "csrf": csrf}, headers=foreign))
    assert (seen.status, seen.code) == (403, "csrf-token-invalid")


async def test_guesses_of_passwords_are_limited_separately_from_users(page_client: PageClient) -> None:
    await page_client.admin()
    seen = [await sign_in(page_client, "Mira@Panel.test", "wrong password") for _ in range(10)]
    assert {answer.status for answer in seen} == {401}
    late = await sign_in(page_client)
    assert (late.status, late.code) == (429, "too-many-requests")
    assert int(late.response.headers["Retry-After"]) > 0
    assert (await sign_in(page_client, "other@panel.test")).status == 401


async def test_spaces_around_the_address_do_not_start_another_count(page_client: PageClient) -> None:
    await page_client.admin()
    for _ in range(10):
        await sign_in(page_client, EMAIL, "wrong password")
    assert (await sign_in(page_client, f" {EMAIL.upper()} ")).status == 429


# ---- second factor ---------------------------------------------------------------------------------------------------


async def test_the_second_factor_is_required_after_the_password(page_client: PageClient) -> None:
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


async def test_a_recovery_code_works_once(page_client: PageClient) -> None:
    _, _, codes = await enrol(page_client)
    for status in (303, 401):
        page_client.sign_out()
        await sign_in(page_client)
        seen = await page_client.send("/admin/login/code", {"code": codes[0]}, page="/admin/login/code")
        assert seen.status == status
    assert "<details open>" in seen.html


async def test_the_code_is_requested_only_after_the_password(page_client: PageClient) -> None:
    assert (await page_client.get("/admin/login/code")).target == "/admin/login"
    assert (
        await page_client.send("/admin/login/code", {"code": "123456"}, page="/admin/login")
    ).target == "/admin/login"


async def test_guesses_of_codes_are_limited(page_client: PageClient) -> None:
    await enrol(page_client)
    await sign_in(page_client)
    seen = [await page_client.send("/admin/login/code", {"code": "x"}, page="/admin/login/code") for _ in range(11)]
    assert [answer.status for answer in seen[-2:]] == [401, 429]


def test_guesses_of_codes_are_counted_over_all_networks() -> None:
    limiter = Limiter(Limits())
    for _ in range(10):
        limiter.check_code(EMAIL)
    with pytest.raises(TooManyRequests):
        limiter.check_code(EMAIL)


# ---- forgotten and set up --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", [EMAIL, "nobody@panel.test", "ada@people.test"])
async def test_requesting_a_new_password_reveals_nothing(page_client: PageClient, email: str) -> None:
    await page_client.admin()
    await page_client.user()
    seen = await page_client.send("/admin/login/forgotten", {"email": email}, page="/admin/login/forgotten")
    assert seen.target == "/admin/login/forgotten?sent=yes"
    assert "If the address belongs to an administrator" in (await page_client.get(seen.target)).words
    assert len(await page_client.services.db.fetch(MAILS)) == (email == EMAIL)


async def test_an_invalid_address_is_refused(page_client: PageClient) -> None:
    seen = await page_client.send("/admin/login/forgotten", {"email": "mira"}, page="/admin/login/forgotten")
    assert (seen.status, seen.code) == (422, "invalid-fields")
    assert "Enter a full address" in seen.words


async def test_a_forgotten_password_is_reset_by_mail_and_ends_every_session(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    await page_client.send("/admin/login/forgotten", {"email": EMAIL}, page="/admin/login/forgotten")
    token = await mailed_token(page_client)
    page = f"/admin/set-up?token={token}"
    assert "Set a new password" in (await page_client.get(page)).words
    short = await page_client.send("/admin/set-up", {"token": token, "password": "short"}, page=page)
    assert (short.status, short.code) == (422, "invalid-fields")
    sent = await page_client.send("/admin/set-up", {"token": token, "password": "quite another 1"}, page=page)
    assert sent.target == "/admin/login?notice=password"
    assert session(page_client) is None
    assert (await sign_in(page_client)).status == 401
    assert (await sign_in(page_client, password="quite another 1")).status == 303
    assert (await page_client.get(page)).code == "set-up-token-invalid"


async def test_the_first_administrator_is_created_on_the_command_line(page_client: PageClient) -> None:
    created = await page_client.services.admins.create(
        address=parse_address(EMAIL), role="super-admin", by=OPERATOR_PRINCIPAL
    )
    assert created.set_up_url
    page = created.set_up_url.removeprefix("http://pages.test")
    assert "Set up your administrator account" in (await page_client.get(page)).words
    token = page.partition("token=")[2]
    assert (await page_client.send("/admin/set-up", {"token": token, "password": PASSWORD}, page=page)).status == 303
    assert (await sign_in(page_client)).target == "/admin"


async def test_an_invalid_set_up_link_explains_what_to_do(page_client: PageClient) -> None:
    seen = await page_client.get("/admin/set-up?token=x")
    assert (seen.status, seen.code) == (401, "set-up-token-invalid")
    assert "latchstring admin create" in seen.words


@pytest.mark.parametrize("path", ["/admin/login", "/admin/login/forgotten", "/admin/set-up"])
async def test_signed_out_pages_have_security_headers(page_client: PageClient, path: str) -> None:
    seen = await page_client.get(path)
    headers = seen.response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", seen.html)


@pytest.mark.parametrize("path", ["/admin", "/admin/"])
async def test_the_panel_redirects_to_sign_in(page_client: PageClient, path: str) -> None:
    seen = await page_client.get(path)
    assert (seen.status, seen.target) == (303, "/admin/login")
