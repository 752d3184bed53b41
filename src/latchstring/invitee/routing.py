"""Routes of the invitee pages."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from latchstring.http.responses import Answer
from latchstring.http.routing import Route
from latchstring.http.scope import find_header
from latchstring.invitee.context import InviteePage, authenticate, request_context
from latchstring.pages.errors import answer_error
from latchstring.pages.routing import GET, POST, count_client, page_endpoint

Handler = Callable[[InviteePage], Awaitable[Answer]]


def get(*paths: str) -> Callable[[Handler], Route]:
    """A page at these paths, for HEAD as well. It must change nothing, as mail scanners open links."""
    return lambda handler: _route(paths, GET, handler)


def post(*paths: str) -> Callable[[Handler], Route]:
    """The target of a form. Requests are rate-limited by the network of the client."""
    return lambda handler: _route(paths, POST, count_client(handler))


def _route(paths: tuple[str, ...], method: str, handler: Handler) -> Route:
    endpoint = page_endpoint(handler, request_context=request_context, authenticate=authenticate)
    return Route(method, paths, endpoint)


def page_error(request: Request, error: Exception) -> Answer | None:
    """The error page for browsers at paths without a route; None for other clients, which get a problem document."""
    if b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    return answer_error(request_context(request, request.app.state.services), error)
