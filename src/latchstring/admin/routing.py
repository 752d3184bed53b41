"""How an address becomes a page of the panel: who is not signed in goes to the gate, who may not is told so."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.admin.context import Panel, open_panel
from latchstring.domain.errors import NotAllowed
from latchstring.http.responses import Answer
from latchstring.http.routing import Route
from latchstring.http.scope import find_header
from latchstring.pages.errors import answer_refusal
from latchstring.services import Services

Handler = Callable[[Panel], Awaitable[Answer]]
LOGIN = "/admin/login"
SECOND_FACTOR = "/admin/login/code"
GATE = None  # needs=GATE: for people who have not signed in
ANYBODY = ""  # needs=ANYBODY: every administrator, whatever his role


@dataclass(frozen=True)
class PanelRoute(Route):
    """A route of the panel. needs: the permission it takes, ANYBODY or GATE."""

    needs: str | None


def shows(*paths: str, needs: str | None) -> Callable[[Handler], PanelRoute]:
    """A page at these addresses, for HEAD as well. It changes nothing.

    needs: the permission it takes, ANYBODY or GATE.
    """
    return lambda handler: _route(paths, "GET", handler, needs)


def acts(*paths: str, needs: str | None) -> Callable[[Handler], PanelRoute]:
    """What a form of ours is sent to; `Panel.read` checks the form's token. At the gate the network is counted."""

    def declare(handler: Handler) -> PanelRoute:
        async def counted(panel: Panel) -> Answer:
            if needs is GATE:
                panel.services.limiter.check_client(panel.client_network)
            return await handler(panel)

        return _route(paths, "POST", counted, needs)

    return declare


def looks(*paths: str, needs: str | None) -> Callable[[Handler], PanelRoute]:
    """What a form is sent to only to be shown as it would come out: changes nothing, and may be asked at each key."""
    return lambda handler: _route(paths, "POST", handler, needs)


def _route(paths: Sequence[str], method: str, handler: Handler, needs: str | None) -> PanelRoute:
    async def endpoint(request: Request) -> ASGIApp:
        services: Services = request.app.state.services
        panel = open_panel(request, services)
        try:
            panel, elsewhere = await _recognise(panel, needs)
            return elsewhere or await handler(panel)
        except Exception as error:  # noqa: BLE001  # the outermost handler of pages: a bug of ours is a page as well
            return refuse(panel, error)

    return PanelRoute(method, tuple(paths), endpoint, needs)


async def _recognise(panel: Panel, needs: str | None) -> tuple[Panel, Answer | None]:
    """The page as whoever is signed in sees it, or where he has to go first."""
    if needs is GATE:
        return panel, None
    token = panel.cookies.session
    visit = await panel.services.admins.find_admin_session(token) if token else None
    if visit is None:
        return panel, panel.go(LOGIN, next=_wanted(panel))
    if visit.awaits_code:
        return panel, panel.go(SECOND_FACTOR, next=_wanted(panel))
    panel = panel.seen_by(visit.admin, visit.session_id)
    if needs and not panel.can(needs):
        raise NotAllowed(needs)
    return panel, None


def _wanted(panel: Panel) -> str:
    """Where to go on after signing in; a form that was sent is gone, the page it stood on is near."""
    if panel.request.method not in ("GET", "HEAD") or (panel.path.rstrip("/") == "/admin" and not panel.query):
        return ""
    query = urlencode(panel.query)
    return f"{panel.path}?{query}" if query else panel.path


def is_own_path(path: str) -> bool:
    """Whether a `next` stays in the panel: one of our paths, nothing a browser could take for another host."""
    return (path == "/admin" or path.startswith(("/admin/", "/admin?"))) and "\\" not in path and path.isprintable()


def refuse(panel: Panel, error: Exception) -> Answer:
    """The page of a refusal that no handler has words of its own for."""
    return answer_refusal(error, panel.request.scope, panel.show)


def page_error(request: Request, error: Exception) -> Answer | None:
    """The same for what no route of ours answered, such as another method; None for other paths, and for programs."""
    if not is_own_path(request.scope["path"]) or b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    answer = refuse(open_panel(request, request.app.state.services), error)
    answer.headers = [pair for pair in answer.headers if pair[0] != b"set-cookie"]
    return answer
