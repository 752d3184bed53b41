"""Endpoints of pages: authenticate, call the handler, and answer every error with a page."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.http.responses import Answer
from latchstring.http.routing import Endpoint
from latchstring.pages.context import PageContext
from latchstring.pages.errors import answer_error
from latchstring.services import Services

C = TypeVar("C", bound=PageContext)
GET, POST = "GET", "POST"


def page_endpoint(
    handler: Callable[[C], Awaitable[Answer]],
    *,
    request_context: Callable[[Request, Services], C],
    authenticate: Callable[[C], Awaitable[C | Answer]],
) -> Endpoint:
    """Create the endpoint of a page.

    authenticate returns the context of the signed-in user, or an answer if the handler must not run.
    """

    async def endpoint(request: Request) -> ASGIApp:
        context = request_context(request, request.app.state.services)
        try:
            authenticated = await authenticate(context)
            if isinstance(authenticated, Answer):
                return authenticated
            context = authenticated
            return await handler(context)
        except Exception as error:  # noqa: BLE001  # the outermost handler of pages: an unexpected error is a page as well
            return answer_error(context, error)

    return endpoint


def count_client(handler: Callable[[C], Awaitable[Answer]]) -> Callable[[C], Awaitable[Answer]]:
    """Apply the rate limit of the client's network to a handler. Raises TooManyRequests."""

    @wraps(handler)
    async def counted(context: C) -> Answer:
        context.services.check_client(context.client_network)
        return await handler(context)

    return counted
