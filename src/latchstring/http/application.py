"""Putting routes together into one application that answers every request, and every refusal, the same way."""

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

    open_services: entered when the server starts, left when it has drained. page_error: words an error as a page for
    addresses browsers go to, or returns None to leave it a problem answer. state: holds `services` while it serves.
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
        """Put one more layer around all that answers requests."""
        self._outermost = layer(self._outermost)

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """The time in which requests can be answered."""
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
        """Answer a request. An error while the answer is being sent goes to the server, which cuts the connection."""
        request = Request(scope, receive)
        try:
            answer = await self._make_answer(request)
        except Exception as error:  # noqa: BLE001  # the outermost handler: what nobody has answered is answered here
            answer = self._answer_error(request, error)
        await answer(scope, receive, send)

    async def _make_answer(self, request: Request) -> ASGIApp:
        scope = request.scope
        if not _HOST.fullmatch(find_header(scope, b"host") or b""):
            raise Unreadable("Invalid host header")
        path = normalize_path(scope["path"])
        if scope["method"] == "OPTIONS":
            return Answer(204, headers=[(b"allow", self._router.list_allowed(path).encode("ascii"))])
        endpoint, scope["path_template"], scope["path_params"] = self._router.find(scope["method"], path)
        scope["path"] = path
        return await endpoint(request)

    def _answer_error(self, request: Request, error: Exception) -> Answer:
        if self._page_error is not None and _wants_page(request.scope):
            page = self._page_error(request, error)
            if page is not None:
                return page
        return answer_error(error, request.scope)


def _wants_page(scope: Scope) -> bool:
    """Whether words for a person are wanted: not on the paths of programs, nor when only JSON is accepted."""
    accepted = find_header(scope, b"accept") or b"*/*"
    return not is_data_path(scope["path"]) and (b"text/html" in accepted or b"json" not in accepted)
