"""The example app in a browser: inviting, accepting, reading, editing, and no leak of tokens."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Request, expect
from tests.examples.conftest import Example
from tests.support.installation import new_address

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
MIRA, SAM = "mira@documents.example", "sam@documents.example"
PASSWORD = "eleven quiet herons 7"
VIEWPORTS = [(320, "light"), (320, "dark"), (1280, "light"), (1280, "dark")]


@dataclass
class Visitor:
    """A browser at the app, with its console errors and requests."""

    page: Page
    context: BrowserContext
    url: str
    console_errors: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    async def open(self, path: str) -> None:
        await self.page.goto(path if path.startswith("http") else self.url + path)

    async def fill(self, **fields: str) -> None:
        for label, value in fields.items():
            await self.page.get_by_label(label.replace("_", " ")).locator("visible=true").fill(value)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).locator("visible=true").click()

    async def expect_text(self, text: str) -> None:
        await expect(self.page.get_by_text(text).locator("visible=true").first).to_be_visible()

    async def expect_heading(self, heading: str) -> None:
        await expect(self.page.locator("h1:visible")).to_have_text(heading)

    async def sign_in(self, address: str, password: str) -> None:
        await self.fill(**{"E-mail": address, "Password": password})
        await self.press("Sign in")
        await expect(self.page.locator("#me")).to_be_visible()

    async def check(self) -> None:
        """Check that there are no console errors, such as blocked scripts, and no requests to other hosts."""
        assert self.console_errors == []
        assert [request.url for request in self.requests if not request.url.startswith(self.url)] == []


async def open_browser(browser: Browser, example: Example, **options: Any) -> Visitor:
    context = await browser.new_context(reduced_motion="reduce", **options)
    visitor = Visitor(await context.new_page(), context, example.url)
    visitor.page.on("console", lambda message: record_error(visitor, message.text))
    visitor.page.on("pageerror", lambda error: record_error(visitor, str(error)))
    visitor.page.on("request", lambda request: visitor.requests.append(request))  # noqa: PLW0108  # Playwright sets attributes of handlers
    return visitor


def record_error(visitor: Visitor, text: str) -> None:
    if "status of 4" not in text:  # the console also shows 401 before signing in
        visitor.console_errors.append(text)


async def maintainer(browser: Browser, example: Example, **options: Any) -> Visitor:
    mira = await open_browser(browser, example, **options)
    await mira.open("/")
    await mira.sign_in(MIRA, example.password)
    return mira


async def invite(mira: Visitor, address: str, role: str, *, title: str = "Tide tables", message: str = "") -> None:
    await mira.open("/")
    await mira.page.get_by_role("link", name=title, exact=True).click()
    await mira.expect_heading(title)
    await mira.fill(**{"E-mail": address, "Message": message})
    await mira.page.get_by_label("What they may do").select_option(role)
    await mira.press("Send invitation")
    await mira.expect_text(f"Invitation sent to {address}.")


async def register(visitor: Visitor, link: str) -> None:
    await visitor.open(link)
    await visitor.fill(First_name="Jonas", Last_name="Keller", Choose_a_password=PASSWORD)
    await visitor.page.get_by_label("I accept the terms").check()
    await visitor.press("Create account and accept")


async def test_an_editor_registers_and_edits(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("jonas")
    await invite(mira, address, "edit it", message="The times for Wednesday are missing.\nYou have them.")
    link = example.link(address)
    assert re.fullmatch(rf"{example.url}/documents/tide-tables/accept\?token=[\w.~-]+", link)

    jonas = await open_browser(chromium, example)
    await jonas.open(link)
    await jonas.expect_heading("Mira Okafor invites you to edit “Tide tables”")
    await jonas.expect_text("The times for Wednesday are missing.")
    await jonas.expect_text(address)
    await mira.open("/documents/tide-tables")
    await expect(mira.page.locator("[data-invitations]")).to_contain_text(address)  # opening the link does not accept
    await register(jonas, link)
    await jonas.expect_heading("Tide tables")
    assert jonas.page.url == f"{example.url}/documents/tide-tables"
    await jonas.expect_text("high 04:12 and 16:38")
    await expect(jonas.page.locator("#people")).to_be_hidden()

    await jonas.page.get_by_text("Edit", exact=True).click()
    await jonas.fill(Text="Wednesday\n  high 05:52")
    await jonas.press("Save")
    await jonas.expect_text("Saved.")
    await mira.open("/documents/tide-tables")
    await mira.expect_text("high 05:52")
    await expect(mira.page.locator("[data-users]")).to_contain_text(f"{address} may edit")
    await expect(mira.page.locator("[data-invitations]")).not_to_contain_text(address)
    for visitor in (jonas, mira):
        await visitor.check()
        await visitor.context.close()


async def test_the_token_does_not_leak(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("tess")
    await invite(mira, address, "read it")
    link = example.link(address)
    token = link.partition("token=")[2]
    tess = await open_browser(chromium, example)
    await tess.open(link)
    await tess.expect_heading("Mira Okafor invites you to read “Tide tables”")
    assert tess.page.url == f"{example.url}/documents/tide-tables/accept"
    await register(tess, link)
    await tess.expect_heading("Tide tables")
    await tess.page.go_back()
    await tess.expect_heading("Tide tables" if "accept" not in tess.page.url else "The link is missing")
    assert {request.url for request in tess.requests if token in request.url} == {link}  # only the first request
    all_headers = [await request.all_headers() for request in tess.requests]
    assert [headers["referer"] for headers in all_headers if "referer" in headers] == []
    assert token not in str(all_headers)
    assert token not in example.logs
    stored = await tess.page.evaluate("JSON.stringify([document.cookie, localStorage, sessionStorage])")
    assert stored == '["",{},{}]'
    (cookie,) = await tess.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["value"].count(".") == 0  # a session id, not a token of Latchstring
    await tess.check()
    for visitor in (tess, mira):
        await visitor.context.close()


async def test_a_user_with_an_account_accepts_and_signs_in(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    await invite(mira, SAM, "edit it and invite others")
    sam = await open_browser(chromium, example)
    await sam.open(example.link(SAM))
    await expect(sam.page.locator("[data-profile]")).to_be_hidden()
    await sam.press("Accept and open")
    await sam.expect_heading("Accepted. Sign in to open the document")
    await expect(sam.page.locator("#sign-in [name=email]")).to_have_value(SAM)
    await sam.sign_in(SAM, example.password)
    await sam.expect_heading("Tide tables")
    await expect(sam.page.locator("#people")).to_be_visible()

    await sam.open(example.link(SAM))
    await sam.expect_heading("Already accepted")
    await sam.check()
    for visitor in (sam, mira):
        await visitor.context.close()


async def test_a_link_is_for_one_account_and_can_be_revoked(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("noor")
    await invite(mira, address, "read it")
    await mira.open(example.link(address))
    await mira.expect_heading("This invitation is for another account")
    await mira.expect_text(f"You are signed in as {MIRA}.")

    await mira.open("/documents/tide-tables")
    await mira.press(f"Withdraw the invitation of {address}")
    await mira.expect_text("Withdrawn.")
    await expect(mira.page.locator("[data-invitations]")).not_to_contain_text(address)
    noor = await open_browser(chromium, example)
    await noor.open(example.link(address))
    await noor.expect_heading("This invitation was withdrawn")
    for visitor in (noor, mira):
        await visitor.check()
        await visitor.context.close()


async def test_a_reader_cannot_edit_and_others_cannot_read(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    await mira.fill(Title="Weather book")
    await mira.press("Create document")
    await mira.expect_heading("Weather book")
    await mira.expect_text("Yours.")
    path = mira.page.url.removeprefix(example.url)
    other = await open_browser(chromium, example)
    await other.open(path)
    await other.expect_heading("Sign in to open this document")
    await other.sign_in(SAM, example.password)
    await other.expect_heading("Document not found")

    address = new_address("reader")
    await invite(mira, address, "read it", title="Weather book")
    reader = await open_browser(chromium, example)
    await register(reader, example.link(address))
    await reader.expect_heading("Weather book")
    await expect(reader.page.get_by_text("Edit", exact=True)).to_be_hidden()
    await reader.press("Sign out")
    await reader.expect_heading("Sign in to see your documents")
    for visitor in (reader, other, mira):
        await visitor.check()
        await visitor.context.close()


async def test_a_superseded_link_and_a_revealed_link(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    await mira.fill(Title="Night watch")
    await mira.press("Create document")
    await mira.expect_heading("Night watch")
    await invite(mira, SAM, "read it", title="Night watch")
    first_link = example.link(SAM, "Night watch")
    (invitation,) = example.request("GET", f"/invitations?contentType=documents&key=night-watch&email={SAM}").json()[
        "items"
    ]
    example.request("POST", f"/invitations/{invitation['id']}/resend")
    sam = await open_browser(chromium, example)
    await sam.open(first_link)
    await sam.expect_heading("There is a newer link")
    await sam.press("Send me a new link")
    await sam.expect_heading("Check your mail")

    await sam.open(example.request("POST", f"/invitations/{invitation['id']}/link").json()["url"])
    await sam.press("Accept and open")
    await sam.expect_heading("Sign in to accept")
    await sam.fill(**{"E-mail": SAM, "Password": example.password})
    await sam.press("Sign in")
    await sam.expect_heading("Night watch")
    for visitor in (sam, mira):
        await visitor.check()
        await visitor.context.close()


async def test_concurrent_changes_are_not_overwritten(chromium: Browser, example: Example) -> None:
    first_tab, second_tab = await maintainer(chromium, example), await maintainer(chromium, example)
    for visitor in (first_tab, second_tab):
        await visitor.open("/documents/tide-tables")
        await visitor.page.get_by_text("Edit", exact=True).click()
    await first_tab.fill(Text="first text")
    await first_tab.press("Save")
    await first_tab.expect_text("Saved.")
    await second_tab.fill(Text="second text")
    await second_tab.press("Save")
    await second_tab.expect_text("Not saved. Somebody else changed the document a moment ago.")
    await second_tab.press("Save")
    await second_tab.expect_text("Saved.")
    for visitor in (first_tab, second_tab):
        await visitor.check()
        await visitor.context.close()


async def test_problems_are_shown_at_their_field(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("short")
    await invite(mira, address, "read it")
    guest = await open_browser(chromium, example)
    await guest.open(example.link(address))
    await guest.fill(First_name="Jonas", Last_name="Keller", Choose_a_password="short")
    await guest.page.get_by_label("I accept the terms").check()
    await guest.press("Create account and accept")
    await expect(guest.page.locator("label", has_text="Choose a password").locator(".error")).to_be_visible()
    await expect(guest.page.get_by_label("Choose a password")).to_be_focused()
    await guest.fill(Choose_a_password=PASSWORD)
    await guest.press("Create account and accept")
    await guest.expect_heading("Tide tables")
    for visitor in (guest, mira):
        await visitor.check()
        await visitor.context.close()


@pytest.mark.parametrize(("width", "scheme"), VIEWPORTS)
async def test_every_page_in_this_look(chromium: Browser, example: Example, width: int, scheme: str) -> None:
    look: dict[str, Any] = {"viewport": {"width": width, "height": 720}, "color_scheme": scheme}
    mira, guest = await maintainer(chromium, example, **look), await open_browser(chromium, example, **look)
    address = new_address("a-person-with-a-rather-long-address")
    await invite(mira, address, "edit it")
    pages = [
        (mira, "/", "Your documents"),
        (mira, "/documents/tide-tables", "Tide tables"),
        (mira, "/documents/nothing", "Document not found"),
        (guest, "/", "Sign in to see your documents"),
        (guest, example.link(address), "Mira Okafor invites you to edit “Tide tables”"),
        (guest, "/documents/tide-tables/accept?token=x", "This link is incomplete"),
    ]
    faults = []
    for visitor, path, heading in pages:
        await visitor.open(path)
        await visitor.expect_heading(heading)
        page_width = await visitor.page.evaluate("document.documentElement.scrollWidth")
        violations = (await Axe().run(visitor.page)).response["violations"]
        faults += [
            f"{path}: {violation['id']} {[node['html'][:200] for node in violation['nodes']]}"
            for violation in violations
        ]
        faults += [f"{path}: {page_width} pixels wide"] if page_width > width else []
    assert faults == []
    for visitor in (guest, mira):
        await visitor.context.close()


async def test_the_backend_forwards_only_paths_that_the_page_needs(example: Example) -> None:
    async with httpx2.AsyncClient(base_url=example.url, headers={"Origin": example.url}) as browser:
        signed_in = await browser.post("/api/auth/login", json={"email": MIRA, "password": example.password})
        assert signed_in.status_code == 200
        assert signed_in.json().keys() == {"user"}
        assert [cookie.name for cookie in browser.cookies.jar] == ["documents_session"]
        for path in ("/api/users", "/api/auth/refresh", "/api/content/%2e%2e/users", "/api/content/../users", "/api/"):
            assert (await browser.get(path)).status_code == 404, path
        foreign = await browser.post("/api/auth/logout", headers={"Origin": "https://foreign.example"})
        assert foreign.json()["code"] == "wrong-origin"
        assert (await browser.get("/api/users/me")).json()["email"] == MIRA
    async with httpx2.AsyncClient(base_url=example.url) as other_browser:  # the client of the backend stores no cookies
        assert (await other_browser.get("/api/users/me")).status_code == 401


async def test_concurrent_requests_renew_the_tokens_of_a_session_once(example: Example) -> None:
    async with httpx2.AsyncClient(base_url=example.url, headers={"Origin": example.url}) as browser:
        await browser.post("/api/auth/login", json={"email": MIRA, "password": example.password})
        for _ in range(2):
            await asyncio.sleep(2.1)  # the access token needs renewal now; the refresh token works once
            responses = await asyncio.gather(*[browser.get("/api/users/me") for _ in range(8)])
            assert {response.status_code for response in responses} == {200}
