"""The example as `make example` starts it, in a real browser: inviting, coming in, reading, editing, and no leak."""

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
LOOKS = [(320, "light"), (320, "dark"), (1280, "light"), (1280, "dark")]


@dataclass
class Visitor:
    """A fresh browser at the app, with what it complained about and every request it made."""

    page: Page
    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    async def open(self, path: str) -> None:
        await self.page.goto(path if path.startswith("http") else self.url + path)

    async def fill(self, **fields: str) -> None:
        for label, value in fields.items():
            await self.page.get_by_label(label.replace("_", " ")).locator("visible=true").fill(value)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).locator("visible=true").click()

    async def sees(self, words: str) -> None:
        await expect(self.page.get_by_text(words).locator("visible=true").first).to_be_visible()

    async def headed(self, words: str) -> None:
        await expect(self.page.locator("h1:visible")).to_have_text(words)

    async def sign_in(self, address: str, password: str) -> None:
        await self.fill(**{"E-mail": address, "Password": password})
        await self.press("Sign in")
        await expect(self.page.locator("#me")).to_be_visible()

    async def check(self) -> None:
        """No refused script or style, nothing asked of others, no address with a token told to anybody."""
        assert self.complaints == []
        assert [one.url for one in self.requests if not one.url.startswith(self.url)] == []


async def visit(browser: Browser, example: Example, **options: Any) -> Visitor:
    context = await browser.new_context(reduced_motion="reduce", **options)
    seen = Visitor(await context.new_page(), context, example.url)
    seen.page.on("console", lambda said: complain(seen, said.text))
    seen.page.on("pageerror", lambda error: complain(seen, str(error)))
    seen.page.on("request", lambda sent: seen.requests.append(sent))  # noqa: PLW0108  # Playwright marks its handlers
    return seen


def complain(seen: Visitor, text: str) -> None:
    if "status of 4" not in text:  # that nobody is signed in, 401, is said on the console, too
        seen.complaints.append(text)


async def maintainer(browser: Browser, example: Example, **options: Any) -> Visitor:
    mira = await visit(browser, example, **options)
    await mira.open("/")
    await mira.sign_in(MIRA, example.password)
    return mira


async def invite(mira: Visitor, address: str, role: str, *, title: str = "Tide tables", message: str = "") -> None:
    await mira.open("/")
    await mira.page.get_by_role("link", name=title, exact=True).click()
    await mira.headed(title)
    await mira.fill(**{"E-mail": address, "Message": message})
    await mira.page.get_by_label("What they may do").select_option(role)
    await mira.press("Send invitation")
    await mira.sees(f"{address} is on the way")


async def come_in(visitor: Visitor, link: str) -> None:
    await visitor.open(link)
    await visitor.fill(First_name="Jonas", Last_name="Keller", Choose_a_password=PASSWORD)
    await visitor.page.get_by_label("I accept the terms").check()
    await visitor.press("Create account and come in")


async def test_an_editor_comes_in_and_edits(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("jonas")
    await invite(mira, address, "edit it", message="The times for Wednesday are missing.\nYou have them.")
    link = example.link(address)
    assert re.fullmatch(rf"{example.url}/documents/tide-tables/accept\?token=[\w.~-]+", link)

    jonas = await visit(chromium, example)
    await jonas.open(link)
    await jonas.headed("Mira Okafor invites you to edit “Tide tables”")
    await jonas.sees("The times for Wednesday are missing.")
    await jonas.sees(address)
    await mira.open("/documents/tide-tables")
    await expect(mira.page.locator("[data-invitations]")).to_contain_text(address)  # looking did not accept
    await come_in(jonas, link)
    await jonas.headed("Tide tables")
    assert jonas.page.url == f"{example.url}/documents/tide-tables"
    await jonas.sees("high 04:12 and 16:38")
    await expect(jonas.page.locator("#people")).to_be_hidden()

    await jonas.page.get_by_text("Edit", exact=True).click()
    await jonas.fill(Text="Wednesday\n  high 05:52")
    await jonas.press("Save")
    await jonas.sees("Saved.")
    await mira.open("/documents/tide-tables")
    await mira.sees("high 05:52")
    await expect(mira.page.locator("[data-users]")).to_contain_text(f"{address} may edit")
    await expect(mira.page.locator("[data-invitations]")).not_to_contain_text(address)
    for visitor in (jonas, mira):
        await visitor.check()
        await visitor.context.close()


async def test_the_token_stays_with_the_invited_person(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("tess")
    await invite(mira, address, "read it")
    link = example.link(address)
    token = link.partition("token=")[2]
    tess = await visit(chromium, example)
    await tess.open(link)
    await tess.headed("Mira Okafor invites you to read “Tide tables”")
    assert tess.page.url == f"{example.url}/documents/tide-tables/accept"
    await come_in(tess, link)
    await tess.headed("Tide tables")
    await tess.page.go_back()
    await tess.headed("Tide tables" if "accept" not in tess.page.url else "This address has no link in it")
    assert {one.url for one in tess.requests if token in one.url} == {link}  # the visit, and nothing beside
    told = [await one.all_headers() for one in tess.requests]
    assert [headers["referer"] for headers in told if "referer" in headers] == []
    assert token not in str(told)
    assert token not in example.logs
    stored = await tess.page.evaluate("JSON.stringify([document.cookie, localStorage, sessionStorage])")
    assert stored == '["",{},{}]'
    (cookie,) = await tess.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["value"].count(".") == 0  # the name of a session, not a token of Latchstring
    await tess.check()
    for visitor in (tess, mira):
        await visitor.context.close()


async def test_somebody_with_an_account_accepts_and_signs_in(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    await invite(mira, SAM, "edit it and invite others")
    sam = await visit(chromium, example)
    await sam.open(example.link(SAM))
    await expect(sam.page.locator("[data-profile]")).to_be_hidden()
    await sam.press("Accept and open it")
    await sam.headed("You are in. Sign in to open the document")
    await expect(sam.page.locator("#sign-in [name=email]")).to_have_value(SAM)
    await sam.sign_in(SAM, example.password)
    await sam.headed("Tide tables")
    await expect(sam.page.locator("#people")).to_be_visible()

    await sam.open(example.link(SAM))
    await sam.headed("You are in already")
    await sam.check()
    for visitor in (sam, mira):
        await visitor.context.close()


async def test_a_link_is_for_one_person_and_can_be_withdrawn(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("noor")
    await invite(mira, address, "read it")
    await mira.open(example.link(address))
    await mira.headed("This is somebody else’s invitation")
    await mira.sees(f"You are signed in as {MIRA}.")

    await mira.open("/documents/tide-tables")
    await mira.press(f"Withdraw the invitation of {address}")
    await mira.sees("Withdrawn.")
    await expect(mira.page.locator("[data-invitations]")).not_to_contain_text(address)
    noor = await visit(chromium, example)
    await noor.open(example.link(address))
    await noor.headed("This invitation was withdrawn")
    for visitor in (noor, mira):
        await visitor.check()
        await visitor.context.close()


async def test_a_reader_only_reads_and_a_stranger_finds_nothing(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    await mira.fill(Title="Weather book")
    await mira.press("Create document")
    await mira.headed("Weather book")
    await mira.sees("Yours.")
    path = mira.page.url.removeprefix(example.url)
    stranger = await visit(chromium, example)
    await stranger.open(path)
    await stranger.headed("Sign in to open this document")
    await stranger.sign_in(SAM, example.password)
    await stranger.headed("There is no such document here")

    address = new_address("reader")
    await invite(mira, address, "read it", title="Weather book")
    reader = await visit(chromium, example)
    await come_in(reader, example.link(address))
    await reader.headed("Weather book")
    await expect(reader.page.get_by_text("Edit", exact=True)).to_be_hidden()
    await reader.press("Sign out")
    await reader.headed("Sign in to see your documents")
    for visitor in (reader, stranger, mira):
        await visitor.check()
        await visitor.context.close()


async def test_a_newer_link_and_one_that_was_handed_over(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    await mira.fill(Title="Night watch")
    await mira.press("Create document")
    await mira.headed("Night watch")
    await invite(mira, SAM, "read it", title="Night watch")
    first = example.link(SAM, "Night watch")
    (invitation,) = example.ask("GET", f"/invitations?contentType=documents&key=night-watch&email={SAM}").json()[
        "items"
    ]
    example.ask("POST", f"/invitations/{invitation['id']}/resend")
    sam = await visit(chromium, example)
    await sam.open(first)
    await sam.headed("There is a newer link")
    await sam.press("Send me a new link")
    await sam.headed("Look into your mailbox")

    await sam.open(example.ask("POST", f"/invitations/{invitation['id']}/link").json()["url"])
    await sam.press("Accept and open it")
    await sam.headed("Sign in to accept")
    await sam.fill(**{"E-mail": SAM, "Password": example.password})
    await sam.press("Sign in")
    await sam.headed("Night watch")
    for visitor in (sam, mira):
        await visitor.check()
        await visitor.context.close()


async def test_two_who_save_at_once_do_not_overwrite_each_other(chromium: Browser, example: Example) -> None:
    one, other = await maintainer(chromium, example), await maintainer(chromium, example)
    for visitor in (one, other):
        await visitor.open("/documents/tide-tables")
        await visitor.page.get_by_text("Edit", exact=True).click()
    await one.fill(Text="from one")
    await one.press("Save")
    await one.sees("Saved.")
    await other.fill(Text="from the other")
    await other.press("Save")
    await other.sees("Not saved. Somebody else changed the document a moment ago.")
    await other.press("Save")
    await other.sees("Saved.")
    for visitor in (one, other):
        await visitor.check()
        await visitor.context.close()


async def test_what_is_wrong_stands_at_its_field(chromium: Browser, example: Example) -> None:
    mira = await maintainer(chromium, example)
    address = new_address("short")
    await invite(mira, address, "read it")
    guest = await visit(chromium, example)
    await guest.open(example.link(address))
    await guest.fill(First_name="Jonas", Last_name="Keller", Choose_a_password="short")
    await guest.page.get_by_label("I accept the terms").check()
    await guest.press("Create account and come in")
    await expect(guest.page.locator("label", has_text="Choose a password").locator(".error")).to_be_visible()
    await expect(guest.page.get_by_label("Choose a password")).to_be_focused()
    await guest.fill(Choose_a_password=PASSWORD)
    await guest.press("Create account and come in")
    await guest.headed("Tide tables")
    for visitor in (guest, mira):
        await visitor.check()
        await visitor.context.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
async def test_every_page_in_this_look(chromium: Browser, example: Example, width: int, scheme: str) -> None:
    look: dict[str, Any] = {"viewport": {"width": width, "height": 720}, "color_scheme": scheme}
    mira, guest = await maintainer(chromium, example, **look), await visit(chromium, example, **look)
    address = new_address("a-person-with-a-rather-long-address")
    await invite(mira, address, "edit it")
    places = [
        (mira, "/", "Your documents"),
        (mira, "/documents/tide-tables", "Tide tables"),
        (mira, "/documents/nothing", "There is no such document here"),
        (guest, "/", "Sign in to see your documents"),
        (guest, example.link(address), "Mira Okafor invites you to edit “Tide tables”"),
        (guest, "/documents/tide-tables/accept?token=x", "This link is not complete"),
    ]
    faults = []
    for visitor, path, heading in places:
        await visitor.open(path)
        await visitor.headed(heading)
        wide = await visitor.page.evaluate("document.documentElement.scrollWidth")
        found = (await Axe().run(visitor.page)).response["violations"]
        faults += [f"{path}: {one['id']} {[node['html'][:200] for node in one['nodes']]}" for one in found]
        faults += [f"{path}: {wide} pixels wide"] if wide > width else []
    assert faults == []
    for visitor in (guest, mira):
        await visitor.context.close()


async def test_the_backend_passes_on_what_the_page_needs_and_nothing_else(example: Example) -> None:
    async with httpx2.AsyncClient(base_url=example.url, headers={"Origin": example.url}) as browser:
        signed_in = await browser.post("/api/auth/login", json={"email": MIRA, "password": example.password})
        assert signed_in.status_code == 200
        assert signed_in.json().keys() == {"user"}
        assert [cookie.name for cookie in browser.cookies.jar] == ["documents_session"]
        for path in ("/api/users", "/api/auth/refresh", "/api/content/%2e%2e/users", "/api/content/../users", "/api/"):
            assert (await browser.get(path)).status_code == 404, path
        foreign = await browser.post("/api/auth/logout", headers={"Origin": "https://elsewhere.example"})
        assert foreign.json()["code"] == "wrong-origin"
        assert (await browser.get("/api/users/me")).json()["email"] == MIRA
    async with httpx2.AsyncClient(base_url=example.url) as stranger:  # the backend's client keeps nobody's cookie
        assert (await stranger.get("/api/users/me")).status_code == 401


async def test_a_session_outlives_its_tokens_also_when_many_ask_at_once(example: Example) -> None:
    async with httpx2.AsyncClient(base_url=example.url, headers={"Origin": example.url}) as browser:
        await browser.post("/api/auth/login", json={"email": MIRA, "password": example.password})
        for _ in range(2):
            await asyncio.sleep(2.1)  # the access token is old now; its refresh token is good once
            answers = await asyncio.gather(*[browser.get("/api/users/me") for _ in range(8)])
            assert {answer.status_code for answer in answers} == {200}
