"""Routes of the panel: the permission that a page needs, and the redirect to the sign-in page without a session."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from latchstring.admin.context import Panel, request_context
from latchstring.domain.errors import NotAllowed
from latchstring.http.responses import Answer
from latchstring.http.routing import Route
from latchstring.http.scope import find_header
from latchstring.pages.errors import answer_error
from latchstring.pages.routing import GET, POST, count_client, page_endpoint

Handler = Callable[[Panel], Awaitable[Answer]]
LOGIN = "/admin/login"
SECOND_FACTOR = "/admin/login/code"
UNAUTHENTICATED = None  # needs=UNAUTHENTICATED: pages that need no session
ANY_ADMIN = ""  # needs=ANY_ADMIN: every administrator, whatever their role


@dataclass(frozen=True)
class PanelRoute(Route):
    """A route of the panel. needs: a permission, ANY_ADMIN or UNAUTHENTICATED."""

    needs: str | None


def get(*paths: str, needs: str | None) -> Callable[[Handler], PanelRoute]:
    """Declare a page at these paths, for GET and HEAD. It changes nothing.

    needs: a permission, ANY_ADMIN or UNAUTHENTICATED.
    """
    return lambda handler: _route(paths, GET, handler, needs)


def post(*paths: str, needs: str | None) -> Callable[[Handler], PanelRoute]:
    """Declare the target of a form; `Panel.read_form` checks its CSRF token.

    If no session is needed, requests are limited by the client's network.
    """
    return lambda handler: _route(paths, POST, count_client(handler) if needs is UNAUTHENTICATED else handler, needs)


def post_preview(*paths: str, needs: str | None) -> Callable[[Handler], PanelRoute]:
    """Declare the target of a form for a preview: it changes nothing and may be requested at every keystroke."""
    return lambda handler: _route(paths, POST, handler, needs)


def _route(paths: tuple[str, ...], method: str, handler: Handler, needs: str | None) -> PanelRoute:
    async def authenticated(panel: Panel) -> Panel | Answer:
        return await authenticate(panel, needs)

    endpoint = page_endpoint(handler, request_context=request_context, authenticate=authenticated)
    return PanelRoute(method, paths, endpoint, needs)


async def authenticate(panel: Panel, needs: str | None) -> Panel | Answer:
    """The panel of the signed-in administrator, or a redirect to the sign-in pages. Raises NotAllowed."""
    if needs is UNAUTHENTICATED:
        return panel
    token = panel.cookies.session
    session = await panel.services.admins.sessions.find(token) if token else None
    if session is None:
        return panel.redirect(LOGIN, next=_requested_page(panel))
    if session.awaits_code:
        return panel.redirect(SECOND_FACTOR, next=_requested_page(panel))
    panel = panel.as_user(session.admin, session.session_id)
    if needs and not panel.can(needs):
        raise NotAllowed(needs)
    return panel


def _requested_page(panel: Panel) -> str:
    """The page to return to after sign-in; empty for a form, because its fields would be lost."""
    if panel.request.method not in ("GET", "HEAD") or (panel.path.rstrip("/") == "/admin" and not panel.query):
        return ""
    query = urlencode(panel.query)
    return f"{panel.path}?{query}" if query else panel.path


def is_own_path(path: str) -> bool:
    """Whether a `next` stays in the panel: a path of the panel that no browser interprets as another host."""
    return (path == "/admin" or path.startswith(("/admin/", "/admin?"))) and "\\" not in path and path.isprintable()


def page_error(request: Request, error: Exception) -> Answer | None:
    """The error page for browsers below /admin where no route answered, such as another method; else None."""
    if not is_own_path(request.scope["path"]) or b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    answer = answer_error(request_context(request, request.app.state.services), error)
    answer.headers = [pair for pair in answer.headers if pair[0] != b"set-cookie"]  # no session, no form needs it
    return answer
