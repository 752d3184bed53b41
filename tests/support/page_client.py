"""A door to knock at: the pages in process on a fresh database, a clock that is set by hand, and invitations."""

import html
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright
from sqlalchemy import select
from sqlalchemy.engine import URL
from tests.support.browser import start_installation
from tests.support.installation import Installation

from latchstring.bootstrap.services import build_services
from latchstring.config import load_config
from latchstring.content.service import NewObject
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.domain.access import ContentObject
from latchstring.domain.account import User
from latchstring.domain.draft import Draft
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.formats.email_address import parse_address
from latchstring.groups.service import GroupWords
from latchstring.http.application import Application
from latchstring.invitee.routes import page_error, routes
from latchstring.pages.assets import serve_asset
from latchstring.services import Services
from latchstring.storage.engine.installation import ensure_installation
from latchstring.storage.engine.sqlite import SQLite
from latchstring.storage.engine.tables import metadata
from latchstring.users.accounts import NewUser, UserChanges
from latchstring.worker.wake_event import Wake

ORIGIN = "http://door.test"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PASSWORD = "eleven quiet herons 7"
CONFIG = """
[app]
name = "Orchard Lane"
public-url = "http://door.test"
terms-url = "https://orchard.example/terms"
terms-version = "1"
support-email = "help@orchard.example"

[mail]
transport = "mailbox"
from = "Orchard Lane <no-reply@orchard.example>"

[invitations]
redirect-origins = ["https://app.orchard.example"]

[content]
types = { articles = { name = "Articles", singular = "article" }, tables = { name = "Tables" } }

[roles.team]
name = "Team"
description = "You create content and invite customers"
permissions = ["invitations:write", "app:plan"]
may-grant = ["team", "customer"]
may-grant-groups = ["*"]

[roles.customer]
name = "Customer"
permissions = ["app:plan"]
"""


@dataclass
class PageResponse:
    """A page as it came back."""

    response: httpx2.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def code(self) -> str | None:
        return self.response.headers.get("X-Latchstring-Code")

    @property
    def html(self) -> str:
        return self.response.text

    @property
    def words(self) -> str:
        """What can be read on it, blanks made one."""
        body = self.html[self.html.index("<body>") :] if "<body>" in self.html else self.html
        flowing = re.sub(r"</?(?:a|bdi|code|strong|time|wbr)\b[^>]*>", "", body)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", flowing)).split())

    @property
    def target(self) -> str:
        """Where it sends the browser."""
        return self.response.headers.get("Location", "")

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*?)</title>", self.html, re.DOTALL)
        return html.unescape(found[1]).strip() if found else ""

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of all its forms."""
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.html)
        return {name: html.unescape(value) for name, value in found}


@dataclass
class PageClient:
    """The pages and what stands behind them."""

    services: Services
    browser: httpx2.AsyncClient
    now: list[datetime] = field(default_factory=lambda: [NOON])

    def wait(self, **span: float) -> None:
        self.now[0] += timedelta(**span)

    async def get(self, path: str, **more: Any) -> PageResponse:
        return PageResponse(await self.browser.get(path, **more))

    async def post(
        self, path: str, fields: dict[str, str] | None = None, *, csrf: bool = True, **more: Any
    ) -> PageResponse:
        """Send a form as a page of ours would."""
        if csrf and "csrf_token" not in self.browser.cookies:
            await self.get("/login")
        proof = {"csrf": self.browser.cookies["csrf_token"]} if csrf else {}
        return PageResponse(await self.browser.post(path, data={**proof, **(fields or {})}, **more))

    async def user(self, email: str = "ada@people.test", **fields: Any) -> User:
        known = {"first_name": "Ada", "last_name": "Löwe", "password": PASSWORD, "role": "customer"}
        new = NewUser(address=parse_address(email), **(known | fields))
        return await self.services.users.create_user(OPERATOR_PRINCIPAL, new)

    async def change(self, email: str, **changes: Any) -> None:
        found = await self.account(email)
        assert found is not None
        await self.services.users.change_user(OPERATOR_PRINCIPAL, found.id, UserChanges(**changes))

    async def sign_in(self, email: str = "ada@people.test") -> None:
        seen = await self.post("/login", {"email": email, "password": PASSWORD})
        assert seen.status == 303, seen.html

    async def group(self, key: str = "spring", name: str = "Spring cohort") -> None:
        await self.services.groups.create_group(OPERATOR_PRINCIPAL, key, GroupWords(name=name))

    async def invite(
        self, email: str = "jonas@people.test", *, by: Principal = OPERATOR_PRINCIPAL, **terms: Any
    ) -> Invitation:
        address = parse_address(email)
        draft = Draft(email=address.email, email_key=address.email_key, **({"role": "team"} | terms))
        return (await self.services.invitations.create(draft, by=by)).invitation

    async def inviter(self) -> Principal:
        user = await self.user("mira@people.test", first_name="Mira", last_name="Okafor", role="team")
        return self.services.users.principal_of(user)

    async def object(
        self, title: str = "Tide tables", *, owner: Principal, type_: str = "articles", **more: Any
    ) -> ContentObject:
        """A content object of somebody's."""
        assert owner.id is not None
        new = NewObject(title=title, owner_id=owner.id, **more)
        return (await self.services.content.create_object(OPERATOR_PRINCIPAL, type_, new)).object

    async def share(
        self,
        *objects: ContentObject,
        by: Principal,
        email: str = "jonas@people.test",
        right: str = "EDITOR",
        **terms: Any,
    ) -> Invitation:
        """Invite to objects, and to nothing else unless terms say so."""
        content = tuple((one.type, one.key, right) for one in objects)
        return await self.invite(email, by=by, content=content, **({"role": None} | terms))

    def token(self, invitation: Invitation, channel: Channel = Channel.MAILED) -> str:
        return self.services.invitations.links.token_of(invitation, channel)

    async def state(self, invitation: Invitation) -> str:
        found = await self.services.invitations.get(invitation.id, by=OPERATOR_PRINCIPAL)
        return found.invitation.state_at(self.now[0]).name

    def link(self, invitation: Invitation, channel: Channel = Channel.MAILED) -> str:
        """The path of the link as it is mailed."""
        return self.services.invitations.links.url_of(invitation, channel).removeprefix(ORIGIN)

    async def dump(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        return {
            table.name: [tuple(row) for row in await self.services.db.fetch(select(table))]
            for table in metadata.sorted_tables
        }

    async def account(self, email: str) -> User | None:
        return await self.services.users.find_user_by_address(parse_address(email))


def token_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest.fixture
async def page_client(sqlite_url: URL, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[PageClient]:
    """On the ordinary configuration, or with one text in it replaced: parametrize indirectly by the pair."""
    before, after = getattr(request, "param", ("", ""))
    (tmp_path / "latchstring.toml").write_text(CONFIG.replace(before, after) if before else CONFIG)
    config = load_config(tmp_path / "latchstring.toml", {})
    keyring = Keyring((new_master_key(),))
    now = [NOON]
    db = SQLite(str(sqlite_url.database))
    installation_id = await ensure_installation(db, keyring, NOON)
    services = build_services(
        config, db=db, keyring=keyring, installation_id=installation_id, clock=lambda: now[0], wake=Wake()
    )
    application = Application(
        [serve_asset, *routes],
        app=config.app,
        open_services=lambda: pytest.fail("opened twice"),
        page_error=page_error,
    )
    application.state.services = services
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as browser:
        yield PageClient(services, browser, now)
    await db.close()


# ---- for browsers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A real server with a real mail server."""
    with start_installation(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        await browser.close()
