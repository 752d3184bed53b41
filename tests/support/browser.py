"""A real browser and a real server, and checks of pages in every appearance."""

import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from tests.support.clock import PATIENCE_SECONDS
from tests.support.installation import PASSWORD, Installation, open_installation
from tests.support.sample_data import SUPER_ADMIN, add_admin, add_sample_data

ENSURE_BROWSER = Path(__file__).parents[2] / "scripts/ensure-browser"
SUPPORT_EMAIL: dict[str, Any] = {
    "replace": 'terms-version = "1"',
    "by": 'terms-version = "1"\nsupport-email = "help@orchard.example"',
}
expect.set_options(timeout=PATIENCE_SECONDS * 1000)
APPEARANCES = [  # every pair of width, colour scheme and text direction
    (320, "light", "en"),
    (320, "dark", "de"),
    (1280, "light", "de"),
    (1280, "dark", "en"),
    (320, "dark", "ar"),
    (1280, "light", "he"),
]


@contextmanager
def start_installation(directory: Path, **options: str) -> Iterator[Installation]:
    """Start an installation on SQLite with its mail server."""
    database = f"sqlite+aiosqlite:///{directory}/latchstring.db"
    with open_installation(directory, database, **(SUPPORT_EMAIL | options)) as installation:
        yield installation


@pytest.fixture(scope="module")
def page_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation with a mail server and one administrator."""
    with start_installation(tmp_path_factory.mktemp("installation")) as installation:
        add_admin(installation, SUPER_ADMIN, "super-admin")
        yield installation


@pytest.fixture(scope="module")
def sample_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation with sample data on every page of the panel."""
    with start_installation(tmp_path_factory.mktemp("installation")) as installation:
        add_sample_data(installation)
        yield installation


@cache
def find_browser() -> str:
    """Return the path of the browser that scripts/ensure-browser prints."""
    return subprocess.run([ENSURE_BROWSER], capture_output=True, text=True, check=True).stdout.strip()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for each test process. Each test opens its own context in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        await browser.close()


@dataclass
class WatchedPage:
    """A page in a new browser context, with its console errors and its requests to other origins."""

    page: Page
    context: BrowserContext
    page_errors: list[str] = field(default_factory=list)

    async def open(self, url: str) -> None:
        await self.page.goto(url)

    def check(self) -> None:
        assert self.page_errors == []


async def watch_page(browser: Browser, installation: Installation, **options: Any) -> WatchedPage:
    """Open a page in a new browser context, with the installation as base URL, and record its errors."""
    context = await browser.new_context(base_url=installation.public_url, reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    watched = WatchedPage(await context.new_page(), context)

    def record(error: str) -> None:
        if "status of 4" not in error:  # the browser logs expected answers such as 410 as errors
            watched.page_errors.append(error)

    def record_foreign(url: str) -> None:
        if not url.startswith(installation.public_url):
            record(url)

    watched.page.on("console", lambda message: record(message.text) if message.type == "error" else None)
    watched.page.on("pageerror", lambda error: record(str(error)))
    watched.page.on("request", lambda request: record_foreign(request.url))
    return watched


async def fill(page: Page, **fields: str) -> None:
    """Type a value into each of the named inputs."""
    for name, value in fields.items():
        await page.locator(f"input[name={name}]").fill(value)


def find_mailed_link(installation: Installation, address: str, words: str) -> str:
    """Wait for a mail to the address that contains the words, and return its first link."""
    match = re.search(r"^(http\S+token=\S+?)\s*$", installation.mail_about(address, words).text, re.MULTILINE)
    assert match
    return match[1]


@dataclass(frozen=True)
class PageCase:
    """A page to check: its path, the account that is signed in, and whether to submit its form empty first."""

    path: str
    email: str = ""
    submit: bool = False


async def sign_in(page: Page, email: str) -> None:
    await page.goto("/login")
    await fill(page, email=email, password=PASSWORD)
    await page.locator("form[action='/login'] button:not([type])").click()
    await page.wait_for_url("**/")


async def find_all_faults(
    browser: Browser, installation: Installation, cases: Mapping[str, PageCase], *appearance: Any, page_locale: str = ""
) -> list[str]:
    """Check each page in one appearance (width, colour scheme, locale of the browser) and list every fault.

    page_locale is the expected language of the pages where it is not the browser's.
    """
    width, scheme, locale = appearance
    faults: list[str] = []
    pages: dict[str, WatchedPage] = {}
    options: dict[str, Any] = {"viewport": {"width": width, "height": 720}, "color_scheme": scheme, "locale": locale}
    for name, case in cases.items():
        if case.email not in pages:
            pages[case.email] = await watch_page(browser, installation, **options)
            if case.email:
                await sign_in(pages[case.email].page, case.email)
        faults += [f"{name}: {fault}" for fault in await find_faults(pages[case.email], case, page_locale or locale)]
    for watched in pages.values():
        await watched.context.close()
    return faults


async def find_faults(watched: WatchedPage, case: PageCase, locale: str) -> list[str]:
    """Check one page for errors, overflow, language, headings, primary buttons and accessibility (axe)."""
    page = watched.page
    watched.page_errors.clear()
    await watched.open(case.path)
    if case.submit:
        await page.evaluate("for (const form of document.forms) form.noValidate = true")
        await page.locator("form .btn--primary").click()
        await page.locator("[role=alert]").wait_for()
    faults = list(watched.page_errors)
    scroll_width, inner_width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if scroll_width > inner_width:
        faults.append(f"{scroll_width} pixels wide")
    if await page.locator("html").get_attribute("lang") != locale:
        faults.append("wrong language")
    if await page.locator("h1").count() != 1:
        faults.append("not one heading")
    if await page.locator(".btn--primary").count() > 1:
        faults.append("more than one primary button")
    results = await Axe().run(page)
    return faults + [
        f"{fault['id']}: {[node['html'][:200] for node in fault['nodes']]}" for fault in results.response["violations"]
    ]
