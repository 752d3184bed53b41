"""How a path becomes a page: authenticate, call the handler, and answer every error with a page as well."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from latchstring.http.responses import Answer
from latchstring.pages.context import PageContext
from latchstring.pages.errors import answer_error, as_response
from latchstring.services import Services

C = TypeVar("C", bound=PageContext)
GET, POST = HttpMethod.GET, HttpMethod.POST


def page_route(
    paths: Sequence[str],
    method: HttpMethod,
    handler: Callable[[C], Awaitable[Answer]],
    *,
    request_context: Callable[[Request[Any, Any, Any], Services], C],
    authenticate: Callable[[C], Awaitable[C | Answer]],
    name: str,
    opt: Mapping[str, Any] | None = None,
) -> HTTPRouteHandler:
    """The route of a page; GET serves HEAD as well.

    authenticate returns the context of the signed-in user, or an answer where the handler must not run.
    """

    async def endpoint(request: Request[Any, Any, Any]) -> ASGIApp:
        context = request_context(request, request.scope["litestar_app"].state.services)
        try:
            authenticated = await authenticate(context)
            if isinstance(authenticated, Answer):
                return authenticated
            context = authenticated
            return await handler(context)
        except Exception as error:  # noqa: BLE001  # the outermost handler of pages: an unexpected error is a page as well
            return answer_error(context, error)

    endpoint.__name__ = handler.__name__
    endpoint.__module__ = handler.__module__
    return HTTPRouteHandler(
        list(paths),
        http_method=[method],
        status_code=200,  # never used: the Answer has its own
        include_in_schema=False,
        name=name,
        opt=opt,
    )(endpoint)


def count_client(handler: Callable[[C], Awaitable[Answer]]) -> Callable[[C], Awaitable[Answer]]:
    """The handler behind the rate limit of the client's network. Raises TooManyRequests."""

    @wraps(handler)
    async def counted(context: C) -> Answer:
        context.services.limiter.check_client(context.client_network)
        return await handler(context)

    return counted


def error_response(context: PageContext, error: Exception) -> Response[Any]:
    """The page of an error that was raised before any page handler ran, such as an unknown path or method."""
    return as_response(answer_error(context, error))
