"""A desk in the panel: its pages in process on a fresh database, and administrators who have signed in."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL
from tests.support.page_client import CONFIG, NOON, ORIGIN, PASSWORD, PageClient, PageResponse, chromium

__all__ = ["PASSWORD", "PanelClient", "chromium"]

from latchstring.admin.routes import routes as admin_routes
from latchstring.admin.routing import page_error as panel_error
from latchstring.bootstrap.services import build_services
from latchstring.config import load_config
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.domain.account import Admin
from latchstring.domain.panel import principal_of_admin
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.formats.email_address import parse_address
from latchstring.http.application import Application
from latchstring.invitee.routes import page_error
from latchstring.invitee.routes import routes as invitee_routes
from latchstring.pages.assets import serve_asset
from latchstring.storage.engine.installation import ensure_installation
from latchstring.storage.engine.sqlite import SQLite
from latchstring.worker.wake_event import Wake

COOKIE = "latchstring_admin"


@dataclass
class PanelClient(PageClient):
    """The panel and what stands behind it. Beside what a Door does, it signs administrators in."""

    async def admin(
        self, email: str = "mira@panel.test", *, role: str = "super-admin", name: str = "Mira Okafor"
    ) -> Admin:
        made = await self.services.admins.create_admin(
            OPERATOR_PRINCIPAL, address=parse_address(email), role=role, name=name, password=PASSWORD
        )
        return made.admin

    async def enter(
        self, email: str = "mira@panel.test", *, role: str = "super-admin", name: str = "Mira Okafor"
    ) -> Admin:
        """Make this administrator if need be, and sign him in without the login page."""
        admins = self.services.admins
        admin = await admins.find_admin_by_address(parse_address(email)) or await self.admin(
            email, role=role, name=name
        )
        opened = await admins.admin_login(email, PASSWORD, user_agent="desk", network="192.0.2.0/24")
        self.browser.cookies.set(COOKIE, opened.token, domain="door.test", path="/")
        return admin

    async def principal(self, admin: Admin) -> Principal:
        return principal_of_admin(admin)

    def leave(self) -> None:
        self.browser.cookies.clear()

    async def send(self, path: str, fields: dict[str, Any] | None = None, *, page: str | None = None) -> PageResponse:
        """Send a form as a page of the panel would: with the token found on `page` (default: the account page)."""
        shown = await self.get(page or "/admin/nothing-here")
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', shown.html)
        proof = {"csrf": found[1]} if found else {}
        return PageResponse(await self.browser.post(path, data={**proof, **(fields or {})}))

    async def said(self, seen: PageResponse) -> str:
        """The word that the next page says after an action that led on."""
        assert seen.status == 303, seen.html
        shown = await self.get(seen.target)
        found = re.search(r'id="flash"[^>]*>.*?<span>(.*?)</span>', shown.html, re.DOTALL)
        return found[1] if found else ""


@pytest.fixture
async def page_client(sqlite_url: URL, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[PanelClient]:
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
        [serve_asset, *invitee_routes, *admin_routes],
        app=config.app,
        open_services=lambda: pytest.fail("opened twice"),
        page_error=lambda request, error: panel_error(request, error) or page_error(request, error),
    )
    application.state.services = services
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as browser:
        yield PanelClient(services, browser, now)
    await db.close()
