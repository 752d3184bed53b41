"""Which route answers a request: exact paths in one dict, templates in a tree of their segments.

    @get("/healthz")
    async def show_health(request: Request) -> ASGIApp: …

A template has parameters for whole segments: `{name}` or `{name:str}` is text, `{name:uuid}` a UUID, and `{name:path}`,
only at the end, all that is left, with a slash in front. A literal segment is preferred to a parameter, and there is no
way back: below `/api/content/invitations/` nothing is found but what is declared there.

Slashes at the end and doubled ones do not count.
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
    """The path takes other methods. allowed: the value of `Allow`."""

    code = "method-not-allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Allowed here: {allowed}.")
        self.allowed = allowed


@dataclass(frozen=True)
class Route:
    """What answers one method at one or more paths. HEAD is answered by the route of GET."""

    method: str
    paths: tuple[str, ...]
    endpoint: Endpoint


def get(*paths: str) -> Callable[[Endpoint], Route]:
    """Make an endpoint the route that answers GET at these paths."""
    return lambda endpoint: Route("GET", paths, endpoint)


class Match(NamedTuple):
    """The endpoint of a request, the template it was found by, and the values of its parameters."""

    endpoint: Endpoint
    template: str
    parameters: dict[str, Any]


class _Target(NamedTuple):
    endpoint: Endpoint
    template: str  # without the types of its parameters: what metrics are labelled with
    parsers: tuple[tuple[str, Callable[[str], Any]], ...]


@dataclass(slots=True)
class _Node:
    """The place in the tree that some leading segments lead to. targets: by method, where a template ends."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    takes_rest: bool = False
    targets: dict[str, _Target] = field(default_factory=dict)


class Router:
    """Finds the route of a request. Raises ValueError for two routes of one method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, _Target]] = {}
        self._tree = _Node()
        for route in routes:
            for path in route.paths:
                self._add(route, path)

    def find(self, method: str, path: str) -> Match:
        """What answers. path: normalized. Raises NotFound, MethodNotAllowed."""
        targets, values = self._find_targets(path)
        target = targets.get(method)
        if target is None:
            raise MethodNotAllowed(_format_allow(targets))
        if not values:
            return Match(target.endpoint, target.template, {})
        try:
            parameters = {name: parse(value) for (name, parse), value in zip(target.parsers, values, strict=True)}
        except ValueError:
            raise _nothing_here() from None
        return Match(target.endpoint, target.template, parameters)

    def list_allowed(self, path: str) -> str:
        """The value of `Allow` for the path, whatever its parameters are. Raises NotFound."""
        return _format_allow(self._find_targets(path)[0])

    def _find_targets(self, path: str) -> tuple[Mapping[str, _Target], list[str]]:
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
                    raise _nothing_here()
                if child.takes_rest:
                    values.append("/" + "/".join(segments[index:]))
                    return child.targets, values
                values.append(segment)
            node = child
        if not node.targets:
            raise _nothing_here()
        return node.targets, values

    def _add(self, route: Route, path: str) -> None:
        targets = self._make_node(path).targets if "{" in path else self._exact.setdefault(path, {})
        if route.method in targets:
            raise ValueError(f"{route.method} {path} is declared twice")
        parsers = tuple((name, _PARSERS[kind]) for name, kind in parameters_of(path))
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


def parameters_of(path: str) -> Iterator[tuple[str, str]]:
    """The parameters of a template as (name, type)."""
    return ((name, kind or "str") for name, kind in _PARAMETER.findall(path))


def normalize_path(path: str) -> str:
    """The path as routes are declared: one slash in front, none at the end, none doubled."""
    path = "/" + path.strip("/")
    return _DOUBLED_SLASHES.sub("/", path) if "//" in path else path


def _format_allow(targets: Iterable[str]) -> str:
    """Sorted, with OPTIONS everywhere, and HEAD wherever GET is."""
    methods = {*targets, "OPTIONS"}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _nothing_here() -> NotFound:
    return NotFound("There is nothing under this address.")
