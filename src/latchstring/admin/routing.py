"""Routes of the panel: which permission a page needs, and where a browser without a session is sent."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from latchstring.admin.context import Panel, request_context
from latchstring.domain.errors import NotAllowed
from latchstring.http.responses import Answer
from latchstring.http.scope import find_header
from latchstring.pages.routing import GET, POST, count_client, error_response, page_route

Handler = Callable[[Panel], Awaitable[Answer]]
LOGIN = "/admin/login"
SECOND_FACTOR = "/admin/login/code"
UNAUTHENTICATED = None  # needs=UNAUTHENTICATED: pages that need no session
ANY_ADMIN = ""  # needs=ANY_ADMIN: every administrator, whatever their role


def get(*paths: str, needs: str | None) -> Callable[[Handler], HTTPRouteHandler]:
    """A page at these paths, for HEAD as well. It changes nothing.

    needs: the permission, ANY_ADMIN or UNAUTHENTICATED.
    """
    return lambda handler: _route(paths, GET, handler, needs)


def post(*paths: str, needs: str | None) -> Callable[[Handler], HTTPRouteHandler]:
    """What a form is sent to; `Panel.read_form` checks its CSRF token.

    Without a session, requests are limited by the client's network.
    """
    return lambda handler: _route(paths, POST, count_client(handler) if needs is UNAUTHENTICATED else handler, needs)


def post_preview(*paths: str, needs: str | None) -> Callable[[Handler], HTTPRouteHandler]:
    """What a form is sent to for a preview only: it changes nothing and may be requested at every keystroke."""
    return lambda handler: _route(paths, POST, handler, needs)


def _route(paths: tuple[str, ...], method: HttpMethod, handler: Handler, needs: str | None) -> HTTPRouteHandler:
    async def authenticated(panel: Panel) -> Panel | Answer:
        return await authenticate(panel, needs)

    return page_route(
        paths,
        method,
        handler,
        request_context=request_context,
        authenticate=authenticated,
        name=f"panel.{handler.__module__.rpartition('.')[2]}.{handler.__name__}",
        opt={"needs": needs},
    )


async def authenticate(panel: Panel, needs: str | None) -> Panel | Answer:
    """The panel of the signed-in administrator, or a redirect to the sign-in pages. Raises NotAllowed."""
    if needs is UNAUTHENTICATED:
        return panel
    token = panel.cookies.session
    session = await panel.services.admins.find_admin_session(token) if token else None
    if session is None:
        return panel.redirect(LOGIN, next=_requested_page(panel))
    if session.awaits_code:
        return panel.redirect(SECOND_FACTOR, next=_requested_page(panel))
    panel = panel.as_user(session.admin, session.session_id)
    if needs and not panel.can(needs):
        raise NotAllowed(needs)
    return panel


def _requested_page(panel: Panel) -> str:
    """The page to return to after signing in; none for a form, whose fields would be lost."""
    if panel.request.method not in ("GET", "HEAD") or (panel.path.rstrip("/") == "/admin" and not panel.query):
        return ""
    query = urlencode(panel.query)
    return f"{panel.path}?{query}" if query else panel.path


def is_own_path(path: str) -> bool:
    """Whether a `next` stays in the panel: one of our paths, nothing a browser could take for another host."""
    return (path == "/admin" or path.startswith(("/admin/", "/admin?"))) and "\\" not in path and path.isprintable()


def page_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any] | None:
    """The error page for browsers below /admin where no route answered, such as another method; else None."""
    if not is_own_path(request.scope["path"]) or b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    panel = request_context(request, request.scope["litestar_app"].state.services)
    response = error_response(panel, error)
    response.headers.pop("set-cookie", None)  # no session and no form depends on this page
    return response
