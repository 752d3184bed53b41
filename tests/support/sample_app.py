"""A small application of the HTTP and REST layers: two valid credentials, a few routes, no database."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx2
import pytest
from msgspec import UNSET, Meta, UnsetType

from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.domain.account import User
from latchstring.domain.actor import ActorType
from latchstring.domain.clock import system_clock
from latchstring.domain.errors import CredentialInvalid, GroupNotFound
from latchstring.domain.pagination import Cursor
from latchstring.domain.principal import Principal
from latchstring.domain.settings import AccountRules, App, ContentRules, InvitationRules, Limits, MailRules
from latchstring.formats.field_types import Duration, Email, Flag, Instant, Key, Line, Locale, Message, Metadata, Url
from latchstring.formats.fields import Body, Reading, sent_fields
from latchstring.http.application import Application
from latchstring.http.authentication import Caller, RouteAccess
from latchstring.http.responses import Answer, View, json_answer
from latchstring.invitations.link_views import LinkViewCounter
from latchstring.rate_limits import Limiter
from latchstring.rest.docs_pages import document_routes
from latchstring.rest.pagination import PageQuery, PageView, page_answer
from latchstring.rest.route import operation
from latchstring.services import Services

USER_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
USER = User(USER_ID, "ada@people.test", "ada@people.test", "Ada", "Löwe", terms_version="1")
GOOD_TOKEN = "good-access-token"
GOOD_KEY = "lsk_good"
ORIGIN = "https://app.example.org"
APP = App(name="Acme", public_url="https://invite.example.org", terms_version="1", allowed_origins=(ORIGIN,))


class FakeSessions:
    """Stands in for `services.users.sessions`. Accepts one access token and one API key."""

    def __init__(self) -> None:
        self.user = USER

    async def principal_of_access_token(self, token: str) -> tuple[Principal, User]:
        if token != GOOD_TOKEN:
            raise CredentialInvalid("Invalid access token.")
        return principal(ActorType.USER, frozenset({"groups:read"})), self.user

    async def principal_of_api_key(self, api_key: str) -> Principal:
        if api_key != GOOD_KEY:
            raise CredentialInvalid("Invalid API key.")
        return principal(ActorType.API_KEY, frozenset({"*"}))


def principal(kind: ActorType, permissions: frozenset[str]) -> Principal:
    return Principal(kind, USER_ID, "Ada Löwe", permissions, frozenset(), frozenset())


class Item(Body):
    """An object inside a body."""

    name: Line
    role: Literal["VIEWER", "EDITOR"]


class AllFields(Body):
    """A body with one field of each type."""

    name: Line
    email: Email | None = None
    message: Message | None = None
    groups: Annotated[tuple[Key, ...], Meta(description="Keys of groups.")] = ()
    items: tuple[Item, ...] = ()
    expires_in: Duration | None = None
    starts_at: Instant | None = None
    locale: Locale | None = None
    redirect_url: Url | None = None
    metadata: Metadata | None = None
    accept_terms: Flag | None = None


class Change(Body):
    name: Line | UnsetType = UNSET
    message: Message | UnsetType | None = UNSET


class Echo(View):
    """The fields as they were parsed."""

    name: str
    groups: list[str]
    at: datetime


class ThingQuery(PageQuery):
    sort: Literal["name", "-name"] = "name"
    email: Email | None = None
    ready: bool = False


@operation(
    "POST",
    "/api/things",
    "Create a thing",
    tag="Things",
    permission="things:write",
    answers={201: Echo},
    sets_location=True,
)
async def create_thing(body: AllFields) -> Answer:
    return json_answer(
        Echo(name=body.name, groups=list(body.groups), at=datetime(2026, 3, 1, tzinfo=UTC)),
        201,
        location="/api/things/1",
    )


@operation("PATCH", "/api/things/{thing_id:uuid}", "Change a thing", tag="Things", answers={200: dict[str, Any]})
async def change_thing(thing_id: UUID, body: Change) -> Answer:
    return json_answer({"id": thing_id, **sent_fields(body)})


@operation("GET", "/api/things", "List things", tag="Things", access=RouteAccess.OPTIONAL, answers={200: PageView[str]})
async def list_things(services: Services, query: ThingQuery) -> Answer:
    cursor = read_cursor(services.keyring, f"things:{query.sort}", query.cursor)
    next_cursor = make_cursor(services.keyring, f"things:{query.sort}", Cursor(("b", query.limit)))
    return page_answer([str(cursor and cursor.key)], next_cursor=next_cursor, total=1)


@operation(
    "GET", "/api/things/{key}", "Show a thing", tag="Things", answers={200: dict[str, str]}, problems=[GroupNotFound]
)
async def show_thing(key: str) -> Answer:
    if key == "broken":
        raise RuntimeError("details of the error")
    raise GroupNotFound("There is no thing with this key.")


@operation(
    "POST",
    "/api/lenient",
    "Ignore bad credentials",
    tag="Access",
    access=RouteAccess.LENIENT,
    answers={200: dict[str, Any]},
    rate_limited=True,
)
async def answer_lenient(caller: Caller, reading: Reading[Change]) -> Answer:
    return json_answer({"known": caller.principal is not None, "problems": len(reading.problems)})


@operation(
    "POST",
    "/api/optional",
    "Answer without credentials",
    tag="Access",
    access=RouteAccess.OPTIONAL,
    answers={200: dict[str, Any]},
    body_optional=True,
)
async def answer_optional(caller: Caller, body: Change) -> Answer:
    return json_answer({"known": caller.principal is not None})


ROUTES = [create_thing, change_thing, list_things, show_thing, answer_lenient, answer_optional]


@pytest.fixture
def sessions() -> FakeSessions:
    return FakeSessions()


@pytest.fixture
def services(sessions: FakeSessions) -> Services:
    limits = Limits(enabled=False)
    return Services(
        db=None,  # type: ignore[arg-type]
        clock=system_clock,
        app=APP,
        roles={},
        content_rules=ContentRules(),
        invitation_rules=InvitationRules(),
        account_rules=AccountRules(),
        limits=limits,
        mail_rules=MailRules(),
        keyring=Keyring((new_master_key(),)),
        tokens=None,  # type: ignore[arg-type]
        users=SimpleNamespace(sessions=sessions),  # type: ignore[arg-type]
        admins=None,  # type: ignore[arg-type]
        content=None,  # type: ignore[arg-type]
        groups=None,  # type: ignore[arg-type]
        invitations=None,  # type: ignore[arg-type]
        installation_id=USER_ID,
        wake_worker=lambda: None,
        check_client=Limiter(limits).check_client,
        link_views=LinkViewCounter(None, system_clock),  # type: ignore[arg-type]
        backoffice=None,  # type: ignore[arg-type]
        settings=(),
        check_health=None,  # type: ignore[arg-type]
    )


def application(services: Services, app: App = APP) -> Application:
    app_ = Application([*ROUTES, *document_routes(app, "0.0.0")], app=app, open_services=lambda: None)  # type: ignore[arg-type, return-value]
    app_.state.services = services
    return app_


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client(application(services)) as http:
        yield http


def open_client(app: Application) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="https://invite.example.org")


@pytest.fixture
async def limited_client(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    limits = Limits(per_address_prefix="2/minute", trusted_proxies=("10.0.0.0/8",))
    async with open_client(
        application(replace(services, limits=limits, check_client=Limiter(limits).check_client))
    ) as http:
        yield http


AS_KEY = {"Authorization": f"Bearer {GOOD_KEY}"}
AS_USER = {"Authorization": f"Bearer {GOOD_TOKEN}"}
