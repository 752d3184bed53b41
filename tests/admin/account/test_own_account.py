"""The own account in the panel: name, password, second factor and sessions."""

import re

import pytest
from tests.admin.account.test_sign_in import enrol, sign_in
from tests.support.page_client import COOKIE, PASSWORD, PageClient

from latchstring.admin.account.qr import draw_qr
from latchstring.admin.account.user_agents import parse_user_agent
from latchstring.crypto.totp import step_at, totp_code

ACCOUNT = "/admin/account"
FACTOR = "/admin/account/second-factor"


def secret_on(html: str) -> str:
    return str(re.findall(r'id="secret"[^>]*>([A-Z2-7 ]+)<', html)[0]).replace(" ", "")


async def test_name_and_language_are_saved(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="viewer")
    sent = await page_client.send(ACCOUNT, {"name": "Mira O.", "language": "de"}, page=ACCOUNT)
    assert sent.target == ACCOUNT
    seen = await page_client.get(ACCOUNT)
    assert 'value="Mira O."' in seen.html
    assert '<html lang="de"' in seen.html
    assert (await page_client.send(ACCOUNT, {"name": "Mira\u202e", "language": ""}, page=ACCOUNT)).status == 422
    assert (await page_client.send(ACCOUNT, {"name": "Mira", "role": "super-admin"}, page=ACCOUNT)).status == 400


async def test_a_new_password_ends_all_other_sessions(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    other = page_client.browser.cookies.get(COOKIE) or ""
    page_client.sign_out()
    await sign_in(page_client)
    here = page_client.browser.cookies.get(COOKIE)
    page = f"{ACCOUNT}/password"
    wrong = await page_client.send(page, {"currentPassword": "wrong", "password": "quite another 1"}, page=page)
    assert (wrong.status, wrong.code) == (422, "invalid-fields")
    assert 'href="#currentPassword" data-problem="wrong-password"' in wrong.html
    assert "quite another 1" not in wrong.html
    sent = await page_client.send(page, {"currentPassword": PASSWORD, "password": "quite another 1"}, page=page)
    assert await page_client.flash(sent) == "own-password-changed"
    assert page_client.browser.cookies.get(COOKIE) not in (None, here)
    assert await page_client.services.admins.sessions.find(other) is None
    page_client.sign_out()
    assert (await sign_in(page_client, password="quite another 1")).status == 303


async def test_guesses_of_the_own_password_are_limited(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    page = f"{ACCOUNT}/password"
    fields = {"currentPassword": "wrong", "password": "quite another 1"}
    assert [(await page_client.send(page, fields, page=page)).status for _ in range(11)][-2:] == [422, 429]


async def test_a_second_factor_is_set_up_with_a_code_and_shows_recovery_codes_once(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    assert '<svg class="qr"' not in (await page_client.get(FACTOR)).html
    await page_client.send(f"{FACTOR}/start", page=FACTOR)
    enrolment = await page_client.get(FACTOR)
    assert 'class="qr"' in enrolment.html
    assert "style=" not in enrolment.html
    wrong = await page_client.send(FACTOR, {"code": "12345x", "confirmPassword": PASSWORD}, page=FACTOR)
    assert (wrong.status, wrong.code) == (422, "second-factor-invalid")
    assert secret_on(wrong.html) == secret_on(enrolment.html)
    session = await page_client.services.admins.sessions.find(page_client.browser.cookies.get(COOKIE) or "")
    assert session
    secret = page_client.services.admins.second_factors._unseal(session.admin)
    assert secret
    good = {"code": totp_code(secret, step_at(page_client.clock.now))}
    for password in ({}, {"confirmPassword": "wrong"}):
        refused = await page_client.send(FACTOR, good | password, page=FACTOR)
        assert (refused.status, refused.code, 'id="confirmPassword-error"' in refused.html) == (
            422, "invalid-fields", True,
        )  # fmt: skip
    done = await page_client.send(FACTOR, good | {"confirmPassword": PASSWORD}, page=FACTOR)
    codes = re.findall(r"<li>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})</li>", done.html)
    assert (done.status, len(set(codes))) == (200, 10)
    after = await page_client.get(FACTOR)
    assert 'data-testid="codes-left" data-count="10"' in after.html
    assert not any(code in after.html for code in codes)
    assert 'id="secret"' not in after.html
    assert (await page_client.send(FACTOR, {"code": "123456"}, page=FACTOR)).target == FACTOR


async def test_new_codes_and_removal_need_the_password(page_client: PageClient) -> None:
    _, _, codes = await enrol(page_client)
    await sign_in(page_client)
    await page_client.send("/admin/login/code", {"code": codes[0]}, page="/admin/login/code")
    for path, field in (("codes", "codesPassword"), ("remove", "removalPassword")):
        for given in ({}, {field: "wrong"}):
            refused = await page_client.send(f"{FACTOR}/{path}", given, page=FACTOR)
            assert (refused.status, f'id="{field}-error"' in refused.html) == (422, True)
    renewed = await page_client.send(f"{FACTOR}/codes", {"codesPassword": PASSWORD}, page=FACTOR)
    assert len(re.findall(r"<li>[A-Z2-7]{4}-", renewed.html)) == 10
    assert codes[1] not in renewed.html
    sent = await page_client.send(f"{FACTOR}/remove", {"removalPassword": PASSWORD}, page=FACTOR)
    assert await page_client.flash(sent) == "own-second-factor-removed"
    page_client.sign_out()
    assert (await sign_in(page_client)).target == "/admin"


async def test_own_sessions_are_listed_and_ended(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    other = page_client.browser.cookies.get(COOKIE) or ""
    session = await page_client.services.admins.sessions.find(other)
    assert session
    page_client.browser.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    page_client.sign_out()
    await sign_in(page_client)
    await page_client.services.admins.sessions.login("mira@panel.test", PASSWORD, user_agent="", network="")
    seen = await page_client.get(ACCOUNT)
    assert re.search(r'Firefox · Linux</span> <span class="tag" data-testid="this-browser">', seen.html)
    sent = await page_client.send(f"{ACCOUNT}/sessions", {"session": str(session.session_id)}, page=ACCOUNT)
    assert await page_client.flash(sent) == "own-sessions-ended"
    assert await page_client.services.admins.sessions.find(other) is None
    for nonsense in (str(session.session_id), "x"):
        sent = await page_client.send(f"{ACCOUNT}/sessions", {"session": nonsense}, page=ACCOUNT)
        assert await page_client.flash(sent) == "own-session-over"
    sent = await page_client.send(f"{ACCOUNT}/sessions", {"session": "others"}, page=ACCOUNT)
    assert await page_client.flash(sent) == "own-sessions-ended"


async def test_ending_the_current_session_redirects_to_sign_in(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    session = await page_client.services.admins.sessions.find(page_client.browser.cookies.get(COOKIE) or "")
    assert session
    sent = await page_client.send(f"{ACCOUNT}/sessions", {"session": str(session.session_id)}, page=ACCOUNT)
    assert sent.target == "/admin/login?notice=signed-out"
    assert page_client.browser.cookies.get(COOKIE) is None


async def test_sessions_of_others_cannot_be_ended(page_client: PageClient) -> None:
    await page_client.sign_in_admin("ben@panel.test", name="Ben")
    ben = page_client.browser.cookies.get(COOKIE) or ""
    session = await page_client.services.admins.sessions.find(ben)
    assert session
    await page_client.sign_in_admin()
    await page_client.send(f"{ACCOUNT}/sessions", {"session": str(session.session_id)}, page=ACCOUNT)
    assert await page_client.services.admins.sessions.find(ben) is not None


@pytest.mark.parametrize("path", ["", "/password", "/second-factor", "/second-factor/start", "/second-factor/codes",
                                  "/second-factor/remove", "/sessions"])  # fmt: skip
async def test_forms_without_a_csrf_token_are_refused(page_client: PageClient, path: str) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.browser.post(ACCOUNT + path, data={"csrf": "0" * 32})
    assert seen.status_code == 403


def test_a_qr_code_has_a_quiet_zone() -> None:
    qr = draw_qr("otpauth://totp/Acme:ann@office.test?secret=GEZDGNBVGY3TQOJQ")
    assert (qr.side - 8 - 17) % 4 == 0
    assert qr.path.startswith("M4 4h7v1h-7z")
    assert re.fullmatch(r"(M\d+ \d+h\d+v1h-\d+z)+", qr.path)


@pytest.mark.parametrize(
    ("header", "name", "system"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0", "Edge", "Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1", "Safari", "iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/143.0.0.0 Mobile Safari/537.36", "Chrome", "Android"),
        ("curl/8.9", "", ""),
    ],
)
def test_user_agents_are_parsed(header: str, name: str, system: str) -> None:
    assert parse_user_agent(header) == (name, system)
