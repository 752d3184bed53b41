"""One route of the API: declared once, refused in one order, documented from the same words.

    @operation(
        "POST", "/api/groups", "Make a group", tag="Groups",
        permission="groups:write", answers={201: GroupView}, problems=[GroupKeyTaken],
    )
    async def create_group(services: Services, caller: Caller, body: NewGroup) -> Answer:
        \"\"\"More words for the OpenAPI document.\"\"\"

The handler is handed what its parameters name:

    request   Starlette's Request             query        a Query, read from the query string (its annotation)
    services  Services                        body         a Body, read and checked (its annotation)
    caller    Caller, as `access` wants it    reading      Reading[Body]: values and problems, when rules remain
    upload    UploadedRows, an array or a spreadsheet's text, still to be read (formats/uploads.py)
    idempotency  Idempotency; naming it makes the route take the header
    and every {parameter} of the path, parsed as the path says (`{invitation_id:uuid}`)

Refusals come in this order: rate, unreadable query, body or header (413, 415, 400), credential (401), terms and
permission (403), fields (422), then what the handler itself finds (404, 409, …).

What a handler names is looked up in one dict, which costs about 2 microseconds a request.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args, get_origin

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Scope

from latchstring.domain.errors import LatchstringError
from latchstring.domain.idempotency import Claim
from latchstring.formats.fields import Reading, collect, refuse_unknown
from latchstring.http.authentication import ANONYMOUS, Caller, RouteAccess, identify
from latchstring.http.body import read_object, read_upload
from latchstring.http.client_address import client_network
from latchstring.http.problems import problem_answer
from latchstring.http.responses import Answer
from latchstring.http.routing import Route, parameters_of
from latchstring.rest.idempotency import Idempotency, make_claim, read_key
from latchstring.rest.query import read_query
from latchstring.services import Services

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[..., Awaitable[Answer]]
_OFFERED = {"request", "services", "caller", "body", "reading", "query", "idempotency", "upload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is declared of one route. `rest/openapi.py` shows all of it."""

    method: Method
    path: str
    name: str
    summary: str
    description: str
    tag: str
    answers: Mapping[int, Any]
    problems: tuple[type[LatchstringError] | str, ...]
    permission: str | None
    access: RouteAccess
    terms_exempt: bool
    rechecks_key: bool
    rate_limited: bool
    body: type[msgspec.Struct] | None
    body_optional: bool
    upload_of: type[msgspec.Struct] | None
    downloads: bool
    query: type[msgspec.Struct] | None
    takes_idempotency_key: bool
    sets_location: bool
    sets_cookies: bool
    sets_etag: bool
    takes_if_match: bool
    path_parameters: tuple[tuple[str, str], ...]

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class ApiRoute(Route):
    """A route of the API, with its declaration."""

    operation: Operation


def operation(
    method: Method,
    path: str,
    summary: str,
    *,
    tag: str,
    answers: Mapping[int, Any],
    problems: Sequence[type[LatchstringError] | str] = (),
    permission: str | None = None,
    access: RouteAccess = RouteAccess.REQUIRED,
    terms_exempt: bool = False,
    rechecks_key: bool = False,
    rate_limited: bool = False,
    body_optional: bool = False,
    upload_of: type[msgspec.Struct] | None = None,
    downloads: bool = False,
    sets_location: bool = False,
    sets_cookies: bool = False,
    sets_etag: bool = False,
    takes_if_match: bool = False,
) -> Callable[[Handler], ApiRoute]:
    """Make a handler function a route.

    answers: the schema of each success; None without a body, a tuple where it may be several. problems: what this
    route refuses beyond what every route may. permission: one the caller must have; None leaves it to the handler.
    rate_limited: count the client's network, for routes that strangers may call. rechecks_key: the route's own
    statement checks an API key again, so reading it first may be saved. body_optional: no body counts as `{}`.
    upload_of: what each row of an upload may be, for the document; the handler reads the rows. downloads: with
    `Accept: text/csv` the answer is a spreadsheet.
    """

    def declare(handler: Handler) -> ApiRoute:
        parameters = inspect.get_annotations(handler, eval_str=True)
        parameters.pop("return", None)
        declared = Operation(
            method=method,
            path=path,
            name=handler.__name__,
            summary=summary,
            description=inspect.getdoc(handler) or "",
            tag=tag,
            answers=answers,
            problems=tuple(problems),
            permission=permission,
            access=access,
            terms_exempt=terms_exempt or access is RouteAccess.LENIENT,
            rechecks_key=rechecks_key,
            rate_limited=rate_limited,
            body=_body_of(parameters),
            body_optional=body_optional,
            upload_of=upload_of,
            downloads=downloads,
            query=parameters.get("query"),
            takes_idempotency_key="idempotency" in parameters,
            sets_location=sets_location,
            sets_cookies=sets_cookies,
            sets_etag=sets_etag,
            takes_if_match=takes_if_match,
            path_parameters=tuple(parameters_of(path)),
        )
        return _make_route(declared, handler, frozenset(parameters))

    return declare


def _body_of(parameters: Mapping[str, Any]) -> type[msgspec.Struct] | None:
    annotation: Any = parameters.get("body", parameters.get("reading"))
    return get_args(annotation)[0] if get_origin(annotation) is Reading else annotation  # type: ignore[no-any-return]


def _make_route(declared: Operation, handler: Handler, wanted: frozenset[str]) -> ApiRoute:
    in_path = {name for name, _ in declared.path_parameters}
    unknown = wanted - _OFFERED - in_path
    if unknown or in_path - wanted:
        raise TypeError(
            f"{handler.__name__}: nothing fills {sorted(unknown)}, or {sorted(in_path - wanted)} is not taken"
        )

    async def endpoint(request: Request) -> ASGIApp:
        try:
            arguments = await _prepare(declared, request, wanted)
            return await handler(**arguments)
        except LatchstringError as error:
            return problem_answer(error, request.scope)

    return ApiRoute(declared.method, (declared.path,), endpoint, declared)


async def _prepare(declared: Operation, request: Request, wanted: frozenset[str]) -> dict[str, Any]:
    """Everything the handler wants, or the first refusal in the contract's order."""
    scope = request.scope
    services: Services = scope["app"].state.services
    if declared.rate_limited:
        services.limiter.check_client(client_network(scope, services.limits))
    offered: dict[str, Any] = {"request": request, "services": services, **scope["path_params"]}
    offered["query"] = read_query(scope, declared.query)
    key = read_key(scope, is_taken=declared.takes_idempotency_key)
    if "upload" in wanted:
        offered["upload"] = read_upload(scope, request.receive)
    raw = await _read_body(declared, request)
    caller = offered["caller"] = await _admit(declared, scope, services)
    if raw is not None and declared.body is not None:
        reading = offered["reading"] = collect(raw, declared.body)
        if "body" in wanted:
            offered["body"] = reading.finish()
    if declared.takes_idempotency_key:
        claim = partial(_claim, declared, scope, services, caller, key)
        # the rows of an upload are not known before they have been read
        offered["idempotency"] = Idempotency(services, None if "upload" in wanted else claim(raw), claim)
    return {name: offered[name] for name in wanted}


def _claim(  # noqa: PLR0917  # all that a claim is about
    declared: Operation, scope: Scope, services: Services, caller: Caller, key: str | None, raw: object
) -> Claim | None:
    """The claim of the header. Anonymous callers have nothing to come back to."""
    if key is None or caller.principal is None:
        return None
    return make_claim(scope, services, caller.principal, key=key, route=declared.route, raw=raw)


async def _read_body(declared: Operation, request: Request) -> dict[str, Any] | None:
    if declared.body is None:
        return None
    raw = await read_object(request.scope, request.receive, may_be_absent=declared.body_optional)
    refuse_unknown(raw, declared.body)
    return raw


async def _admit(declared: Operation, scope: Scope, services: Services) -> Caller:
    if declared.access is RouteAccess.PUBLIC:
        return ANONYMOUS
    caller = await identify(
        scope, services, declared.access, terms_exempt=declared.terms_exempt, rechecks_key=declared.rechecks_key
    )
    if declared.permission is not None:
        caller.require(declared.permission)
    return caller
