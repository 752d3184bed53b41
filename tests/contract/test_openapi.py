"""The OpenAPI document is complete and true: what it says of shapes and statuses is what a running server does."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.support.clock import FULL
from tests.support.installation import Installation, open_installation

from latchstring.api.routes import routes
from latchstring.domain.settings import App
from latchstring.http.authentication import RouteAccess
from latchstring.http.problems import PROBLEMS
from latchstring.rest.openapi import build_document, list_operations
from latchstring.rest.route import Operation

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
    ignored_auth,
]


def _never() -> Any:
    raise AssertionError("nothing is opened to describe the API")


EXAMPLES = 200 if FULL else 25
OPERATIONS = list_operations(routes)
DOCUMENT = build_document(OPERATIONS, App(), version="1.2.3")


def described(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield path, method, one


ROUTES = [f"{method.upper()} {path}" for path, method, _ in described(DOCUMENT)]


@pytest.fixture
def operations() -> list[Operation]:
    return OPERATIONS


@pytest.fixture
def document() -> dict[str, Any]:
    return DOCUMENT


def test_paths_begin_with_api_and_name_their_parameters(document: dict[str, Any]) -> None:
    for path, _, one in described(document):
        assert path.startswith("/api/")
        named = {p["name"] for p in one["parameters"] if p.get("in") == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_call_of_the_contract_is_there(document: dict[str, Any]) -> None:
    there = {f"{method.upper()} {path}" for path, method, _ in described(document)}
    assert {
        "POST /api/invitations",
        "GET /api/invitations",
        "GET /api/invitations/{invitationId}",
        "GET /api/invitations/{invitationId}/events",
        "POST /api/invitations/{invitationId}/resend",
        "POST /api/invitations/{invitationId}/link",
        "DELETE /api/invitations/{invitationId}",
        "POST /api/invitations/bulk",
        "GET /api/jobs/{jobId}",
        "GET /api/jobs/{jobId}/report",
        "DELETE /api/jobs/{jobId}",
        "POST /api/invitations/lookup",
        "POST /api/invitations/accept",
        "POST /api/invitations/decline",
        "POST /api/invitations/request-new",
        "POST /api/auth/login",
        "POST /api/auth/refresh",
        "POST /api/auth/logout",
        "POST /api/auth/password/reset-request",
        "POST /api/auth/password/reset",
        "POST /api/auth/email/verify-request",
        "POST /api/auth/email/verify",
        "GET /api/users/me",
        "PATCH /api/users/me",
        "GET /api/users",
        "POST /api/users",
        "GET /api/users/{userId}",
        "PATCH /api/users/{userId}",
        "DELETE /api/users/{userId}",
        "GET /api/roles",
        "GET /api/groups",
        "POST /api/groups",
        "GET /api/groups/{key}",
        "PUT /api/groups/{key}",
        "DELETE /api/groups/{key}",
        "GET /api/groups/{key}/members",
        "POST /api/groups/{key}/members/{userId}",
        "DELETE /api/groups/{key}/members/{userId}",
        "GET /api/api-keys",
        "POST /api/api-keys",
    } <= there


def test_operations_are_told_apart(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for _, _, one in described(document)]
    assert len(set(ids)) == len(ids)


def test_every_operation_names_its_refusals(document: dict[str, Any]) -> None:
    for path, _, one in described(document):
        statuses = set(one["responses"])
        assert {"400", "500", "503"} <= statuses, path
        assert ("requestBody" in one) == ("422" in statuses or "415" in statuses), path
        if {"bearer": []} in one["security"] and {} not in one["security"]:
            assert {"401", "403"} <= statuses, path


def test_only_known_codes_are_named(operations: list[Operation]) -> None:
    for one in operations:
        assert all(problem in PROBLEMS for problem in one.problems if isinstance(problem, str)), one.route


def test_keys_are_taken_on_posts_that_create_and_nowhere_else(operations: list[Operation]) -> None:
    assert {one.route for one in operations if one.takes_idempotency_key} == {
        "POST /api/invitations",
        "POST /api/invitations/bulk",
        "POST /api/invitations/{invitation_id:uuid}/resend",
        "POST /api/users",
        "POST /api/groups",
        "POST /api/content/{content_type}",
        "POST /api/content/{content_type}/invitations/{key}",
    }


def test_bad_credentials_are_ignored_where_the_contract_says_so_and_nowhere_else(operations: list[Operation]) -> None:
    ignoring = {one.route for one in operations if one.access in (RouteAccess.LENIENT, RouteAccess.PUBLIC)}
    allowed = (
        "POST /api/auth/",
        "POST /api/invitations/",
        "POST /api/content/{content_type}/invitations/",
        "GET /api/.well-known/",
    )
    assert all(route.startswith(allowed) for route in ignoring)
    assert {f"POST /api/invitations/{verb}" for verb in ("lookup", "accept", "decline", "request-new")} <= ignoring


def test_strangers_are_counted_on_every_route_that_takes_them(operations: list[Operation]) -> None:
    """Content is open to strangers only as far as reading; its invitations count those who come with a link."""
    open_to_all = [
        one for one in operations if one.access in (RouteAccess.LENIENT, RouteAccess.PUBLIC) and one.method != "GET"
    ]
    uncounted = {one.route for one in open_to_all if not one.rate_limited}
    assert uncounted <= {"POST /api/auth/logout", "POST /api/content/{content_type}/invitations/{key}"}


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    for _, _, one in described(document):
        answers = [answer.get("content", {}).get("application/json") for answer in one["responses"].values()]
        bodies = one.get("requestBody", {}).get("content", {}).values()
        for content in [*bodies, *filter(None, answers)]:
            schema = {**content["schema"], "components": document["components"]}
            jsonschema.validate(content["example"], schema, cls=jsonschema.Draft202012Validator)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A server of its own: what strange requests leave behind is nobody else's."""
    folder = tmp_path_factory.mktemp("openapi")
    with open_installation(folder, f"sqlite+aiosqlite:///{folder}/latchstring.db") as installation:
        yield installation


@pytest.fixture(scope="module")
def api(running: Installation) -> Any:
    url = f"http://127.0.0.1:{running.port}"
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    schema.config.update(base_url=url)
    return schema


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("route", ROUTES)
def test_a_running_server_does_what_the_document_says(
    api: Any, running: Installation, route: str, mode: GenerationMode
) -> None:
    method, path = route.split()
    operation = api[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=200 if FULL else 25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {running.key}"}, checks=CHECKS)

    check()
