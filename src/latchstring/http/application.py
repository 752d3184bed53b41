"""Putting routes together into one application that answers every request, and every refusal, the same way."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from latchstring.domain.errors import LatchstringError
from latchstring.domain.settings import App
from latchstring.http.body import LARGEST_BODY
from latchstring.http.middleware import Edge, is_data_path
from latchstring.http.problems import handle_error, log_unexpected
from latchstring.http.scope import Scope, find_header
from latchstring.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]
PageError = Callable[[Request[Any, Any, Any], Exception], Response[Any] | None]


def build_application(
    routes: Sequence[ControllerRouterHandler],
    *,
    app: App,
    open_services: OpenServices,
    page_error: PageError | None = None,
) -> Litestar:
    """The application of these routes.

    open_services: entered when the server starts, left when it has drained. page_error: words an error as a page for
    addresses browsers go to, or returns None to leave it a problem answer.
    """

    @asynccontextmanager
    async def lifespan(application: Litestar) -> AsyncIterator[None]:
        async with open_services() as services:
            application.state.services = services
            yield

    def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        if page_error is not None and _wants_page(request.scope):
            page = page_error(request, error)
            if page is not None:
                if not isinstance(error, LatchstringError | HTTPException):
                    log_unexpected(error, request.scope)
                return page
        return handle_error(request, error)

    application = Litestar(
        [*routes],
        dependencies={"services": Provide(_find_services, sync_to_thread=False)},
        exception_handlers={Exception: answer_error, HTTPException: answer_error, LatchstringError: answer_error},
        lifespan=[lifespan],
        logging_config=None,
        openapi_config=None,
        request_max_body_size=LARGEST_BODY,
        state=State(),
        debug=False,
        pdb_on_exception=False,
    )
    application.asgi_handler = Edge(application.asgi_handler, app)
    return application


def _wants_page(scope: Scope) -> bool:
    """Whether words for a person are wanted: not on the paths of programs, nor when only JSON is accepted."""
    accepted = find_header(scope, b"accept") or b"*/*"
    return not is_data_path(scope["path"]) and (b"text/html" in accepted or b"json" not in accepted)


def _find_services(state: State) -> Services:
    return state.services  # type: ignore[no-any-return]
