"""Every screen of the panel on a real server: narrow and wide, light and dark, in both directions.

The screens are found by following links from the overview, so new pages are tested automatically; a page without a
link to it fails the test.
"""

import re
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page
from tests.admin.test_catalogue import messages
from tests.support.browser import WatchedPage, watch_page
from tests.support.installation import Installation
from tests.support.sample_data import PASSWORD, PRIVATE_PAGE

from latchstring.admin.routes import routes

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

WIDTHS = (320, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
DIRECTIONS = ("ltr", "rtl")
# Not tested here: redirects, downloads, frames, and pages that need a special state, which have their own tests.
SKIPPED = re.compile(r"/(logout|export|report|preview|frame|download|source|choices)\b|\.(csv|svg|eml)$|\{rest")
SIGNED_OUT = ("/admin/login", "/admin/login/forgotten", "/admin/login/code", "/admin/set-up")


def templates() -> dict[str, re.Pattern[str]]:
    """Every path of a GET route of the panel, as a pattern."""
    patterns = {}
    for route in routes:
        if route.method != "GET":
            continue
        for path in route.paths:
            pattern = re.sub(r"\\\{\w+:path\\\}", ".+", re.sub(r"\\\{\w+:(?!path)\w+\\\}", "[^/]+", re.escape(path)))
            patterns[path] = re.compile(pattern)
    return {path: pattern for path, pattern in patterns.items() if not SKIPPED.search(path) and path not in SIGNED_OUT}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def seen(chromium: Browser, sample_installation: Installation) -> AsyncIterator[WatchedPage]:
    """A browser with the session of a super-admin."""
    watched = await watch_page(chromium, sample_installation, locale="en", viewport={"width": 1280, "height": 800})
    await sign_in(watched.page)
    yield watched
    await watched.context.close()


async def sign_in(page: Page, email: str = "mira@panel.example") -> None:
    await page.goto("/admin/login")
    await page.locator("input[name=email]").fill(email)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("form[action^='/admin/login'] .btn--primary").click()
    await page.wait_for_url(lambda url: "/login" not in url)


async def links_on(page: Page) -> list[str]:
    hrefs = await page.eval_on_selector_all("a[href^='/admin']", "all => all.map(one => one.getAttribute('href'))")
    return [str(href) for href in hrefs]


async def find_screens(page: Page, more: list[str]) -> dict[str, str]:
    """One URL for each kind of page, found by following links from the overview and these URLs."""
    known, waiting, screens = templates(), ["/admin", *more], dict[str, str]()
    seen = set(waiting)
    while waiting and len(screens) < len(known):
        address = waiting.pop(0)
        path = urlsplit(address).path
        exact = path if path in known else None
        kind = exact or next((template for template, pattern in known.items() if pattern.fullmatch(path)), None)
        if kind is None or kind in screens:
            continue
        answer = await page.goto(address)
        assert answer is not None
        assert answer.ok, f"{address} answers {answer.status}"
        screens[kind] = address
        new = [href.partition("#")[0] for href in await links_on(page)]
        waiting += [href for href in new if href not in seen]
        seen.update(new)
    return screens


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def screens(seen: WatchedPage) -> dict[str, str]:
    return await find_screens(seen.page, [PRIVATE_PAGE])


async def test_every_screen_is_linked(screens: dict[str, str]) -> None:
    assert set(templates()) - set(screens) == set()


async def faults_of(page: Page) -> list[str]:
    faults = []
    wide, inner = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if wide > inner:
        faults.append(f"{wide} pixels wide")
    results = await Axe().run(page)
    return faults + [
        f"{fault['id']}: {[node['html'][:200] for node in fault['nodes']]}" for fault in results.response["violations"]
    ]


async def test_every_screen_in_every_width_scheme_and_direction(seen: WatchedPage, screens: dict[str, str]) -> None:
    page = seen.page
    faults: list[str] = []
    for kind, address in screens.items():
        seen.page_errors.clear()
        await page.goto(address)
        if await page.locator("h1").count() != 1:
            faults.append(f"{kind}: not one heading")
        if await page.locator(".btn--primary:visible").count() > 1:
            faults.append(f"{kind}: more than one primary button")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                for direction in DIRECTIONS:
                    await page.evaluate("way => { document.documentElement.dir = way }", direction)
                    page_faults = await faults_of(page)
                    faults += [f"{kind} {width} {scheme} {direction}: {fault}" for fault in page_faults]
        faults += [f"{kind}: {complaint}" for complaint in seen.page_errors]
    assert faults == []


# The texts of the page itself, without names of users and texts in other languages.
VISIBLE_TEXTS = """() => [...document.querySelectorAll('body *')]
    .filter(one => !one.closest('bdi, code, svg, script, main [lang]'))
    .flatMap(one => [...one.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data.trim())
        .concat(['aria-label', 'title', 'placeholder'].map(name => one.getAttribute(name) ?? '')))
    .filter(Boolean)"""


async def test_german_screens_fit_on_a_phone_and_have_no_english_text(
    chromium: Browser, sample_installation: Installation, seen: WatchedPage, screens: dict[str, str]
) -> None:
    german = {id_: message.string for id_, message in messages("de").items() if isinstance(id_, str)}
    english = {id_ for id_, word in german.items() if word != id_} - set(german.values())
    session = await seen.context.storage_state()
    phone = await watch_page(
        chromium, sample_installation, locale="de", viewport={"width": WIDTHS[0], "height": 800}, storage_state=session
    )
    faults: list[str] = []
    for kind, address in screens.items():
        await phone.page.goto(address)
        wide = await phone.page.evaluate("document.documentElement.scrollWidth")
        if wide > WIDTHS[0]:
            faults.append(f"{kind}: {wide} pixels wide")
        visible_texts = set(await phone.page.evaluate(VISIBLE_TEXTS))
        faults += [f"{kind}: {word!r} is English" for word in visible_texts & english]
    await phone.context.close()
    assert faults == []
