"""`make screenshots`: takes the pictures of the README from a running demo.

The demo runs in a temporary folder with invitations created over the API, and is shown in Chromium. The clip follows an
invitation: it is created in the panel, its mail is opened in the development mailbox, and it is accepted.
"""

import asyncio
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

PICTURES = Path(__file__).parent.parent / "docs" / "images"
COMMAND = Path(sys.executable).with_name("latchstring")
PORT = 8766
BASE = f"http://127.0.0.1:{PORT}"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
CLIP = {"width": 960, "height": 640}
FRAME_MS = 250
COLOURS = 128  # per picture: enough for pages, with a quarter of the size
PEOPLE = [
    ("jonas.keller@brightwater.example", "Jonas", "Keller", "team"),
    ("a.lindqvist@nordhavn.example", "Astrid", "Lindqvist", "customer"),
    ("tomasz.wrobel@kolektyw.example", "Tomasz", "Wróbel", "team"),
    ("priya.raman@lumenworks.example", "Priya", "Raman", "customer"),
    ("omar.haddad@qasr.example", "Omar", "Haddad", "customer"),
    ("yuki.tanaka@hoshi.example", "Yuki", "Tanaka", "team"),
    ("lena.braun@talwerk.example", "Lena", "Braun", "customer"),
    ("samuel.osei@tidal.example", "Samuel", "Osei", "customer"),
    ("noor.vandijk@dijkstra.example", "Noor", "van Dijk", "team"),
    ("marta.silva@farol.example", "Marta", "Silva", "customer"),
]


@dataclass(frozen=True)
class Demo:
    """A running demo and the credentials it printed."""

    key: str
    admin: str
    password: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the API that must succeed. Returns the body of the response."""
        request = urllib.request.Request(  # noqa: S310  # our own server
            f"{BASE}/api{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310  # the same
            content = response.read()
        return json.loads(content) if content else None


def find_browser() -> str:
    """The path of the browser that scripts/ensure-browser finds."""
    ensure_browser = Path(__file__).with_name("ensure-browser")
    return subprocess.run([ensure_browser], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


@contextmanager
def running_demo() -> Iterator[Demo]:
    """Run a demo in a temporary folder until the context ends."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:
        server = subprocess.Popen([COMMAND, "demo", "--port", str(PORT)], cwd=folder, stdout=log, stderr=log)  # noqa: S603
        try:
            yield read_credentials(Path(folder, "log"))
        finally:
            server.terminate()
            server.wait()


def read_credentials(log: Path) -> Demo:
    for _ in range(300):
        output = log.read_text()
        panel = re.search(r"/admin\s+the panel: (\S+) with (\S+)", output)
        key = re.search(r"lsk_\w+", output)
        if panel and key:
            return Demo(key[0], panel[1], panel[2])
        time.sleep(0.1)
    raise SystemExit(f"The demo did not start:\n{log.read_text()}")


def create_samples(demo: Demo) -> None:
    """Create invitations in several states."""
    for number, (email, first, last, role) in enumerate(PEOPLE):
        body = {"inviteEmail": email, "firstName": first, "lastName": last, "role": role, "groups": ["early-birds"]}
        invitation = demo.call("POST", "/invitations", body | {"message": "Come by on Tuesday. The kettle is on."})
        if number % 3 == 2:  # noqa: PLR2004  # every third is accepted
            url = demo.call("POST", f"/invitations/{invitation['id']}/link")["url"]
            profile = {"firstName": first, "lastName": last, "password": "eleven quiet herons", "acceptTerms": True}
            demo.call("POST", "/invitations/accept", {"token": url.partition("token=")[2]} | profile)
        if number == 4:  # noqa: PLR2004  # one is revoked
            demo.call("DELETE", f"/invitations/{invitation['id']}")


async def sign_in(context: BrowserContext, demo: Demo) -> Page:
    page = await context.new_page()
    await page.goto("/admin/login")
    await page.fill("input[name=email]", demo.admin)
    await page.fill("input[name=password]", demo.password)
    await page.click("form[action^='/admin/login'] .btn--primary")
    await page.wait_for_url(lambda url: "/login" not in url)
    return page


async def take_picture(page: Page, name: str) -> None:
    """Take a screenshot and save it with few colours."""
    picture = Image.open(io.BytesIO(await page.screenshot()))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    return await browser.new_context(base_url=BASE, locale="en-GB", reduced_motion="reduce", **options)


async def take_pictures(browser: Browser, demo: Demo) -> None:
    invitations = demo.call("GET", "/invitations?q=jonas")["items"]
    for scheme in ("light", "dark"):
        context = await new_context(browser, viewport=WIDE, color_scheme=scheme)
        page = await sign_in(context, demo)
        for name, path in (
            ("overview", "/admin"),
            ("list", "/admin/invitations"),
            ("entry", f"/admin/invitations/{invitations[0]['id']}"),
            ("new", "/admin/invitations/new"),
        ):
            await page.goto(path)
            await page.wait_for_load_state("networkidle")
            await take_picture(page, f"{name}-{scheme}")
        await context.close()
    context = await new_context(browser, viewport=NARROW, color_scheme="light")
    page = await sign_in(context, demo)
    await page.goto("/admin/invitations")
    await take_picture(page, "list-phone")
    await page.goto(demo.call("POST", f"/invitations/{invitations[0]['id']}/link")["url"])
    await take_picture(page, "invitee-phone")
    await context.close()


class Clip:
    """Frames of a page, each with its duration."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.milliseconds: list[int] = []

    async def add_frame(self, milliseconds: int = FRAME_MS) -> None:
        frame = Image.open(io.BytesIO(await self.page.screenshot())).convert("RGB")
        self.frames.append(frame)
        self.milliseconds.append(milliseconds)

    async def type(self, field: str, text: str) -> None:
        await self.page.focus(field)
        for start in range(0, len(text), 6):
            await self.page.keyboard.type(text[start : start + 6])
            await self.add_frame()

    def save(self, path: Path) -> None:
        first, *rest = self.frames
        first.save(path, save_all=True, append_images=rest, duration=self.milliseconds, loop=0, quality=60, method=6)


async def record_clip(browser: Browser, demo: Demo) -> None:
    """Record half a minute: create the invitation, open the mail, accept."""
    context = await new_context(browser, viewport=CLIP, color_scheme="light")
    page = await sign_in(context, demo)
    clip = Clip(page)
    await page.goto("/admin/invitations")
    await clip.add_frame(2000)
    await page.get_by_role("link", name="Create new entry").click()
    await page.wait_for_load_state("networkidle")
    await clip.add_frame(1000)
    await clip.type("#inviteEmail", "mira.okafor@harbour.example")
    await clip.type("#firstName", "Mira")
    await page.get_by_label("Team").check()
    await clip.add_frame(1000)
    await page.locator("#message").scroll_into_view_if_needed()
    await clip.type("#message", "Come by on Tuesday. The kettle is on.")
    await page.wait_for_load_state("networkidle")
    await clip.add_frame(1500)
    await page.get_by_role("button", name="Save and send").click()
    await page.wait_for_url("**/admin/invitations/*-*")
    await clip.add_frame(3000)
    await open_mail(page, "mira.okafor@harbour.example")
    await page.locator("iframe").scroll_into_view_if_needed()
    await clip.add_frame(4000)
    url = re.search(r"http\S+?token=[\w.-]+", await page.locator("body").inner_text())
    if url is None:
        raise SystemExit("The mail has no link.")
    await page.goto(url[0])
    await clip.add_frame(2500)
    await clip.type("input[name=lastName]", "Okafor")
    await clip.type("input[name=password]", "eleven quiet herons")
    await page.locator("input[name=acceptTerms]").check()
    await clip.add_frame(1200)
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_load_state("networkidle")
    await clip.add_frame(3500)
    invitation = demo.call("GET", "/invitations?email=mira.okafor@harbour.example")["items"][0]
    await page.goto(f"/admin/invitations/{invitation['id']}")
    await clip.add_frame(4000)
    clip.save(PICTURES / "from-invited-to-in.webp")
    await context.close()


async def open_mail(page: Page, address: str) -> None:
    """Wait for a mail to the address and open the newest one."""
    for _ in range(50):
        await page.goto("/dev/mail")
        mail = page.locator("tr", has_text=address).get_by_role("link").first
        if await mail.count():
            await mail.click()
            await page.wait_for_load_state("networkidle")
            return
        await page.wait_for_timeout(200)
    raise SystemExit("The mail did not arrive.")


async def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with running_demo() as demo:
        create_samples(demo)
        await asyncio.sleep(15)  # until the worker has updated the numbers of the overview
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            await take_pictures(browser, demo)
            await record_clip(browser, demo)
            await browser.close()
    for picture in sorted(PICTURES.iterdir()):
        print(f"{picture.name}: {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    asyncio.run(main())
