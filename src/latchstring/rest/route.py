"""Declares routes of the API. One declaration serves routing, validation and the OpenAPI document.

    @operation(
        "POST", "/api/groups", "Create a group", tag="Groups",
        permission="groups:write", answers={201: GroupView}, problems=[GroupKeyTaken],
    )
    async def create_group(services: Services, caller: Caller, body: NewGroup) -> Answer:
        \"\"\"The description for the OpenAPI document.\"\"\"

A handler may have these parameters, which are injected by name:

    request      Starlette's Request
    services     Services
    caller       Caller, authenticated as `access` requires
    query        a Query, parsed from the query string (by its annotation)
    body         a Body, parsed and validated (by its annotation)
    reading      Reading[Body]: values and problems, if the handler has more rules
    upload       UploadedRows, a JSON array or CSV, to be read by the handler (formats/uploads.py)
    idempotency  Idempotency; with this parameter the route supports the header
    and every {parameter} of the path, parsed by its type (`{invitation_id:uuid}`)

Errors are checked in this order: rate limit (429), malformed query, body or header (413, 415, 400), credential (401),
terms and permission (403), fields (422), then the errors of the handler (404, 409, …).

The injection takes about 2 microseconds per request.
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
from latchstring.http.authentication import ANONYMOUS, Caller, RouteAccess, authenticate
from latchstring.http.body import read_object, read_upload
from latchstring.http.client_address import client_network
from latchstring.http.problems import problem_answer
from latchstring.http.responses import Answer
from latchstring.http.routing import Route, list_parameters
from latchstring.rest.idempotency import Idempotency, make_claim, read_key
from latchstring.rest.query import read_query
from latchstring.services import Services

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[..., Awaitable[Answer]]
_PROVIDED = {"request", "services", "caller", "body", "reading", "query", "idempotency", "upload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The declaration of a route. `rest/openapi.py` publishes all of it."""

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
    """A route of the API with its declaration."""

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
    """Declare a handler function as a route.

    answers: the type of the body by status; None without a body, a tuple for several types.
    problems: the errors of this route besides those that every route may have.
    permission: required of the caller; None leaves the check to the handler.
    rate_limited: limit requests by the network of the client, for routes that allow anonymous callers.
    rechecks_key: a statement of the handler checks the API key again, so a cached result is sufficient at first.
    body_optional: a missing body is read as `{}`.
    upload_of: the type of each row of an upload, for the document; the handler reads the rows.
    downloads: with `Accept: text/csv` the response is CSV.
    """

    def declare(handler: Handler) -> ApiRoute:
        parameters = inspect.get_annotations(handler, eval_str=True)
        parameters.pop("return", None)
        declaration = Operation(
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
            body=_find_body(parameters),
            body_optional=body_optional,
            upload_of=upload_of,
            downloads=downloads,
            query=parameters.get("query"),
            takes_idempotency_key="idempotency" in parameters,
            sets_location=sets_location,
            sets_cookies=sets_cookies,
            sets_etag=sets_etag,
            takes_if_match=takes_if_match,
            path_parameters=tuple(list_parameters(path)),
        )
        return _make_route(declaration, handler, frozenset(parameters))

    return declare


def _find_body(parameters: Mapping[str, Any]) -> type[msgspec.Struct] | None:
    annotation: Any = parameters.get("body", parameters.get("reading"))
    return get_args(annotation)[0] if get_origin(annotation) is Reading else annotation  # type: ignore[no-any-return]


def _make_route(declaration: Operation, handler: Handler, parameters: frozenset[str]) -> ApiRoute:
    path_names = {name for name, _ in declaration.path_parameters}
    unknown = parameters - _PROVIDED - path_names
    if unknown or path_names - parameters:
        raise TypeError(
            f"{handler.__name__}: unknown parameters {sorted(unknown)}, or missing {sorted(path_names - parameters)}"
        )

    async def endpoint(request: Request) -> ASGIApp:
        try:
            arguments = await _prepare_arguments(declaration, request, parameters)
            return await handler(**arguments)
        except LatchstringError as error:
            return problem_answer(error, request.scope)

    return ApiRoute(declaration.method, (declaration.path,), endpoint, declaration)


async def _prepare_arguments(declaration: Operation, request: Request, parameters: frozenset[str]) -> dict[str, Any]:
    """Prepare the arguments of the handler. Raises the first error in the order of this module's docstring."""
    scope = request.scope
    services: Services = scope["app"].state.services
    if declaration.rate_limited:
        services.check_client(client_network(scope, services.limits))
    arguments: dict[str, Any] = {"request": request, "services": services, **scope["path_params"]}
    arguments["query"] = read_query(scope, declaration.query)
    key = read_key(scope, is_supported=declaration.takes_idempotency_key)
    if "upload" in parameters:
        arguments["upload"] = read_upload(scope, request.receive)
    raw = await _read_body(declaration, request)
    caller = arguments["caller"] = await _authorize(declaration, scope, services)
    if raw is not None and declaration.body is not None:
        reading = arguments["reading"] = collect(raw, declaration.body)
        if "body" in parameters:
            arguments["body"] = reading.finish()
    if declaration.takes_idempotency_key:
        claim = partial(_make_claim, declaration, scope, services, caller, key)
        # The claim of an upload depends on its rows, which the handler reads later.
        arguments["idempotency"] = Idempotency(services, None if "upload" in parameters else claim(raw), claim)
    return {name: arguments[name] for name in parameters}


def _make_claim(  # noqa: PLR0917  # called through a partial
    declaration: Operation, scope: Scope, services: Services, caller: Caller, key: str | None, raw: object
) -> Claim | None:
    """Make the claim of the header. Keys belong to a principal, so anonymous callers have none."""
    if key is None or caller.principal is None:
        return None
    return make_claim(scope, services, caller.principal, key=key, route=declaration.route, raw=raw)


async def _read_body(declaration: Operation, request: Request) -> dict[str, Any] | None:
    if declaration.body is None:
        return None
    raw = await read_object(request.scope, request.receive, is_optional=declaration.body_optional)
    refuse_unknown(raw, declaration.body)
    return raw


async def _authorize(declaration: Operation, scope: Scope, services: Services) -> Caller:
    if declaration.access is RouteAccess.PUBLIC:
        return ANONYMOUS
    caller = await authenticate(
        scope,
        services,
        declaration.access,
        terms_exempt=declaration.terms_exempt,
        rechecks_key=declaration.rechecks_key,
    )
    if declaration.permission is not None:
        caller.require(declaration.permission)
    return caller
