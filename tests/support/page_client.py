"""A client of all pages in process, on an empty SQLite database, with a clock that tests set."""

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
from tests.support.applications import open_app_client, open_services, write_config
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

HOST = "pages.test"
ORIGIN = f"http://{HOST}"
COOKIE = "latchstring_admin"
PASSWORD = "eleven quiet herons 7"
CONFIG = """
[app]
name = "Orchard Lane"
public-url = "http://pages.test"
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
    """The response of a page."""

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
        """The visible text, with every run of white space as one space."""
        body = self.html[self.html.index("<body>") :] if "<body>" in self.html else self.html
        without_inline_tags = re.sub(r"</?(?:a|bdi|code|strong|time|wbr)\b[^>]*>", "", body)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_inline_tags)).split())

    @property
    def target(self) -> str:
        """The Location header."""
        return self.response.headers.get("Location", "")

    @property
    def title(self) -> str:
        match = re.search(r"<title>(.*?)</title>", self.html, re.DOTALL)
        return html.unescape(match[1]).strip() if match else ""

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of all forms."""
        fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.html)
        return {name: html.unescape(value) for name, value in fields}


@dataclass
class PageClient:
    """A client of the pages, and the services behind them."""

    services: Services
    browser: httpx2.AsyncClient
    clock: Clock

    def wait(self, **duration: float) -> None:
        """Set the clock forward."""
        self.clock.forward(timedelta(**duration))

    async def get(self, path: str, **options: Any) -> PageResponse:
        return PageResponse(await self.browser.get(path, **options))

    async def post(
        self, path: str, fields: dict[str, str] | None = None, *, csrf: bool = True, **options: Any
    ) -> PageResponse:
        """Submit a form of an invitee page, with its CSRF token unless `csrf` is false."""
        if csrf and "csrf_token" not in self.browser.cookies:
            await self.get("/login")
        csrf_field = {"csrf": self.browser.cookies["csrf_token"]} if csrf else {}
        return PageResponse(await self.browser.post(path, data={**csrf_field, **(fields or {})}, **options))

    async def user(self, email: str = "ada@people.test", **fields: Any) -> User:
        defaults = {"first_name": "Ada", "last_name": "Löwe", "password": PASSWORD, "role": "customer"}
        new = NewUser(address=parse_address(email), **(defaults | fields))
        return await self.services.users.create(new, by=OPERATOR_PRINCIPAL)

    async def change_user(self, email: str, **changes: Any) -> None:
        user = await self.find_user(email)
        assert user is not None
        await self.services.users.change(user.id, UserChanges(**changes), by=OPERATOR_PRINCIPAL)

    async def sign_in(self, email: str = "ada@people.test") -> None:
        """Sign a user in on the login page."""
        response = await self.post("/login", {"email": email, "password": PASSWORD})
        assert response.status == 303, response.html

    async def group(self, key: str = "spring", name: str = "Spring cohort") -> None:
        await self.services.groups.create(key, GroupTexts(name=name), by=OPERATOR_PRINCIPAL)

    async def invite(
        self, email: str = "jonas@people.test", *, by: Principal = OPERATOR_PRINCIPAL, **terms: Any
    ) -> Invitation:
        """Create an invitation. It grants the role team unless `terms` say otherwise."""
        address = parse_address(email)
        draft = Draft(email=address.email, email_key=address.email_key, **({"role": "team"} | terms))
        return (await self.services.invitations.create(draft, by=by)).invitation

    async def inviter(self) -> Principal:
        """Create a user of the role team, and return their principal."""
        user = await self.user("mira@people.test", first_name="Mira", last_name="Okafor", role="team")
        return self.services.users.principal_of(user)

    async def object(
        self, title: str = "Tide tables", *, owner: Principal, type_: str = "articles", **fields: Any
    ) -> ContentObject:
        """Create a content object of this owner."""
        assert owner.id is not None
        new = NewObject(title=title, owner_id=owner.id, **fields)
        return (await self.services.content.create(type_, new, by=OPERATOR_PRINCIPAL)).object

    async def share(
        self,
        *objects: ContentObject,
        by: Principal,
        email: str = "jonas@people.test",
        right: str = "EDITOR",
        **terms: Any,
    ) -> Invitation:
        """Invite to objects, and to nothing else unless `terms` say so."""
        content = tuple((object_.type, object_.key, right) for object_ in objects)
        return await self.invite(email, by=by, content=content, **({"role": None} | terms))

    def token(self, invitation: Invitation, channel: Channel = Channel.MAILED) -> str:
        return self.services.invitations.links.token_of(invitation, channel)

    async def state(self, invitation: Invitation) -> str:
        """Return the name of the present state of an invitation."""
        details = await self.services.invitations.get(invitation.id, by=OPERATOR_PRINCIPAL)
        return details.invitation.state_at(self.clock.now).name

    def link(self, invitation: Invitation, channel: Channel = Channel.MAILED) -> str:
        """Return the path and query of the link."""
        return self.services.invitations.links.url_of(invitation, channel).removeprefix(ORIGIN)

    async def dump(self) -> dict[str, list[Any]]:
        """Return every row of every table."""
        return {
            table.name: [tuple(row) for row in await self.services.db.fetch(select(table))]
            for table in metadata.sorted_tables
        }

    async def find_user(self, email: str) -> User | None:
        return await self.services.users.find_by_address(parse_address(email))

    # ---- administrators ----

    async def admin(
        self, email: str = "mira@panel.test", *, role: str = "super-admin", name: str = "Mira Okafor"
    ) -> Admin:
        created = await self.services.admins.create(
            address=parse_address(email), role=role, name=name, password=PASSWORD, by=OPERATOR_PRINCIPAL
        )
        return created.admin

    async def sign_in_admin(
        self, email: str = "mira@panel.test", *, role: str = "super-admin", name: str = "Mira Okafor"
    ) -> Admin:
        """Sign an administrator in without the login page. Create the account first if it does not exist."""
        admins = self.services.admins
        admin = await admins.find_by_address(parse_address(email)) or await self.admin(email, role=role, name=name)
        login = await admins.sessions.login(email, PASSWORD, user_agent="test", network="192.0.2.0/24")
        self.browser.cookies.set(COOKIE, login.token, domain=HOST, path="/")
        return admin

    async def principal(self, admin: Admin) -> Principal:
        return principal_of_admin(admin)

    def sign_out(self) -> None:
        """Delete all cookies."""
        self.browser.cookies.clear()

    async def send(self, path: str, fields: dict[str, Any] | None = None, *, page: str | None = None) -> PageResponse:
        """Submit a form of the panel, with the CSRF token from `page` (default: the page of an unknown path)."""
        source = await self.get(page or "/admin/nothing-here")
        match = re.search(r'name="csrf" value="([0-9a-f]+)"', source.html)
        csrf_field = {"csrf": match[1]} if match else {}
        return PageResponse(await self.browser.post(path, data={**csrf_field, **(fields or {})}))

    async def flash(self, response: PageResponse) -> str:
        """Return the key of the flash message on the page that an action redirects to."""
        assert response.status == 303, response.html
        match = re.search(r'id="flash" data-flash="([^"]*)"', (await self.get(response.target)).html)
        return match[1] if match else ""

    async def read_flash_text(self, response: PageResponse) -> str:
        """Return the text of the flash message on the page that an action redirects to."""
        assert response.status == 303, response.html
        page = await self.get(response.target)
        match = re.search(r'id="flash"[^>]*>.*?<span>(.*?)</span>', page.html, re.DOTALL)
        return match[1] if match else ""


def token_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest.fixture
async def page_client(sqlite_url: URL, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[PageClient]:
    """A client of all pages. Indirect parametrization with a pair of texts replaces one by the other in CONFIG."""
    before, after = getattr(request, "param", ("", ""))
    config = write_config(tmp_path, CONFIG.replace(before, after) if before else CONFIG)
    clock = Clock()
    async with (
        open_services(sqlite_url, config, clock) as services,
        open_app_client(config, services, ORIGIN) as browser,
    ):
        yield PageClient(services, browser, clock)
