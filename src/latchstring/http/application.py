"""The ASGI application, which dispatches requests to routes and turns all errors into responses."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.datastructures import State
from starlette.requests import Request
from starlette.routing import Router as StarletteRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from latchstring.domain.errors import Unreadable
from latchstring.domain.settings import App
from latchstring.http.middleware import EdgeMiddleware, is_data_path
from latchstring.http.problems import answer_error
from latchstring.http.responses import Answer
from latchstring.http.routing import Route, Router, normalize_path
from latchstring.http.scope import find_header
from latchstring.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]
PageError = Callable[[Request, Exception], Answer | None]
_HOST = re.compile(rb"[0-9A-Za-z!$&'()*+,;=\-._~:\[\]@%]*")  # RFC 3986 section 3.2.2


class Application:
    """The ASGI application of these routes.

    open_services: entered when the server starts, exited after the last request. page_error: renders an error as an
    HTML page, or returns None for a problem response. state: contains `services` while the server runs.
    """

    def __init__(
        self, routes: Sequence[Route], *, app: App, open_services: OpenServices, page_error: PageError | None = None
    ) -> None:
        self.routes = routes
        self.state = State()
        self._router = Router(routes)
        self._open_services = open_services
        self._page_error = page_error
        self._lifespan_protocol = StarletteRouter(lifespan=self.lifespan).lifespan
        self._outermost: ASGIApp = EdgeMiddleware(self._respond, app)

    def wrap(self, layer: Callable[[ASGIApp], ASGIApp]) -> None:
        """Add a middleware around all others."""
        self._outermost = layer(self._outermost)

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Open the services for as long as requests are answered."""
        async with self._open_services() as services:
            self.state.services = services
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan_protocol(scope, receive, send)
            return
        scope["app"] = self
        await self._outermost(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. An error while sending is left to the server, which closes the connection."""
        request = Request(scope, receive)
        try:
            answer = await self._dispatch(request)
        except Exception as error:  # noqa: BLE001  # the outermost error handler
            answer = self._answer_error(request, error)
        await answer(scope, receive, send)

    async def _dispatch(self, request: Request) -> ASGIApp:
        scope = request.scope
        if not _HOST.fullmatch(find_header(scope, b"host") or b""):
            raise Unreadable("Invalid host header")
        path = normalize_path(scope["path"])
        if scope["method"] == "OPTIONS":
            return Answer(204, headers=[(b"allow", self._router.get_allow_header(path).encode("ascii"))])
        endpoint, scope["path_template"], scope["path_params"] = self._router.match(scope["method"], path)
        scope["path"] = path
        return await endpoint(request)

    def _answer_error(self, request: Request, error: Exception) -> Answer:
        if self._page_error is not None and _prefers_html(request.scope):
            page = self._page_error(request, error)
            if page is not None:
                return page
        return answer_error(error, request.scope)


def _prefers_html(scope: Scope) -> bool:
    """Whether to send errors as HTML: not for paths of programs, nor if only JSON is accepted."""
    accepted = find_header(scope, b"accept") or b"*/*"
    return not is_data_path(scope["path"]) and (b"text/html" in accepted or b"json" not in accepted)
