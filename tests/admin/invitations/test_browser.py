"""Inviting in a real browser with the real content policy: with a script, without one, and by keyboard."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FrameLocator, Page, expect
from tests.admin.account.test_browser import look
from tests.admin.test_screens_browser import sign_in
from tests.support.browser import WatchedPage, watch_page
from tests.support.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

NEW = "/admin/invitations/new"
ENTRY = re.compile(r"/admin/invitations/[0-9a-f-]{36}$")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def seen(chromium: Browser, sample_installation: Installation) -> AsyncIterator[WatchedPage]:
    """A browser with the session of a super-admin."""
    watched = await watch_page(chromium, sample_installation, locale="en", viewport={"width": 1280, "height": 900})
    await watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sign_in(watched.page)
    yield watched
    await watched.context.close()


def mail_in(page: Page) -> FrameLocator:
    """The mail in the nested frame of the preview."""
    return page.frame_locator("#preview").frame_locator(".mail-frame__mail")


async def wait_for_preview(page: Page, number: int) -> None:
    """Wait until the frame with this number has replaced the previous one.

    An expectation inside a frame fails immediately when the frame is removed, so tests must not use the old one.
    """
    await expect(page.locator("#preview")).to_have_attribute("name", f"preview-{number}")


async def test_the_preview_follows_typing_and_back_leaves_the_page(seen: WatchedPage) -> None:
    page = seen.page
    await page.goto("/admin/account")
    await page.goto(NEW)
    await expect(mail_in(page).get_by_text("Hello,")).to_be_visible()
    await page.fill("#firstName", "Jonas")
    await wait_for_preview(page, 1)
    await expect(mail_in(page).get_by_text("Hello Jonas,")).to_be_visible()
    await page.fill("#message", "Bring tide tables.")
    await wait_for_preview(page, 2)
    await expect(mail_in(page).get_by_text("Bring tide tables.")).to_be_visible()
    await page.select_option("#locale", "de")
    await wait_for_preview(page, 3)
    await expect(
        mail_in(page).get_by_text("Guten Tag Jonas,").or_(mail_in(page).get_by_text("Hallo Jonas,"))
    ).to_be_visible()
    await page.get_by_text("Text", exact=True).click()
    await wait_for_preview(page, 4)
    await expect(page.frame_locator("#preview").locator(".mail-frame__text")).to_contain_text("Bring tide tables.")
    await page.get_by_text("Phone", exact=True).click()
    await wait_for_preview(page, 5)
    await expect(mail_in(page).get_by_text("Bring tide tables.")).to_be_visible()
    await page.go_back()
    await page.wait_for_url("**/admin/account")
    seen.check()


async def test_choose_groups_and_content_while_typing_then_send(
    seen: WatchedPage, sample_installation: Installation
) -> None:
    page = seen.page
    await page.goto(NEW)
    await page.fill("#inviteEmail", "nora@brightwater.example")
    await page.fill("#firstName", "Nora")
    await page.fill("[name=groupSearch]", "spring")
    await page.get_by_label("Spring cohort").check()
    await page.fill("[name=contentSearch]", "tide")
    await page.get_by_role("button", name="Add Tide tables for beginners").click()
    await expect(page.get_by_label("Role on \u2068Tide tables for beginners\u2069")).to_have_value("VIEWER")
    await page.get_by_label("Role on \u2068Tide tables for beginners\u2069").select_option("EDITOR")
    await expect(page.locator("#inviteEmail")).to_have_value("nora@brightwater.example")
    await expect(page.get_by_label("Spring cohort")).to_be_checked()
    await look(seen, "filled in")
    await page.get_by_role("button", name="Save and send").click()
    await page.wait_for_url(ENTRY)
    await expect(page.locator("#flash")).to_have_attribute("data-flash", "invitation-sent")
    await expect(page.locator("[data-event='attempt.sent']")).to_be_visible()  # without reloading the page
    await expect(page.locator("#standing")).to_contain_text("Sent")
    mail = sample_installation.mail_about("nora@brightwater.example", "You may edit Tide tables for beginners")
    assert "Spring cohort" in mail.text
    await look(seen, "sent")


async def test_a_problem_links_to_its_field(seen: WatchedPage) -> None:
    page = seen.page
    await page.goto(NEW)
    await page.fill("#inviteEmail", "otto@brightwater.example")
    await page.get_by_role("button", name="Save and send").click()
    await expect(page.get_by_role("alert")).to_be_focused()
    await page.get_by_role("alert").get_by_role("link").click()
    await expect(page.locator("#role")).to_be_focused()
    seen.page_errors = [complaint for complaint in seen.page_errors if "422" not in complaint]
    await look(seen, "refused")


async def test_the_link_is_copied_and_its_views_are_shown(seen: WatchedPage, sample_installation: Installation) -> None:
    page = seen.page
    invitation = sample_installation.invite(
        "petra@brightwater.example", sample_installation.key, role="team", firstName="Petra"
    )
    await page.goto(f"/admin/invitations/{invitation['id']}")
    await page.get_by_role("link", name="Copy link…").click()
    await look(seen, "link confirmation")
    await page.get_by_role("button", name="Show the link").click()
    link = await page.get_by_label("Link", exact=True).input_value()
    assert "token=ey" in link
    await page.get_by_role("button", name="Copy the link").click()
    assert await page.evaluate("navigator.clipboard.readText()") == link
    await look(seen, "link shown")
    await page.get_by_role("link", name="Done").click()
    assert link[-20:] not in await page.content()
    for _ in range(2):
        assert (await page.context.request.get(link)).ok
    async with asyncio.timeout(15):  # the server stores link views once a second
        while "2 times, last" not in await page.content():
            await page.reload()
    await expect(page.locator("[data-event='link.opened']")).to_be_visible()


async def test_invite_and_revoke_without_a_script(chromium: Browser, sample_installation: Installation) -> None:
    seen = await watch_page(
        chromium, sample_installation, locale="en", java_script_enabled=False, viewport={"width": 320, "height": 800}
    )
    page = seen.page
    await sign_in(page)
    await page.goto(NEW)
    await page.fill("#inviteEmail", "quinn@brightwater.example")
    await page.fill("#firstName", "Quinn")
    await page.fill("[name=groupSearch]", "spring")
    await page.get_by_role("button", name="Find groups").click()
    await page.get_by_label("Spring cohort").check()
    await page.fill("[name=contentSearch]", "tide")
    await page.get_by_role("button", name="Add content").click()
    await expect(page.get_by_text("Tide tables for beginners", exact=True)).to_be_visible()
    await page.fill("#message", "Come on Tuesday.")
    await page.get_by_text("Until a date", exact=True).click()
    await page.fill("#until", await page.locator("#until").get_attribute("max") or "")
    await page.get_by_role("button", name="Update preview").click()
    await expect(mail_in(page).get_by_text("Come on Tuesday.")).to_be_visible()
    await expect(page.locator("#message")).to_have_value("Come on Tuesday.")
    await page.get_by_role("button", name="Save and send").click()
    await page.wait_for_url(ENTRY)
    assert "token=ey" in sample_installation.mail_about("quinn@brightwater.example", "Come on Tuesday.").text
    await page.get_by_role("link", name="revoke this one").click()
    await page.get_by_role("button", name="Revoke invitation").click()
    await expect(page.locator("#flash")).to_have_attribute("data-flash", "invitation-revoked")
    await page.get_by_role("link", name="duplicate it").click()
    await expect(page.locator("#inviteEmail")).to_have_value("quinn@brightwater.example")
    seen.check()
    await seen.context.close()


async def test_invite_and_revoke_by_keyboard(seen: WatchedPage) -> None:
    page = seen.page
    await page.goto(NEW)
    await page.locator("#inviteEmail").focus()
    await page.keyboard.type("rosa@brightwater.example")
    await page.keyboard.press("Enter")  # changes the page, sends nothing
    await expect(page.locator("#inviteEmail")).to_have_value("rosa@brightwater.example")
    assert page.url.endswith(NEW)
    await page.locator("input[name=role]:checked").focus()
    await page.keyboard.press("ArrowDown")
    button = page.get_by_role("button", name="Save and send")
    await button.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(ENTRY)
    await page.get_by_role("button", name="More actions").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Revoke…").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/revoke")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Revoke invitation")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url(ENTRY)
    await expect(page.get_by_role("status")).to_contain_text("Revoked.")
    seen.check()
