"""How an address becomes a page: GET and HEAD show, POST acts, and every refusal is a page, too."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.http.responses import Answer
from latchstring.http.routing import Route
from latchstring.http.scope import find_header
from latchstring.invitee.context import Page, open_page, recognise
from latchstring.pages.errors import answer_refusal
from latchstring.services import Services

Handler = Callable[[Page], Awaitable[Answer]]


def shows(*paths: str) -> Callable[[Handler], Route]:
    """A page at these addresses, for HEAD as well. It must change nothing: mail scanners open it, too."""
    return lambda handler: _route(paths, "GET", handler)


def acts(*paths: str) -> Callable[[Handler], Route]:
    """What a form of ours is sent to. The network it comes from is counted."""

    def declare(handler: Handler) -> Route:
        async def counted(page: Page) -> Answer:
            page.services.limiter.check_client(page.client_network)
            return await handler(page)

        return _route(paths, "POST", counted)

    return declare


def _route(paths: Sequence[str], method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> ASGIApp:
        services: Services = request.app.state.services
        page = open_page(request, services)
        try:
            page = await recognise(page)
            return await handler(page)
        except Exception as error:  # noqa: BLE001  # the outermost handler of pages: a bug of ours is a page as well
            return refuse(page, error)

    return Route(method, tuple(paths), endpoint)


def refuse(page: Page, error: Exception) -> Answer:
    """The page of a refusal that no handler has words of its own for."""
    return answer_refusal(error, page.request.scope, page.show)


def page_error(request: Request, error: Exception) -> Answer | None:
    """The same for addresses that no page of ours has, for people; programs that ask for JSON get their problem."""
    if b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    return refuse(open_page(request, request.app.state.services), error)
