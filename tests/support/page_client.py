"""The pages of invitees and of administrators in process, on a fresh database, with a clock that tests move."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL
from tests.support.applications import client_of, config_of, services_on
from tests.support.clock import NOON, Clock

from latchstring.content.service import NewObject
from latchstring.domain.access import ContentObject
from latchstring.domain.account import Admin, User
from latchstring.domain.draft import Draft
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.formats.email_address import parse_address
from latchstring.groups.service import GroupTexts
from latchstring.services import Services
from latchstring.storage.engine.tables import metadata
from latchstring.users.accounts import NewUser, UserChanges

__all__ = ["CONFIG", "COOKIE", "NOON", "ORIGIN", "PASSWORD", "PageClient", "PageResponse", "token_in"]

HOST = "door.test"
ORIGIN = f"http://{HOST}"
COOKIE = "latchstring_admin"
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
    """A client of the pages, and the services behind them."""

    services: Services
    browser: httpx2.AsyncClient
    clock: Clock

    def wait(self, **span: float) -> None:
        self.clock.forward(timedelta(**span))

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
        return await self.services.users.create(new, by=OPERATOR_PRINCIPAL)

    async def change(self, email: str, **changes: Any) -> None:
        found = await self.account(email)
        assert found is not None
        await self.services.users.change(found.id, UserChanges(**changes), by=OPERATOR_PRINCIPAL)

    async def sign_in(self, email: str = "ada@people.test") -> None:
        seen = await self.post("/login", {"email": email, "password": PASSWORD})
        assert seen.status == 303, seen.html

    async def group(self, key: str = "spring", name: str = "Spring cohort") -> None:
        await self.services.groups.create(key, GroupTexts(name=name), by=OPERATOR_PRINCIPAL)

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
        return (await self.services.content.create(type_, new, by=OPERATOR_PRINCIPAL)).object

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
        return found.invitation.state_at(self.clock.now).name

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
        return await self.services.users.find_by_address(parse_address(email))

    # -- administrators

    async def admin(
        self, email: str = "mira@panel.test", *, role: str = "super-admin", name: str = "Mira Okafor"
    ) -> Admin:
        created = await self.services.admins.create(
            address=parse_address(email), role=role, name=name, password=PASSWORD, by=OPERATOR_PRINCIPAL
        )
        return created.admin

    async def enter(
        self, email: str = "mira@panel.test", *, role: str = "super-admin", name: str = "Mira Okafor"
    ) -> Admin:
        """Create this administrator if they do not exist, and sign them in without the login page."""
        admins = self.services.admins
        admin = await admins.find_by_address(parse_address(email)) or await self.admin(email, role=role, name=name)
        login = await admins.sessions.login(email, PASSWORD, user_agent="test", network="192.0.2.0/24")
        self.browser.cookies.set(COOKIE, login.token, domain=HOST, path="/")
        return admin

    async def principal(self, admin: Admin) -> Principal:
        return principal_of_admin(admin)

    def leave(self) -> None:
        self.browser.cookies.clear()

    async def send(self, path: str, fields: dict[str, Any] | None = None, *, page: str | None = None) -> PageResponse:
        """Send a form as a page of the panel would: with the token on `page` (default: an unknown page)."""
        source = await self.get(page or "/admin/nothing-here")
        match = re.search(r'name="csrf" value="([0-9a-f]+)"', source.html)
        proof = {"csrf": match[1]} if match else {}
        return PageResponse(await self.browser.post(path, data={**proof, **(fields or {})}))

    async def flash(self, seen: PageResponse) -> str:
        """The key of the flash message on the page that an action redirects to."""
        assert seen.status == 303, seen.html
        message = re.search(r'id="flash" data-flash="([^"]*)"', (await self.get(seen.target)).html)
        return message[1] if message else ""

    async def said(self, seen: PageResponse) -> str:
        """The flash message of the page that an action redirected to."""
        assert seen.status == 303, seen.html
        page = await self.get(seen.target)
        match = re.search(r'id="flash"[^>]*>.*?<span>(.*?)</span>', page.html, re.DOTALL)
        return match[1] if match else ""


def token_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest.fixture
async def page_client(sqlite_url: URL, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[PageClient]:
    """On the ordinary configuration, or with one text in it replaced: parametrize indirectly by the pair."""
    before, after = getattr(request, "param", ("", ""))
    config = config_of(tmp_path, CONFIG.replace(before, after) if before else CONFIG)
    clock = Clock()
    async with services_on(sqlite_url, config, clock) as services, client_of(config, services, ORIGIN) as browser:
        yield PageClient(services, browser, clock)
