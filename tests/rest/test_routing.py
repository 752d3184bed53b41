"""Which route a path finds: exact before template, literal before parameter, and never a way back."""

from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request

from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer
from latchstring.http.routing import Endpoint, MethodNotAllowed, Route, Router, normalize_path

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def endpoint(name: str) -> Endpoint:
    async def answer(_: Request) -> Answer:
        return Answer(200)

    answer.__name__ = name
    return answer


def router(*routes: str) -> Router:
    """Routes as `GET /path`; the endpoint has the route as its name."""
    pairs = [route.split(" ") for route in routes]
    return Router([Route(method, (path,), endpoint(path)) for method, path in pairs])


ROUTER = router(
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
def test_a_path_finds_its_route(path: str, declared: str, parameters: dict[str, Any]) -> None:
    match = ROUTER.find("GET", path)
    assert (match.endpoint.__name__, match.parameters) == (declared, parameters)


def test_methods_of_one_path_may_read_its_parameter_differently() -> None:
    assert ROUTER.find("PATCH", f"/things/{ID}").parameters == {"thing_id": UUID(ID)}
    assert ROUTER.find("GET", f"/things/{ID}").parameters == {"key": ID}
    with pytest.raises(NotFound):
        ROUTER.find("PATCH", "/things/x")


def test_metrics_are_told_the_template_without_types() -> None:
    assert ROUTER.find("GET", "/things/a/parts/b").template == "/things/{key}/parts/{part}"


@pytest.mark.parametrize("path", ["/thing", "/THINGS", "/things/a/b", "/things/a/parts", "/rest", "/things/odd/x/y"])
def test_any_other_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        ROUTER.find("GET", path)


def test_below_a_literal_segment_there_is_no_way_back_to_a_parameter() -> None:
    with pytest.raises(NotFound):
        ROUTER.find("GET", "/things/odd")
    with pytest.raises(NotFound):
        ROUTER.find("GET", "/things/odd/parts/b")
    with pytest.raises(MethodNotAllowed):
        ROUTER.find("GET", f"/things/odd/{ID}")


def test_another_method_is_told_which_work() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.find("PUT", "/things")
    assert caught.value.allowed == ROUTER.list_allowed("/things") == "GET, HEAD, OPTIONS, POST"
    assert ROUTER.list_allowed("/things/odd/x") == "DELETE, OPTIONS"


@pytest.mark.parametrize(
    ("path", "normalized"),
    [("", "/"), ("/", "/"), ("//", "/"), ("/a/", "/a"), ("//a///b//", "/a/b"), ("a", "/a"), ("/a/./..", "/a/./..")],
)
def test_slashes_at_the_end_and_doubled_ones_do_not_count(path: str, normalized: str) -> None:
    assert normalize_path(path) == normalized


@pytest.mark.parametrize("path", ["/things", "/things/{key}"])
def test_two_routes_of_one_method_and_path_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        router(f"GET {path}", f"GET {path}")


def test_a_parameter_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeyError):
        router("GET /things/{number:float}")
