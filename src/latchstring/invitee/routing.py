"""How an address becomes a page: GET and HEAD show, POST acts, and every refusal is a page, too."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from latchstring.http.responses import Answer
from latchstring.http.scope import find_header
from latchstring.invitee.context import Page, open_page, recognise
from latchstring.pages.errors import answer_refusal, as_response
from latchstring.services import Services

Handler = Callable[[Page], Awaitable[Answer]]


def shows(*paths: str) -> Callable[[Handler], HTTPRouteHandler]:
    """A page at these addresses, for HEAD as well. It must change nothing: mail scanners open it, too."""
    return lambda handler: _route(paths, [HttpMethod.GET], handler)


def acts(*paths: str) -> Callable[[Handler], HTTPRouteHandler]:
    """What a form of ours is sent to. The network it comes from is counted."""

    def declare(handler: Handler) -> HTTPRouteHandler:
        async def counted(page: Page) -> Answer:
            page.services.limiter.check_client(page.client_network)
            return await handler(page)

        counted.__name__ = handler.__name__
        return _route(paths, [HttpMethod.POST], counted)

    return declare


def _route(paths: Sequence[str], methods: list[HttpMethod], handler: Handler) -> HTTPRouteHandler:
    async def endpoint(request: Request[Any, Any, Any]) -> ASGIApp:
        services: Services = request.scope["litestar_app"].state.services
        page = open_page(request, services)
        try:
            page = await recognise(page)
            return await handler(page)
        except Exception as error:  # noqa: BLE001  # the outermost handler of pages: a bug of ours is a page as well
            return refuse(page, error)

    endpoint.__name__ = handler.__name__
    endpoint.__module__ = handler.__module__
    return HTTPRouteHandler(
        list(paths),
        http_method=methods,
        status_code=200,  # never used: the Answer knows
        include_in_schema=False,
        name=f"pages.{handler.__name__}",
    )(endpoint)


def refuse(page: Page, error: Exception) -> Answer:
    """The page of a refusal that no handler has words of its own for."""
    return answer_refusal(error, page.request.scope, page.show)


def page_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any] | None:
    """The same for addresses that no page of ours has, for people; programs that ask for JSON get their problem."""
    if b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    answer = refuse(open_page(request, request.scope["litestar_app"].state.services), error)
    return as_response(answer)
