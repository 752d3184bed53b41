"""Set-up, sign-in and second factor of an administrator in a real browser with the real content policy.

Every state is checked narrow and wide, light and dark, in both directions; then once without a script.
"""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from tests.admin.test_screens_browser import DIRECTIONS, SCHEMES, WIDTHS, faults_of, sign_in
from tests.support.browser import WatchedPage, watch_page
from tests.support.installation import PASSWORD, Installation

from latchstring.crypto.totp import format_secret, step_at, totp_code

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BOSS = "mira@panel.example"


async def look(seen: WatchedPage, state: str) -> None:
    """Check the current page in every width, scheme and direction."""
    page = seen.page
    faults: list[str] = []
    size = page.viewport_size
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for direction in DIRECTIONS:
                await page.evaluate("way => { document.documentElement.dir = way }", direction)
                faults += [f"{state} {width} {scheme} {direction}: {fault}" for fault in await faults_of(page)]
    await page.evaluate("() => { document.documentElement.dir = 'ltr' }")
    await page.set_viewport_size(size or {"width": 1280, "height": 800})
    assert faults == []
    seen.check()


def code_of(letters: str) -> str:
    """The code that an authenticator app shows for this secret."""
    import base64  # noqa: PLC0415

    secret = base64.b32decode(letters.replace(" ", ""))
    assert format_secret(secret) == letters
    return totp_code(secret, step_at(datetime.now(UTC)))


async def press(page: Page, words: str) -> None:
    await page.get_by_role("button", name=words, exact=True).click()
    await page.wait_for_load_state()


async def invited(page_installation: Installation, page: Page, email: str) -> str:
    """Invite an administrator as the signed-in super-admin, and return the link of the mail."""
    await page.goto("/admin/administrators/new")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Name").fill("Ben Adeyemi")
    await press(page, "Invite and send the link")
    await expect(page.locator("#flash")).to_have_attribute("data-flash", "administrator-invited")
    link = re.search(
        r"^(http\S+token=\S+?)\s*$", page_installation.mail_about(email, "administrator").text, re.MULTILINE
    )
    assert link
    return link[1]


async def test_from_the_invitation_to_the_removal_of_the_second_factor(
    chromium: Browser, page_installation: Installation
) -> None:
    boss = await watch_page(chromium, page_installation, locale="en", viewport={"width": 1280, "height": 800})
    await boss.page.goto("/admin/login")
    await look(boss, "login")
    await sign_in(boss.page, BOSS)
    link = await invited(page_installation, boss.page, "ben@panel.example")
    await look(boss, "invited")
    ben = await watch_page(chromium, page_installation, locale="en", viewport={"width": 1280, "height": 800})
    page = ben.page
    await page.goto(link)
    await look(ben, "set-up")
    await page.locator("input[name=password]").fill(PASSWORD)
    await press(page, "Set password")
    await sign_in(page, "ben@panel.example")
    await page.goto("/admin/account/second-factor")
    await press(page, "Set up an authenticator app")
    await look(ben, "enrolment")
    letters = await page.locator("#secret").inner_text()
    await page.locator("#code").fill("000000x")
    await page.get_by_label("Your password").fill(PASSWORD)
    await press(page, "Turn on the second factor")
    await look(ben, "wrong code")
    await page.locator("#code").fill(code_of(letters))
    await page.get_by_label("Your password").fill(PASSWORD)
    await press(page, "Turn on the second factor")
    codes = await page.locator(".codes li").all_inner_texts()
    assert len(codes) == 10
    await look(ben, "recovery codes")
    await page.goto("/admin/account/second-factor")
    await look(ben, "second factor on")
    await press(page, "Sign out")
    await look(ben, "signed out")
    await page.locator("input[name=email]").fill("ben@panel.example")
    await page.locator("input[name=password]").fill(PASSWORD)
    await press(page, "Sign in")
    await look(ben, "code asked for")
    await page.get_by_text("Use a recovery code instead").click()
    await page.locator("#recovery").fill(codes[0].lower())
    await press(page, "Sign in with recovery code")
    assert "/login" not in page.url
    await boss.page.reload()
    await boss.page.get_by_role("link", name="Administrators").first.click()
    await boss.page.get_by_role("link", name="Ben Adeyemi").click()
    await look(boss, "an administrator")
    await press(boss.page, "Remove the second factor")
    await expect(boss.page.locator("#flash")).to_have_attribute("data-flash", "administrator-second-factor-removed")
    await page.goto("/admin/account")
    assert page.url.endswith("/admin/login?next=%2Fadmin%2Faccount")
    for watched in (boss, ben):
        watched.check()
        await watched.context.close()


async def test_administrators_without_a_script_and_by_keyboard(
    chromium: Browser, page_installation: Installation
) -> None:
    options: dict[str, Any] = {"java_script_enabled": False, "viewport": {"width": 320, "height": 800}}
    watched = await watch_page(chromium, page_installation, locale="en", **options)
    page = watched.page
    await page.goto("/admin/login")
    await page.get_by_label("E-mail").focus()
    await page.keyboard.type(BOSS)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "/login" not in url)
    link = await invited(page_installation, page, "eva@panel.example")
    await page.get_by_role("link", name="Deactivate …").click()
    await press(page, "Deactivate")
    await expect(page.locator("#flash")).to_have_attribute("data-flash", "administrator-deactivated")
    await page.goto(link)
    await expect(page.get_by_role("heading", level=1)).to_have_text("This link no longer works")
    await page.goto("/admin/account/password")
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("New password").fill(PASSWORD + " 2")
    await press(page, "Change password")
    await expect(page.locator("#flash")).to_have_attribute("data-flash", "own-password-changed")
    watched.check()
    await watched.context.close()
