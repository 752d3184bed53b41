"""How an address becomes a page: GET and HEAD show, POST acts, and every refusal is a page, too."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import Request, Response
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from latchstring.domain.errors import LatchstringError, TooManyRequests
from latchstring.invitee.page import Page, open_page, recognise
from latchstring.web.answers import Answer
from latchstring.web.problems import describe_problem, log_unexpected
from latchstring.web.scope import find_header, request_id
from latchstring.web.services import Services

Handler = Callable[[Page], Awaitable[Answer]]
INTERNAL_ERROR = 500


def shows(*paths: str) -> Callable[[Handler], HTTPRouteHandler]:
    """A page at these addresses, for HEAD as well. It must change nothing: mail scanners open it, too."""
    return lambda handler: _route(paths, [HttpMethod.GET], handler)


def acts(*paths: str) -> Callable[[Handler], HTTPRouteHandler]:
    """What a form of ours is sent to. The network it comes from is counted."""

    def declare(handler: Handler) -> HTTPRouteHandler:
        async def counted(page: Page) -> Answer:
            page.services.limiter.check_client(page.request.scope)
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
    problem = describe_problem(error)
    if problem.status == INTERNAL_ERROR and not isinstance(error, LatchstringError):
        log_unexpected(error, page.request.scope)
    waiting = error.retry_after_seconds if isinstance(error, TooManyRequests) else 0
    answer = page.show(
        "refusal.html",
        status=problem.status,
        code=problem.code,
        retry_after=waiting,
        request_id=str(request_id(page.request.scope)) if problem.status >= INTERNAL_ERROR else "",
    )
    if "Retry-After" in problem.headers:
        answer.headers.append((b"retry-after", problem.headers["Retry-After"].encode()))
    return answer


def page_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any] | None:
    """The same for addresses that no page of ours has, for people; programs that ask for JSON get their problem."""
    if b"text/html" not in (find_header(request.scope, b"accept") or b""):
        return None
    answer = refuse(open_page(request, request.scope["litestar_app"].state.services), error)
    headers = {name.decode(): value.decode() for name, value in answer.headers if name != b"content-type"}
    return Response(answer.body, status_code=answer.status, media_type=MediaType.HTML, headers=headers)
