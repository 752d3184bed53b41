"""A client of the API in process: the real application on an empty SQLite database, with a clock that tests set."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL
from tests.support.applications import open_app_client, open_services, write_config
from tests.support.clock import Clock

from latchstring.bootstrap.services import build_services
from latchstring.config import Config
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.services import Services
from latchstring.storage.engine.tables import outbox
from latchstring.storage.outbox.outbox import OutboxRow
from latchstring.worker.wake_event import WakeEvent

PASSWORD = "correct horse 9 Battery"
ORIGIN = "https://invite.example.org"
START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SETTINGS = """
[app]
name = "Acme"
public-url = "https://invite.example.org"
terms-url = "https://acme.test/terms"
terms-version = "1"

[mail]
transport = "smtp"
from = "Acme <no-reply@acme.test>"

[mail.smtp]
host = "127.0.0.1"
tls = "none"

[roles.admin]
name = "Admin"
permissions = ["*"]
may-grant = ["admin", "lead", "team", "customer"]
may-grant-groups = ["*"]

[roles.lead]
name = "Lead"
permissions = ["users:read", "users:write", "api-keys:write", "groups:read", "app:plan"]
may-grant = ["team", "customer"]
may-grant-groups = ["open"]

[roles.team]
name = "Team"
permissions = ["users:read", "groups:read", "app:plan"]
may-grant = ["customer"]

[roles.customer]
name = "Customer"
permissions = ["app:plan"]

[limits]
enabled = false
"""


@dataclass(frozen=True)
class Api:
    """A client of the API, and the services behind it. Paths are relative to /api."""

    http: httpx2.AsyncClient
    services: Services
    clock: Clock
    key: str
    numbers: Iterator[int]

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        all_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            all_headers["Authorization"] = f"Bearer {token}"
        content = None
        if body is not None:
            content, all_headers["Content-Type"] = json.dumps(body), "application/json"
        return await self.http.request(method, f"/api{path}", content=content, headers=all_headers)

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx2.Response:
        return await self.call("GET", path, None, token, **headers)

    async def post(self, path: str, body: Any = None, token: str | None = None, **headers: str) -> httpx2.Response:
        return await self.call("POST", path, body, token, **headers)

    async def patch(self, path: str, body: Any, token: str | None = None) -> httpx2.Response:
        return await self.call("PATCH", path, body, token)

    async def put(self, path: str, body: Any, token: str | None = None) -> httpx2.Response:
        return await self.call("PUT", path, body, token)

    async def delete(self, path: str, token: str | None = None) -> httpx2.Response:
        return await self.call("DELETE", path, None, token)

    async def user(self, role: str | None = "customer", **fields: Any) -> dict[str, Any]:
        """Create an account over HTTP with the full-access key, and return its JSON."""
        body = {"email": f"u{next(self.numbers)}@people.test", "firstName": "Ann", "lastName": "Number", "role": role}
        response = await self.post("/users", {**body, "password": PASSWORD, **fields}, self.key)
        assert response.status_code == 201, response.text
        return response.json()  # type: ignore[no-any-return]

    async def login(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        self.http.cookies.clear()
        response = await self.post("/auth/login", {"email": email, "password": password})
        self.http.cookies.clear()
        return response

    async def token(self, role: str | None = "customer", **fields: Any) -> str:
        """Create an account and return an access token of it."""
        user = await self.user(role, **fields)
        return str((await self.login(user["email"])).json()["accessToken"])

    async def api_key(self, *scopes: str, **fields: Any) -> str:
        """Create an API key and return it as text."""
        api_key = await self.services.users.api_keys.create(name="k", scopes=scopes, by=OPERATOR_PRINCIPAL, **fields)
        return api_key.secret

    async def mailed_token(self, kind: MailKind) -> str:
        """Return the token in the newest mail of this kind."""
        row = (await self.services.db.fetch(outbox.select().where(outbox.c.kind == kind.value)))[-1]
        mail = OutboxRow(row.id, kind, row.subject_id, row.generation, row.locale, row.state, 0)
        recovery = self.services.users.recovery
        loaders = {
            MailKind.PASSWORD_RESET: recovery.load_password_reset_mail,
            MailKind.EMAIL_VERIFICATION: recovery.load_email_verification_mail,
        }
        message = await loaders[kind](mail)
        assert message is not None
        return str(message.link_url.partition("token=")[2])


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    """The configuration of `api`."""
    return write_config(tmp_path, SETTINGS)


@pytest.fixture
async def api(sqlite_url: URL, settings: Config) -> AsyncIterator[Api]:
    """A client of the API without rate limits."""
    clock = Clock(START)
    async with open_services(sqlite_url, settings, clock) as services:
        key = await services.users.api_keys.create(name="suite", scopes=["*"], by=OPERATOR_PRINCIPAL)
        async with open_app_client(settings, services, ORIGIN) as http:
            yield Api(http, services, clock, key.secret, count(1))


def build_limited_services(api: Api, settings: Config) -> Services:
    """Build the services of `api` again with rate limits."""
    limits = replace(settings.limits, enabled=True, login_per_account="3/minute", per_recipient="2/day")
    return build_services(
        replace(settings, limits=limits),
        db=api.services.db,
        keyring=api.services.keyring,
        installation_id=api.services.installation_id,
        clock=api.clock,
        wake_event=WakeEvent(),
    )


@pytest.fixture
async def limited_api(api: Api, settings: Config) -> AsyncIterator[Api]:
    """A client of the API with rate limits: 3 sign-ins a minute per account, 2 mails a day per recipient."""
    services = build_limited_services(api, settings)
    async with open_app_client(settings, services, ORIGIN) as http:
        yield replace(api, http=http, services=services)
