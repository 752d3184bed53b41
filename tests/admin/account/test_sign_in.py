"""The gate: who comes in, what a session is worth, and what nobody learns from it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.support.page_client import Seen
from tests.support.panel_client import COOKIE, PASSWORD, Desk

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


async def sign_in(desk: Desk, email: str = EMAIL, password: str = PASSWORD, **fields: str) -> Seen:
    return await desk.send("/admin/login", {"email": email, "password": password, **fields}, page="/admin/login")


def session(desk: Desk) -> str | None:
    found: str | None = desk.browser.cookies.get(COOKIE)
    return found


def forward(desk: Desk, by: timedelta) -> None:
    desk.now[0] += by


async def enrol(desk: Desk) -> tuple[Admin, bytes, tuple[str, ...]]:
    """An administrator with a second factor: who it is, the app's secret, the recovery codes."""
    admin, admins = await desk.admin(), desk.services.admins
    new = await admins.admin_login(EMAIL, PASSWORD, user_agent="", network="")
    visit: Any = await admins.find_admin_session(new.token)
    await admins.start_second_factor(visit)
    visit = await admins.find_admin_session(new.token)
    secret = admins._unseal(visit.admin)
    assert secret
    codes = await admins.confirm_second_factor(visit, totp_code(secret, step_at(desk.now[0])), PASSWORD)
    forward(desk, timedelta(minutes=1))
    return admin, secret, codes


async def mailed_token(desk: Desk) -> str:
    """The token of the newest set-up mail."""
    row = (await desk.services.db.fetch(MAILS))[0]
    mail = OutboxRow(row.id, MailKind.ADMIN_SET_UP, row.subject_id, row.generation, row.locale, row.state, 0)
    message = await desk.services.admins.load_admin_set_up_mail(mail)
    assert message
    return message.link_url.partition("token=")[2]


# ---- password --------------------------------------------------------------------------------------------------------


async def test_an_administrator_signs_in_and_out(desk: Desk) -> None:
    await desk.admin()
    seen = await sign_in(desk)
    assert (seen.status, seen.target) == (303, "/admin")
    cookie = next(line for line in seen.response.headers.get_list("set-cookie") if line.startswith(COOKIE))
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Mira Okafor" in (await desk.get("/admin/nothing-here")).words
    before = session(desk)
    left = await desk.send("/admin/logout")
    assert left.target == "/admin/login?said=left"
    assert session(desk) is None
    assert "You have signed out here" in (await desk.get(left.target)).words
    assert await desk.services.admins.find_admin_session(before or "") is None


@pytest.mark.parametrize("desk", [('"http://door.test"', '"https://door.test"')], indirect=True)
async def test_behind_tls_the_cookie_is_locked_to_this_host(desk: Desk) -> None:
    await desk.admin()
    desk.browser.base_url = "https://door.test"
    seen = await sign_in(desk)
    assert seen.target == "/admin"
    cookie = next(line for line in seen.response.headers.get_list("set-cookie") if f"__Host-{COOKIE}" in line)
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert (await desk.get("/admin/nothing-here")).status == 404


@pytest.mark.parametrize("who", ["wrong password", "unknown", "no address", "a user", "deactivated"])
async def test_every_failed_login_looks_alike(desk: Desk, who: str) -> None:
    admin = await desk.admin(role="viewer")
    await desk.user()
    if who == "deactivated":
        await desk.services.admins.deactivate_admin(OPERATOR_PRINCIPAL, admin.id)
    email = {"unknown": "nobody@panel.test", "no address": "mira", "a user": "ada@people.test"}.get(who, EMAIL)
    seen = await sign_in(desk, email, "not the password" if who == "wrong password" else PASSWORD)
    assert (seen.status, seen.code) == (401, "invalid-credentials")
    assert "Address and password do not belong together" in seen.words
    assert PASSWORD not in seen.html
    assert session(desk) is None


async def test_an_administrator_cannot_sign_in_to_the_app(desk: Desk) -> None:
    await desk.admin()
    seen = await desk.post("/login", {"email": EMAIL, "password": PASSWORD})
    assert (seen.status, seen.code) == (401, "invalid-credentials")


async def test_being_signed_in_to_the_app_opens_nothing(desk: Desk) -> None:
    await desk.user()
    await desk.post("/login", {"email": "ada@people.test", "password": PASSWORD})
    seen = await desk.get("/admin/nothing-here")
    assert (seen.status, seen.target) == (303, "/admin/login?next=%2Fadmin%2Fnothing-here")


async def test_a_session_that_was_planted_is_not_the_one_after_the_login(desk: Desk) -> None:
    await desk.admin()
    await sign_in(desk)
    planted = session(desk)
    shown = await desk.get("/admin/login/forgotten")  # somebody else's browser, with the planted cookie
    csrf = re.findall(r'name="csrf" value="(\w+)"', shown.html)[0]
    fields = {"csrf": csrf, "email": EMAIL, "password": PASSWORD}
    assert Seen(await desk.browser.post("/admin/login", data=fields)).status == 303
    assert session(desk) not in (None, planted)


@pytest.mark.parametrize("wanted", ["https://evil.test/admin/", "//evil.test", "/admin\\evil.test", "/login"])
async def test_signing_in_leads_nowhere_else(desk: Desk, wanted: str) -> None:
    await desk.admin()
    assert (await sign_in(desk, next=wanted)).target == "/admin"
    desk.leave()
    assert "evil.test" not in (await desk.get(f"/admin/login?next={wanted}")).html


async def test_signing_in_leads_on_to_the_page_that_was_wanted(desk: Desk) -> None:
    await desk.admin()
    seen = await desk.get("/admin/users?q=ada%20%26%20co")
    shown = await desk.get(seen.target)
    wanted = re.findall(r'name="next" value="([^"]+)"', shown.html)[0]
    assert (await sign_in(desk, next=wanted)).target == "/admin/users?q=ada+%26+co"
    assert (await desk.get("/admin/login?next=/admin/users")).target == "/admin/users"


async def test_a_form_of_another_site_or_session_is_refused(desk: Desk) -> None:
    await desk.admin()
    fields = {"email": EMAIL, "password": PASSWORD}
    await desk.get("/admin/login")
    for proof in ({}, {"csrf": "0" * 32}):
        seen = Seen(await desk.browser.post("/admin/login", data=fields | proof))
        assert (seen.status, seen.code) == (403, "csrf-token-invalid")
    foreign = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    shown = await desk.get("/admin/login")
    csrf = re.findall(r'name="csrf" value="(\w+)"', shown.html)[0]
    seen = Seen(await desk.browser.post("/admin/login", data={**fields, "csrf": csrf}, headers=foreign))
    assert (seen.status, seen.code) == (403, "csrf-token-invalid")


async def test_guessing_is_slowed_down_for_administrators_apart_from_users(desk: Desk) -> None:
    await desk.admin()
    seen = [await sign_in(desk, "Mira@Panel.test", "wrong password") for _ in range(10)]
    assert {one.status for one in seen} == {401}
    late = await sign_in(desk)
    assert (late.status, late.code) == (429, "too-many-requests")
    assert int(late.response.headers["Retry-After"]) > 0
    assert (await sign_in(desk, "other@panel.test")).status == 401


# ---- second factor ---------------------------------------------------------------------------------------------------


async def test_the_second_factor_stands_between_the_password_and_the_panel(desk: Desk) -> None:
    _, secret, _ = await enrol(desk)
    seen = await sign_in(desk, next="/admin/users")
    assert seen.target == "/admin/login/code?next=%2Fadmin%2Fusers"
    waiting = session(desk)
    assert (await desk.get("/admin/users")).target == "/admin/login/code?next=%2Fadmin%2Fusers"
    assert (await desk.get("/admin/login")).target == "/admin/login/code"
    wrong = await desk.send("/admin/login/code", {"code": "12345"}, page="/admin/login/code")
    assert (wrong.status, wrong.code) == (401, "second-factor-invalid")
    code = totp_code(secret, step_at(desk.now[0]))
    fields = {"code": f" {code[:3]} {code[3:]}"[:8].strip(), "next": "/admin/users"}
    assert (await desk.send("/admin/login/code", fields, page="/admin/login/code")).target == "/admin/users"
    assert session(desk) not in (None, waiting)
    assert (await desk.get("/admin/login/code")).target == "/admin"


async def test_a_recovery_code_opens_the_panel_once(desk: Desk) -> None:
    _, _, codes = await enrol(desk)
    for status in (303, 401):
        desk.leave()
        await sign_in(desk)
        seen = await desk.send("/admin/login/code", {"code": codes[0]}, page="/admin/login/code")
        assert seen.status == status
    assert "<details open>" in seen.html


async def test_without_a_password_there_is_no_question_for_the_code(desk: Desk) -> None:
    assert (await desk.get("/admin/login/code")).target == "/admin/login"
    assert (await desk.send("/admin/login/code", {"code": "123456"}, page="/admin/login")).target == "/admin/login"


async def test_guessing_codes_is_slowed_down(desk: Desk) -> None:
    await enrol(desk)
    await sign_in(desk)
    seen = [await desk.send("/admin/login/code", {"code": "x"}, page="/admin/login/code") for _ in range(11)]
    assert [one.status for one in seen[-2:]] == [401, 429]


def test_codes_are_counted_over_all_networks() -> None:
    limiter = Limiter(Limits())
    for _ in range(10):
        limiter.check_code(EMAIL)
    with pytest.raises(TooManyRequests):
        limiter.check_code(EMAIL)


# ---- forgotten and set up --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", [EMAIL, "nobody@panel.test", "ada@people.test"])
async def test_asking_for_a_new_password_tells_nothing(desk: Desk, email: str) -> None:
    await desk.admin()
    await desk.user()
    seen = await desk.send("/admin/login/forgotten", {"email": email}, page="/admin/login/forgotten")
    assert seen.target == "/admin/login/forgotten?sent=yes"
    assert "If the address belongs to an administrator" in (await desk.get(seen.target)).words
    assert len(await desk.services.db.fetch(MAILS)) == (email == EMAIL)


async def test_what_is_no_address_is_said_so(desk: Desk) -> None:
    seen = await desk.send("/admin/login/forgotten", {"email": "mira"}, page="/admin/login/forgotten")
    assert (seen.status, seen.code) == (422, "invalid-fields")
    assert "Enter a full address" in seen.words


async def test_a_forgotten_password_is_set_through_the_mail_and_ends_every_session(desk: Desk) -> None:
    await desk.enter()
    await desk.send("/admin/login/forgotten", {"email": EMAIL}, page="/admin/login/forgotten")
    token = await mailed_token(desk)
    page = f"/admin/set-up?token={token}"
    assert "Set a new password" in (await desk.get(page)).words
    short = await desk.send("/admin/set-up", {"token": token, "password": "short"}, page=page)
    assert (short.status, short.code) == (422, "invalid-fields")
    sent = await desk.send("/admin/set-up", {"token": token, "password": "quite another 1"}, page=page)
    assert sent.target == "/admin/login?said=password"
    assert session(desk) is None
    assert (await sign_in(desk)).status == 401
    assert (await sign_in(desk, password="quite another 1")).status == 303
    assert (await desk.get(page)).code == "set-up-token-invalid"


async def test_the_first_administrator_comes_from_the_command_line(desk: Desk) -> None:
    made = await desk.services.admins.create_admin(OPERATOR_PRINCIPAL, address=parse_address(EMAIL), role="super-admin")
    assert made.set_up_url
    page = made.set_up_url.removeprefix("http://door.test")
    assert "Set up your administrator account" in (await desk.get(page)).words
    token = page.partition("token=")[2]
    assert (await desk.send("/admin/set-up", {"token": token, "password": PASSWORD}, page=page)).status == 303
    assert (await sign_in(desk)).target == "/admin"


async def test_a_set_up_link_that_is_not_good_names_the_way(desk: Desk) -> None:
    seen = await desk.get("/admin/set-up?token=x")
    assert (seen.status, seen.code) == (401, "set-up-token-invalid")
    assert "latchstring admin create" in seen.words


@pytest.mark.parametrize("path", ["/admin/login", "/admin/login/forgotten", "/admin/set-up"])
async def test_the_gate_keeps_to_itself(desk: Desk, path: str) -> None:
    seen = await desk.get(path)
    headers = seen.response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", seen.html)


@pytest.mark.parametrize("path", ["/admin", "/admin/"])
async def test_the_panel_leads_to_its_login(desk: Desk, path: str) -> None:
    seen = await desk.get(path)
    assert (seen.status, seen.target) == (303, "/admin/login")
