"""Builds the application of all faces (API, panel, invitee pages) with the services and their worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from latchstring.admin.routes import routes as admin_routes
from latchstring.admin.routing import page_error as panel_error
from latchstring.api.routes import routes as api_routes
from latchstring.bootstrap.services import open_services, running_worker
from latchstring.config import Config
from latchstring.devmail.routes import routes as devmail_routes
from latchstring.domain.clock import system_clock
from latchstring.http.access_log import AccessLog, ObservedResponse
from latchstring.http.application import Application
from latchstring.http.health import EVENT_COUNTS
from latchstring.http.health import routes as operations_routes
from latchstring.http.metrics import EventCounts, server_started_at
from latchstring.http.routing import Route
from latchstring.invitee.routes import page_error
from latchstring.invitee.routes import routes as invitee_routes
from latchstring.pages.assets import serve_asset
from latchstring.rest.docs_pages import document_routes
from latchstring.services import Services
from latchstring.telemetry.logging import redact_text
from latchstring.worker.wake_event import WakeEvent

__all__ = ["all_routes", "build_app", "create_app", "open_services"]


def all_routes(config: Config) -> list[Route]:
    """The routes of every face. The development mailbox is included only if `mail.transport` is `mailbox`."""
    mailbox = devmail_routes if config.mail.transport == "mailbox" else ()
    return [serve_asset, *operations_routes, *api_routes, *invitee_routes, *admin_routes, *mailbox]


def create_app(
    config: Config, services_context: AbstractAsyncContextManager[Services], *, access_log: AccessLog | None = None
) -> Application:
    """The application. It enters `services_context` when it starts and leaves it when it has drained."""
    application = Application(
        [*all_routes(config), *document_routes(config.app, version("latchstring"))],
        app=config.app,
        open_services=lambda: services_context,
        page_error=lambda request, error: panel_error(request, error) or page_error(request, error),
    )
    application.state[EVENT_COUNTS] = EventCounts(server_started_at(system_clock()))
    application.wrap(lambda app: ObservedResponse(app, access_log))
    return application


def build_app(config: Config, *, with_worker: bool = True, access_log: bool = False) -> Application:
    """The server with all faces as one ASGI application, for `uvicorn --factory` and for tests."""
    return create_app(
        config,
        _open_services_and_worker(config, with_worker=with_worker),
        access_log=AccessLog(redact=redact_text) if access_log else None,
    )


@asynccontextmanager
async def _open_services_and_worker(config: Config, *, with_worker: bool) -> AsyncIterator[Services]:
    wake_event = WakeEvent()
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(config, wake_event=wake_event))
        if with_worker:
            await stack.enter_async_context(running_worker(services, wake_event, asyncio.Event()))
        yield services
