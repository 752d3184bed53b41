"""The first tasks of a new administrator on a narrow screen, with and without a script."""

import re

import pytest
from playwright.async_api import Browser, Page, expect
from tests.admin.test_screens_browser import sign_in
from tests.support.browser import watch_page
from tests.support.installation import PASSWORD, Installation, new_address
from tests.support.sample_data import BOUNCED

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
ENTRY = re.compile(r"/admin/invitations/[0-9a-f-]{36}$")


async def go_to(page: Page, section: str) -> None:
    """Open a section with the navigation, which is behind a button on narrow screens."""
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("navigation", name="Panel").get_by_role("link", name=section, exact=True).click()


async def invite(page: Page, email: str, *choices: str) -> None:
    """Invite a person from the list with these choices."""
    await go_to(page, "Invitations")
    await page.get_by_role("link", name="Create new entry").click()
    await page.get_by_label("Invite e-mail").fill(email)
    for choice in choices:
        await page.get_by_label(choice).check()
    await page.get_by_role("button", name="Save and send").click()
    await page.wait_for_url(ENTRY)
    await expect(page.get_by_role("status")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with a script", "without a script"])
async def test_invite_users_revoke_one_and_invite_an_administrator(
    chromium: Browser, sample_installation: Installation, *, scripts: bool
) -> None:
    seen = await watch_page(
        chromium, sample_installation, locale="en", java_script_enabled=scripts, viewport={"width": 320, "height": 700}
    )
    page = seen.page
    await page.goto("/admin")
    await sign_in(page)
    first, second, third = new_address("one"), new_address("two"), new_address("three")
    await invite(page, first, "Team")
    await invite(page, second, "Spring cohort")
    await invite(page, third, "Customer", "Spring cohort")
    assert [sample_installation.mail(address).token[:2] for address in (first, second, third)] == ["ey"] * 3

    await go_to(page, "Invitations")
    await page.get_by_role("link", name="Mail failing").click()
    await page.get_by_role("link", name=BOUNCED).first.click()
    await expect(page.get_by_text("550 5.1.1 No such user here").first).to_be_visible()

    await go_to(page, "Invitations")
    await page.get_by_role("searchbox").fill(third)
    await page.get_by_role("searchbox").press("Enter")
    await expect(page.get_by_role("link", name=third, exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name=first, exact=True)).to_have_count(0)
    await page.get_by_role("checkbox", name=re.compile(re.escape(third))).check()
    await page.get_by_role("group", name="Selected entries").get_by_role("button", name="Revoke").click()
    await page.get_by_role("button", name="Revoke one invitation").click()
    await expect(page.get_by_role("status").first).to_contain_text("One invitation revoked.")
    await page.goto(f"/admin/invitations?q={third}")
    await expect(page.locator(".badge--invalid").first).to_be_visible()

    colleague = new_address("colleague")
    await go_to(page, "Administrators")
    await page.get_by_role("link", name="Invite an administrator").click()
    await page.get_by_label("E-mail").fill(colleague)
    await page.get_by_label("Name").fill("Ben Adeyemi")
    await page.get_by_role("button", name="Invite and send the link").click()
    link = re.search(r"^(http\S+token=\S+?)\s*$", sample_installation.mail(colleague).text, re.MULTILINE)
    assert link
    other = await watch_page(chromium, sample_installation, locale="en", java_script_enabled=scripts)
    await other.page.goto(link[1])
    await other.page.locator("input[name=password]").fill(PASSWORD)
    await other.page.get_by_role("button", name="Set password").click()
    await sign_in(other.page, colleague)
    await other.page.goto(f"/admin/invitations?q={first}")
    await expect(other.page.get_by_role("link", name=first, exact=True)).to_be_visible()
    for watched in (seen, other):
        watched.check()
        await watched.context.close()
