"""Users, groups, objects and API keys in a real browser, with and without JavaScript."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from tests.support.browser import WatchedPage, watch_page
from tests.support.installation import PASSWORD, Installation

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
ADMIN = "mira@panel.example"


@pytest_asyncio.fixture(loop_scope="session", params=[True, False], ids=["with JavaScript", "without JavaScript"])
async def seen(
    request: pytest.FixtureRequest, chromium: Browser, page_installation: Installation
) -> AsyncIterator[WatchedPage]:
    """A narrow browser with the session of a super-admin."""
    options = {"viewport": {"width": 320, "height": 640}, "locale": "en", "java_script_enabled": request.param}
    watched = await watch_page(chromium, page_installation, **options)
    await watched.page.goto("/admin/login")
    await watched.page.locator("input[name=email]").fill(ADMIN)
    await watched.page.locator("input[name=password]").fill(PASSWORD)
    await watched.page.locator("form[action^='/admin/login'] .btn--primary").click()
    yield watched
    watched.check()
    await watched.context.close()


async def expect_flash(page: Page, key: str) -> None:
    await expect(page.locator("#flash")).to_have_attribute("data-flash", key)


async def test_create_a_group_add_a_member_and_share_an_object(
    seen: WatchedPage, page_installation: Installation
) -> None:
    page, has_script = seen.page, await scripts(seen.page)
    first = "Adalind" if has_script else "Rosalind"  # both runs share one installation
    owner, ada = (
        page_installation.user("admin", firstName="Owen"),
        page_installation.user(firstName=first, lastName="Fern"),
    )
    article = page_installation.post(
        "/content/articles", {"title": "Tide tables", "ownerId": owner.id}, page_installation.key
    ).json
    key = f"spring-{'js' if has_script else 'plain'}"

    await page.goto("/admin/groups")
    await page.get_by_role("link", name="Create group").click()
    await page.get_by_label("Key", exact=True).fill(key)
    await page.get_by_label("Name", exact=True).first.fill("Spring cohort")
    await page.get_by_role("button", name="Create group").click()
    await expect_flash(page, "group-created")

    await page.get_by_role("link", name="Members", exact=True).click()
    search = page.get_by_role("searchbox", name="Search by e-mail or name")
    if has_script:
        await search.press_sequentially(first, delay=20)  # the search runs while typing, without submitting
    else:
        await search.fill(first)
        await search.press("Enter")
    await page.get_by_role("button", name=f"Add {first} Fern").click()
    await expect_flash(page, "member-added")
    await expect(page.locator("main")).to_contain_text(ada.email)

    await page.goto(f"/admin/content/articles/{article['key']}")
    find = page.get_by_role("searchbox", name="Search users and groups")
    await find.fill(key)
    await find.press("Enter")
    await page.get_by_label("Role for Spring cohort").select_option("EDITOR")
    await page.get_by_role("button", name="Add Spring cohort").click()
    await expect_flash(page, "access-shared")
    assert page_installation.get(f"/content/articles/{article['key']}/access", owner.token).json["groups"] == {
        key: "EDITOR"
    }

    await page.get_by_label("Role of Spring cohort").select_option(label="Viewer")
    await page.get_by_text("Public", exact=True).click()
    await page.get_by_role("button", name="Save access").click()
    await expect_flash(page, "access-saved")
    access = page_installation.get(f"/content/articles/{article['key']}/access", owner.token).json
    assert (access["visibility"], access["groups"]) == ("PUBLIC", {key: "VIEWER"})

    await page.get_by_text("Private", exact=True).click()
    await page.get_by_role("button", name="Save access").click()
    await expect(page.get_by_role("heading", level=2)).to_have_text("Make this object private?")
    await page.get_by_role("button", name="Make private").click()
    await expect_flash(page, "access-private")


async def scripts(page: Page) -> bool:
    return await page.locator("html.js").count() == 1


async def test_find_block_and_erase_a_user(seen: WatchedPage, page_installation: Installation) -> None:
    page, user = seen.page, page_installation.user(firstName="Quentin", lastName="Reed")
    await page.goto("/admin/users")
    search = page.get_by_role("searchbox")
    await search.fill("Quentin")
    await search.press("Enter")
    await page.get_by_role("link", name="Quentin Reed").first.click()
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("link", name="Block…").click()
    await page.get_by_role("button", name="Block user").click()
    await expect_flash(page, "user-blocked")
    assert page_installation.get("/users/me", user.token).status == 401
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("link", name="Erase…").click()
    await page.get_by_role("button", name="Erase user").click()
    await expect_flash(page, "user-erased")
    assert page_installation.get(f"/users/{user.id}", page_installation.key).status == 404


async def test_create_and_revoke_an_api_key(seen: WatchedPage, page_installation: Installation) -> None:
    page = seen.page
    await page.goto("/admin/api-keys")
    await page.get_by_role("link", name="Create API key").click()
    await page.get_by_label("Name", exact=True).fill("Shop")
    await page.get_by_role("checkbox", name="Read all users").check()
    await page.get_by_role("button", name="Create and show the key").click()
    text = await page.get_by_label("Key", exact=True).input_value()
    assert page_installation.get("/users", text).status == 200
    await expect(page.get_by_role("button", name="Copy")).to_be_visible(visible=await scripts(page))
    await page.get_by_role("link", name="I have saved the key").click()
    assert text not in await page.content()
    await page.get_by_role("link", name="Revoke… Shop").click()
    await page.get_by_text("Revoke them too").click()
    await page.get_by_role("button", name="Revoke key").click()
    await expect_flash(page, "api-key-and-invitations-revoked")
    assert page_installation.get("/users", text).status == 401
