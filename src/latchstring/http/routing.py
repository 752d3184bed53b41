"""The router: exact paths in a dict, path templates in a tree of segments.

    @get("/healthz")
    async def show_health(request: Request) -> ASGIApp: …

Parameters of a template match whole segments: `{name}` or `{name:str}` is text, `{name:uuid}` is a UUID, and
`{name:path}`, only at the end, is the rest of the path with a leading slash. A literal segment takes precedence over a
parameter, without backtracking: below `/api/content/invitations/` only routes declared there can match.

Trailing and repeated slashes are ignored.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.domain.errors import LatchstringError, NotFound

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_DOUBLED_SLASHES = re.compile("//+")
_PARSERS: Mapping[str, Callable[[str], Any]] = {"str": str, "uuid": UUID, "path": str}


class MethodNotAllowed(LatchstringError):
    """The path supports other methods. allowed: the value of `Allow`."""

    code = "method-not-allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Allowed here: {allowed}.")
        self.allowed = allowed


@dataclass(frozen=True)
class Route:
    """The endpoint of one method at one or more paths. HEAD uses the route of GET."""

    method: str
    paths: tuple[str, ...]
    endpoint: Endpoint


def get(*paths: str) -> Callable[[Endpoint], Route]:
    """Declare an endpoint as the route of GET at these paths."""
    return lambda endpoint: Route("GET", paths, endpoint)


class Match(NamedTuple):
    """The endpoint of a request, the matching template, and the values of its parameters."""

    endpoint: Endpoint
    template: str
    parameters: dict[str, Any]


class _Target(NamedTuple):
    endpoint: Endpoint
    template: str  # without the types of its parameters, for the labels of metrics
    parsers: tuple[tuple[str, Callable[[str], Any]], ...]


@dataclass(slots=True)
class _Node:
    """A node of the tree of segments. targets: by method, if a template ends here."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    takes_rest: bool = False
    targets: dict[str, _Target] = field(default_factory=dict)


class Router:
    """Matches requests to routes. Raises ValueError for two routes of the same method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, _Target]] = {}
        self._tree = _Node()
        for route in routes:
            for path in route.paths:
                self._add(route, path)

    def match(self, method: str, path: str) -> Match:
        """Return the endpoint of a request. path: normalized. Raises NotFound, MethodNotAllowed."""
        targets, values = self._get_targets(path)
        target = targets.get(method)
        if target is None:
            raise MethodNotAllowed(_format_allow(targets))
        if not values:
            return Match(target.endpoint, target.template, {})
        try:
            parameters = {name: parse(value) for (name, parse), value in zip(target.parsers, values, strict=True)}
        except ValueError:
            raise _not_found() from None
        return Match(target.endpoint, target.template, parameters)

    def get_allow_header(self, path: str) -> str:
        """Return the value of `Allow` for a path. Does not parse its parameters. Raises NotFound."""
        return _format_allow(self._get_targets(path)[0])

    def _get_targets(self, path: str) -> tuple[Mapping[str, _Target], list[str]]:
        values: list[str] = []
        targets = self._exact.get(path)
        if targets is not None:
            return targets, values
        node, segments = self._tree, path.split("/")[1:]
        for index, segment in enumerate(segments):
            child = node.literals.get(segment)
            if child is None:
                child = node.parameter
                if child is None:
                    raise _not_found()
                if child.takes_rest:
                    values.append("/" + "/".join(segments[index:]))
                    return child.targets, values
                values.append(segment)
            node = child
        if not node.targets:
            raise _not_found()
        return node.targets, values

    def _add(self, route: Route, path: str) -> None:
        targets = self._make_node(path).targets if "{" in path else self._exact.setdefault(path, {})
        if route.method in targets:
            raise ValueError(f"{route.method} {path} is declared twice")
        parsers = tuple((name, _PARSERS[kind]) for name, kind in list_parameters(path))
        targets[route.method] = _Target(route.endpoint, _PARAMETER.sub(r"{\1}", path), parsers)

    def _make_node(self, path: str) -> _Node:
        node = self._tree
        for segment in path.split("/")[1:]:
            parameter = _PARAMETER.fullmatch(segment)
            if parameter is None:
                node = node.literals.setdefault(segment, _Node())
            else:
                node.parameter = node.parameter or _Node(takes_rest=parameter[2] == "path")
                node = node.parameter
        return node


def list_parameters(path: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a template as (name, type)."""
    return ((name, kind or "str") for name, kind in _PARAMETER.findall(path))


def normalize_path(path: str) -> str:
    """Normalize a path: with a leading slash, and without trailing or repeated slashes."""
    path = "/" + path.strip("/")
    return _DOUBLED_SLASHES.sub("/", path) if "//" in path else path


def _format_allow(targets: Iterable[str]) -> str:
    """Format the methods for `Allow`: sorted, with OPTIONS, and with HEAD if GET is among them."""
    methods = {*targets, "OPTIONS"}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _not_found() -> NotFound:
    return NotFound("There is nothing under this address.")
