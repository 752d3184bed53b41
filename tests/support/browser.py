"""A real browser at a real server: starting both, and looking at pages as people meet them."""

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
HELP: dict[str, Any] = {
    "replace": 'terms-version = "1"',
    "by": 'terms-version = "1"\nsupport-email = "help@orchard.example"',
}
expect.set_options(timeout=PATIENCE_SECONDS * 1000)
LOOKS = [  # every pair of width, scheme and direction
    (320, "light", "en"),
    (320, "dark", "de"),
    (1280, "light", "de"),
    (1280, "dark", "en"),
    (320, "dark", "ar"),
    (1280, "light", "he"),
]


@contextmanager
def start_installation(directory: Path, **options: str) -> Iterator[Installation]:
    """One installation with its mail server, as the command line starts it."""
    database = f"sqlite+aiosqlite:///{directory}/latchstring.db"
    with open_installation(directory, database, **(HELP | options)) as running:
        yield running


@pytest.fixture(scope="module")
def page_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A real server with a real mail server, and one administrator."""
    with start_installation(tmp_path_factory.mktemp("installation")) as running:
        add_admin(running, SUPER_ADMIN, "super-admin")
        yield running


@pytest.fixture(scope="module")
def sample_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The same with something to see on every screen."""
    with start_installation(tmp_path_factory.mktemp("installation")) as running:
        add_sample_data(running)
        yield running


@cache
def find_browser() -> str:
    """The path of the browser that scripts/ensure-browser finds."""
    return subprocess.run([ENSURE_BROWSER], capture_output=True, text=True, check=True).stdout.strip()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for a test process. Each test opens a context of its own in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        await browser.close()


@dataclass
class Watched:
    """A page of a fresh browser, with everything it complained about or asked of others."""

    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    async def open(self, url: str) -> None:
        await self.page.goto(url)

    def check(self) -> None:
        assert self.complaints == []


async def visit(browser: Browser, installation: Installation, **options: Any) -> Watched:
    """A page in a new browser context at the installation."""
    context = await browser.new_context(base_url=installation.public_url, reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    seen = Watched(await context.new_page(), context)
    seen.page.on("console", lambda message: complain(seen, message.text) if message.type == "error" else None)
    seen.page.on("pageerror", lambda error: complain(seen, str(error)))
    seen.page.on(
        "request", lambda sent: None if sent.url.startswith(installation.public_url) else complain(seen, sent.url)
    )
    return seen


def complain(seen: Watched, text: str) -> None:
    if "status of 4" not in text:  # that an ended link answers 410 is said on the console, too
        seen.complaints.append(text)


async def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        await page.locator(f"input[name={name}]").fill(value)


def link(installation: Installation, address: str, words: str) -> str:
    """The first link of the newest mail to the address that has these words."""
    found = re.search(r"^(http\S+token=\S+?)\s*$", installation.mail_about(address, words).text, re.MULTILINE)
    assert found
    return found[1]


@dataclass(frozen=True)
class Scene:
    """A page to be looked at: its address, and a form to send empty when the page of its errors is meant."""

    path: str
    person: str = ""
    press: bool = False


async def sign_in(page: Page, email: str) -> None:
    await page.goto("/login")
    await fill(page, email=email, password=PASSWORD)
    await page.locator("form[action='/login'] button:not([type])").click()
    await page.wait_for_url("**/")


async def find_all_faults(
    browser: Browser, installation: Installation, scenes: Mapping[str, Scene], *look: Any, spoken: str = ""
) -> list[str]:
    """What is wrong with any of the pages in this look: width, colour scheme, language. spoken: what they answer in."""
    width, scheme, locale = look
    faults: list[str] = []
    visitors: dict[str, Watched] = {}
    options: dict[str, Any] = {"viewport": {"width": width, "height": 720}, "color_scheme": scheme, "locale": locale}
    for name, scene in scenes.items():
        if scene.person not in visitors:
            visitors[scene.person] = await visit(browser, installation, **options)
            if scene.person:
                await sign_in(visitors[scene.person].page, scene.person)
        faults += [f"{name}: {fault}" for fault in await find_faults(visitors[scene.person], scene, spoken or locale)]
    for seen in visitors.values():
        await seen.context.close()
    return faults


async def find_faults(seen: Watched, scene: Scene, locale: str) -> list[str]:
    page = seen.page
    seen.complaints.clear()
    await seen.open(scene.path)
    if scene.press:
        await page.evaluate("for (const form of document.forms) form.noValidate = true")
        await page.locator("form .btn--primary").click()
        await page.locator("[role=alert]").wait_for()
    faults = list(seen.complaints)
    wide, inner = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if wide > inner:
        faults.append(f"{wide} pixels wide")
    if await page.locator("html").get_attribute("lang") != locale:
        faults.append("speaks another language")
    if await page.locator("h1").count() != 1:
        faults.append("not one heading")
    if await page.locator(".btn--primary").count() > 1:
        faults.append("more than one primary button")
    results = await Axe().run(page)
    return faults + [
        f"{fault['id']}: {[node['html'][:200] for node in fault['nodes']]}" for fault in results.response["violations"]
    ]
