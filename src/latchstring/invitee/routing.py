"""Routes of the invitee pages."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from latchstring.http.responses import Answer
from latchstring.http.scope import find_header
from latchstring.invitee.context import InviteePage, authenticate, request_context
from latchstring.pages.routing import GET, POST, count_client, error_response, page_route

Handler = Callable[[InviteePage], Awaitable[Answer]]


def get(*paths: str) -> Callable[[Handler], HTTPRouteHandler]:
    """A page at these paths, for HEAD as well. It must change nothing: mail scanners open it, too."""
    return lambda handler: _route(paths, GET, handler)


def post(*paths: str) -> Callable[[Handler], HTTPRouteHandler]:
    """What a form is sent to. Requests are limited by the client's network."""
    return lambda handler: _route(paths, POST, count_client(handler))


def _route(paths: tuple[str, ...], method: HttpMethod, handler: Handler) -> HTTPRouteHandler:
    return page_route(
        paths,
        method,
        handler,
        request_context=request_context,
        authenticate=authenticate,
        name=f"pages.{handler.__name__}",
    )


def page_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any] | None:
    """The error page for browsers at paths that have no page; None for programs, which get a problem document."""
    if b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    return error_response(request_context(request, request.scope["litestar_app"].state.services), error)
