"""The OpenAPI document is complete, and a running server behaves as it describes."""

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


EXAMPLES = 200 if FULL else 25
OPERATIONS = list_operations(routes)
DOCUMENT = build_document(OPERATIONS, App(), version="1.2.3")


def list_described(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


ROUTES = [f"{method.upper()} {path}" for path, method, _ in list_described(DOCUMENT)]


@pytest.fixture
def operations() -> list[Operation]:
    return OPERATIONS


@pytest.fixture
def document() -> dict[str, Any]:
    return DOCUMENT


def test_paths_begin_with_api_and_declare_their_parameters(document: dict[str, Any]) -> None:
    for path, _, operation in list_described(document):
        assert path.startswith("/api/")
        names = {p["name"] for p in operation["parameters"] if p.get("in") == "path"}
        assert names == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_the_document_has_every_required_operation(document: dict[str, Any]) -> None:
    documented = {f"{method.upper()} {path}" for path, method, _ in list_described(document)}
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
    } <= documented


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in list_described(document)]
    assert len(set(ids)) == len(ids)


def test_every_operation_lists_its_errors(document: dict[str, Any]) -> None:
    for path, _, operation in list_described(document):
        statuses = set(operation["responses"])
        assert {"400", "500", "503"} <= statuses, path
        assert ("requestBody" in operation) == ("422" in statuses or "415" in statuses), path
        if {"bearer": []} in operation["security"] and {} not in operation["security"]:
            assert {"401", "403"} <= statuses, path


def test_only_known_error_codes_are_declared(operations: list[Operation]) -> None:
    for operation in operations:
        assert all(problem in PROBLEMS for problem in operation.problems if isinstance(problem, str)), operation.route


def test_idempotency_keys_are_supported_on_posts_that_create(operations: list[Operation]) -> None:
    assert {operation.route for operation in operations if operation.takes_idempotency_key} == {
        "POST /api/invitations",
        "POST /api/invitations/bulk",
        "POST /api/invitations/{invitation_id:uuid}/resend",
        "POST /api/users",
        "POST /api/groups",
        "POST /api/content/{content_type}",
        "POST /api/content/{content_type}/invitations/{key}",
    }


def test_invalid_credentials_are_ignored_only_on_these_routes(operations: list[Operation]) -> None:
    lenient = {
        operation.route for operation in operations if operation.access in (RouteAccess.LENIENT, RouteAccess.PUBLIC)
    }
    allowed = (
        "POST /api/auth/",
        "POST /api/invitations/",
        "POST /api/content/{content_type}/invitations/",
        "GET /api/.well-known/",
    )
    assert all(route.startswith(allowed) for route in lenient)
    assert {f"POST /api/invitations/{verb}" for verb in ("lookup", "accept", "decline", "request-new")} <= lenient


def test_routes_for_anonymous_callers_are_rate_limited(operations: list[Operation]) -> None:
    """Logout is exempt, and invitations to content, which limit anonymous callers themselves."""
    anonymous = [
        operation
        for operation in operations
        if operation.access in (RouteAccess.LENIENT, RouteAccess.PUBLIC) and operation.method != "GET"
    ]
    unlimited = {operation.route for operation in anonymous if not operation.rate_limited}
    assert unlimited <= {"POST /api/auth/logout", "POST /api/content/{content_type}/invitations/{key}"}


def test_examples_are_valid_by_their_schemas(document: dict[str, Any]) -> None:
    for _, _, operation in list_described(document):
        answers = [answer.get("content", {}).get("application/json") for answer in operation["responses"].values()]
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        for content in [*bodies, *filter(None, answers)]:
            schema = {**content["schema"], "components": document["components"]}
            jsonschema.validate(content["example"], schema, cls=jsonschema.Draft202012Validator)


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A server for this module only, because generated requests leave arbitrary data behind."""
    folder = tmp_path_factory.mktemp("openapi")
    with open_installation(folder, f"sqlite+aiosqlite:///{folder}/latchstring.db") as installation:
        yield installation


@pytest.fixture(scope="module")
def api(running_server: Installation) -> Any:
    url = f"http://127.0.0.1:{running_server.port}"
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    schema.config.update(base_url=url)
    return schema


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("route", ROUTES)
def test_a_running_server_behaves_as_documented(
    api: Any, running_server: Installation, route: str, mode: GenerationMode
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
        case.call_and_validate(headers={"Authorization": f"Bearer {running_server.key}"}, checks=CHECKS)

    check()
