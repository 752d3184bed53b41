"""The router prefers exact paths to templates and literals to parameters, without backtracking."""

from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request

from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer
from latchstring.http.routing import Endpoint, MethodNotAllowed, Route, Router, normalize_path

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def make_endpoint(name: str) -> Endpoint:
    async def answer(_: Request) -> Answer:
        return Answer(200)

    answer.__name__ = name
    return answer


def make_router(*routes: str) -> Router:
    """Make a router of routes given as `GET /path`. The name of each endpoint is its path."""
    pairs = [route.split(" ") for route in routes]
    return Router([Route(method, (path,), make_endpoint(path)) for method, path in pairs])


ROUTER = make_router(
    "GET /",
    "GET /things",
    "POST /things",
    "GET /things/new",
    "GET /things/{key}",
    "PATCH /things/{thing_id:uuid}",
    "GET /things/{key}/parts/{part:str}",
    "DELETE /things/odd/{odd_id:uuid}",
    "GET /rest/{rest:path}",
)


@pytest.mark.parametrize(
    ("path", "declared", "parameters"),
    [
        ("/", "/", {}),
        ("/things", "/things", {}),
        ("/things/new", "/things/new", {}),
        ("/things/newer", "/things/{key}", {"key": "newer"}),
        ("/things/a b", "/things/{key}", {"key": "a b"}),
        ("/things/a/parts/b", "/things/{key}/parts/{part:str}", {"key": "a", "part": "b"}),
        ("/rest/of/it", "/rest/{rest:path}", {"rest": "/of/it"}),
    ],
)
def test_a_path_matches_its_route(path: str, declared: str, parameters: dict[str, Any]) -> None:
    match = ROUTER.match("GET", path)
    assert (match.endpoint.__name__, match.parameters) == (declared, parameters)


def test_methods_of_a_path_may_have_different_parameter_types() -> None:
    assert ROUTER.match("PATCH", f"/things/{ID}").parameters == {"thing_id": UUID(ID)}
    assert ROUTER.match("GET", f"/things/{ID}").parameters == {"key": ID}
    with pytest.raises(NotFound):
        ROUTER.match("PATCH", "/things/x")


def test_the_matched_template_has_no_parameter_types() -> None:
    assert ROUTER.match("GET", "/things/a/parts/b").template == "/things/{key}/parts/{part}"


@pytest.mark.parametrize("path", ["/thing", "/THINGS", "/things/a/b", "/things/a/parts", "/rest", "/things/odd/x/y"])
def test_any_other_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        ROUTER.match("GET", path)


def test_matching_does_not_backtrack_from_a_literal_segment() -> None:
    with pytest.raises(NotFound):
        ROUTER.match("GET", "/things/odd")
    with pytest.raises(NotFound):
        ROUTER.match("GET", "/things/odd/parts/b")
    with pytest.raises(MethodNotAllowed):
        ROUTER.match("GET", f"/things/odd/{ID}")


def test_another_method_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.match("PUT", "/things")
    assert caught.value.allowed == ROUTER.get_allow_header("/things") == "GET, HEAD, OPTIONS, POST"
    assert ROUTER.get_allow_header("/things/odd/x") == "DELETE, OPTIONS"


@pytest.mark.parametrize(
    ("path", "normalized"),
    [("", "/"), ("/", "/"), ("//", "/"), ("/a/", "/a"), ("//a///b//", "/a/b"), ("a", "/a"), ("/a/./..", "/a/./..")],
)
def test_trailing_and_repeated_slashes_are_ignored(path: str, normalized: str) -> None:
    assert normalize_path(path) == normalized


@pytest.mark.parametrize("path", ["/things", "/things/{key}"])
def test_duplicate_routes_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        make_router(f"GET {path}", f"GET {path}")


def test_a_parameter_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeyError):
        make_router("GET /things/{number:float}")
