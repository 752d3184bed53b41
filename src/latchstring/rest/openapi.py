"""Builds the OpenAPI 3.1 document from the declarations of the routes, which also validate and encode."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from latchstring.domain import errors
from latchstring.domain.errors import LatchstringError
from latchstring.domain.keys import KEY_PATTERN
from latchstring.domain.language_tag import MAX_LANGUAGE_TAG_LENGTH
from latchstring.domain.settings import App
from latchstring.formats.camel_case import to_camel_case
from latchstring.formats.field_types import LOCALE_PATTERN
from latchstring.http.authentication import RouteAccess
from latchstring.http.problems import MEDIA_TYPE, PROBLEMS, ProblemType, problem_type
from latchstring.http.routing import Route
from latchstring.rest.examples import make_example
from latchstring.rest.route import ApiRoute, Operation
from latchstring.rest.schemas import InputSchemas, Schema, describe_answers, describe_fields, make_body_example

DESCRIPTION = """\
Invite people by e-mail and grant them exactly the rights you chose.

* Send `Authorization: Bearer <access token or API key>`. A browser may use the cookie `access_token` instead; unsafe
  methods then need the header `X-CSRF-Token` with the value of the cookie `csrf_token`.
* Errors are `application/problem+json` (RFC 9457). Decide by `code`; every code has a page under `/problems/`.
* Unknown fields and query parameters are rejected with 400, never ignored. Field errors are reported together with 422.
* Lists accept `limit` and `cursor` and return `items`, `nextCursor` and `total` (null above 10 000).
* POSTs that create accept an `Idempotency-Key`: the same key and body return the same response for 24 hours.
* Timestamps are RFC 3339 in UTC, durations ISO 8601, ids UUIDv7.
"""
_COMMON_CODES = ("internal-error", "storage-busy", "storage-unreachable")
_BODY_CODES = ("unreadable", "body-missing", "duplicate-key", "nested-too-deep", "unknown-field")
_DESCRIPTIONS = {
    200: "OK.",
    201: "Created.",
    202: "Accepted; processing continues later.",
    204: "Done, without a body.",
}
_PARAMETER_SCHEMAS: Mapping[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "str": {"type": "string", "pattern": KEY_PATTERN},
    "int": {"type": "integer"},
}


def list_operations(routes: Iterable[Route]) -> list[Operation]:
    """List the operations of all API routes, ordered by path and method."""
    declared = (route.operation for route in routes if isinstance(route, ApiRoute))
    return sorted(declared, key=lambda operation: (operation.path, operation.method))


def build_document(operations: Iterable[Operation], app: App, *, version: str) -> Schema:
    """Build the whole document."""
    all_operations = list(operations)
    input_schemas = InputSchemas()
    answers, view_schemas = describe_answers(
        shape for operation in all_operations for answer in operation.answers.values() for shape in _list_shapes(answer)
    )
    paths = {
        _format_path(path): {
            operation.method.lower(): _describe_operation(operation, input_schemas, answers, view_schemas)
            for operation in group
        }
        for path, group in groupby(all_operations, key=lambda operation: operation.path)
    }
    duplicates = input_schemas.components.keys() & view_schemas.keys()
    if duplicates:
        raise ValueError(f"a body and a view have the same name: {sorted(duplicates)}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Latchstring",
            "version": version,
            "summary": f"Invitations for {app.name}.",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": app.public_url}],
        "tags": [{"name": tag} for tag in sorted({operation.tag for operation in all_operations})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**input_schemas.components, **view_schemas, **_PROBLEM_COMPONENTS}.items())),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _format_path(path: str) -> str:
    """Format a path template for the document: parameters in camelCase, without types."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: f"{{{to_camel_case(match[1])}}}", path)


def _describe_operation(
    operation: Operation, inputs: InputSchemas, answers: Mapping[int, Schema], view_schemas: Mapping[str, Schema]
) -> Schema:
    described: Schema = {
        "operationId": to_camel_case(operation.name),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": list(_parameters(operation, inputs)),
        "responses": {**_describe_answers(operation, answers, view_schemas), **_describe_errors(operation)},
        "security": _security(operation.access),
    }
    paragraphs = [
        operation.description,
        f"Needs the permission `{operation.permission}`." if operation.permission else "",
    ]
    if any(paragraphs):
        described["description"] = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    if operation.permission:
        described["x-permission"] = operation.permission
    if operation.body is not None:
        content = {"schema": inputs.refer(operation.body), "example": make_body_example(operation.body, inputs)}
        described["requestBody"] = {"required": not operation.body_optional, "content": {"application/json": content}}
    if operation.upload_of is not None:
        described["requestBody"] = {"required": True, "content": _upload_content(operation.upload_of, inputs)}
    return described


def _upload_content(row: type[msgspec.Struct], inputs: InputSchemas) -> Schema:
    """Describe an upload: a JSON array or CSV. Rows are validated one by one, so the array may contain anything."""
    example = make_body_example(row, inputs)
    shape = {"anyOf": [inputs.refer(row), {"description": "Any other value is a refused row."}]}
    names = [name for name, value in example.items() if isinstance(value, str)]
    lines = [",".join(names), ",".join(str(example[name]) for name in names), ""]
    return {
        "application/json": {"schema": {"type": "array", "minItems": 1, "items": shape}, "example": [example]},
        "text/csv": {"schema": {"type": "string"}, "example": "\r\n".join(lines)},
    }


def _parameters(operation: Operation, inputs: InputSchemas) -> Iterator[Schema]:
    for name, kind in operation.path_parameters:
        yield {"name": to_camel_case(name), "in": "path", "required": True, "schema": _PARAMETER_SCHEMAS[kind]}
    if operation.query is not None:
        for name, schema, is_required in describe_fields(operation.query, inputs):
            parameter: Schema = {"name": name, "in": "query", "required": is_required, "schema": schema}
            description = schema.pop("description", None)
            yield parameter | ({"description": description} if description else {})
    yield {"$ref": "#/components/parameters/locale"}
    if operation.takes_idempotency_key:
        yield {"$ref": "#/components/parameters/idempotencyKey"}
    if operation.takes_if_match:
        yield {"$ref": "#/components/parameters/ifMatch"}


def _list_shapes(shape: Any) -> tuple[Any, ...]:
    """List the types of an answer, which is declared as one type or a tuple of several."""
    return shape if isinstance(shape, tuple) else (shape,)


def _describe_answers(
    operation: Operation, answers: Mapping[int, Schema], view_schemas: Mapping[str, Schema]
) -> Schema:
    responses: Schema = {}
    for status, shape in operation.answers.items():
        answer: Schema = {"description": _DESCRIPTIONS.get(status, "OK."), "headers": dict(_header_refs("requestId"))}
        if operation.sets_location and status in {201, 202}:
            answer["headers"] |= _header_refs("location")
        if operation.sets_cookies:
            answer["headers"] |= _header_refs("setCookie")
        if operation.sets_etag:
            answer["headers"] |= _header_refs("etag")
        if shape is not None:
            schemas = [answers[id(variant)] for variant in _list_shapes(shape)]
            schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            answer["content"] = {
                "application/json": {"schema": schema, "example": make_example(schemas[0], view_schemas)}
            }
            if operation.downloads:
                answer["content"]["text/csv"] = {"schema": {"type": "string"}}
        responses[str(status)] = answer
    return responses


def _header_refs(*keys: str) -> Schema:
    return {_HEADER_NAMES[key]: {"$ref": f"#/components/headers/{key}"} for key in keys}


def _describe_errors(operation: Operation) -> Schema:
    codes = sorted(list_error_codes(operation), key=lambda pair: (pair[1].status, pair[0]))
    responses: Schema = {}
    for status, pairs in groupby(codes, key=lambda pair: pair[1].status):
        titles = {code: problem_type.title for code, problem_type in pairs}
        responses[str(status)] = {
            "description": " · ".join(f"`{code}`: {title}" for code, title in titles.items()),
            "headers": _header_refs("requestId", *_EXTRA_HEADERS.get(status, ())),
            "content": {MEDIA_TYPE: {"schema": _problem_schema(status, sorted(titles))}},
        }
    return responses


def _problem_schema(status: int, codes: list[str]) -> Schema:
    name = "FieldsProblem" if status == 422 else "Problem"  # noqa: PLR2004
    narrowed = {"properties": {"code": {"enum": codes}, "status": {"const": status}}}
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}, narrowed]}


def list_error_codes(operation: Operation) -> set[tuple[str, ProblemType]]:
    """List every error code of this route with its status and title."""
    codes = {*_COMMON_CODES, "invalid-query"}
    entries: set[tuple[str, ProblemType]] = set()
    if operation.body is not None or operation.upload_of is not None:
        codes |= {*_BODY_CODES, "body-too-large", "unsupported-media-type", "invalid-fields"}
    if operation.access in (RouteAccess.REQUIRED, RouteAccess.OPTIONAL):
        codes |= {"credential-invalid", "csrf-token-invalid"}
    if operation.access is RouteAccess.REQUIRED:
        codes |= {"unauthenticated", "not-allowed"}
    if operation.access in (RouteAccess.REQUIRED, RouteAccess.OPTIONAL) and not operation.terms_exempt:
        entries.add((errors.TermsOutdated.code, problem_type(errors.TermsOutdated)))
    if operation.path_parameters:
        codes.add("not-found")
    if operation.rate_limited:
        codes.add("too-many-requests")
    if operation.method == "POST":
        codes.add("idempotency-key-invalid" if operation.takes_idempotency_key else "idempotency-key-refused")
    if operation.takes_idempotency_key:
        codes |= {"idempotency-key-reused", "idempotency-running"}
    if operation.query is not None and "cursor" in operation.query.__struct_fields__:
        codes.add("invalid-cursor")
    entries |= {(_error_code(problem), _problem_type(problem)) for problem in operation.problems}
    return entries | {(code, PROBLEMS[code]) for code in codes}


def _error_code(problem: type[LatchstringError] | str) -> str:
    return problem if isinstance(problem, str) else problem.code


def _problem_type(problem: type[LatchstringError] | str) -> ProblemType:
    return PROBLEMS[problem] if isinstance(problem, str) else problem_type(problem)


def _security(access: RouteAccess) -> list[Schema]:
    credentials: list[Schema] = [{"bearer": []}, {"cookie": [], "csrf": []}]
    return {
        RouteAccess.REQUIRED: credentials,
        RouteAccess.OPTIONAL: [{}, *credentials],
        RouteAccess.LENIENT: [{}, *credentials],
        RouteAccess.PUBLIC: [],
    }[access]


_SECURITY_SCHEMES: Schema = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key (`lsk_…`)."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "access_token", "description": "The session of a browser."},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The value of the cookie `csrf_token`; for unsafe methods with a cookie.",
    },
}
_PARAMETERS: Schema = {
    "locale": {
        "name": "locale",
        "in": "query",
        "description": "Language of names and mails. Overrides the language of the user and `Accept-Language`.",
        "schema": {
            "type": "string",
            "maxLength": MAX_LANGUAGE_TAG_LENGTH,
            "pattern": LOCALE_PATTERN,
            "examples": ["de"],
        },
    },
    "idempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Repeating the request with the same key returns the same response for 24 hours.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "examples": ["order-4711-attempt"]},
    },
    "ifMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "Entity tags of the expected versions, or `*`. Other versions are not changed.",
        "schema": {"type": "string", "examples": ['"3-9f1c2a7b"']},
    },
}
_HEADER_NAMES = {
    "requestId": "X-Request-Id",
    "location": "Location",
    "setCookie": "Set-Cookie",
    "etag": "ETag",
    "retryAfter": "Retry-After",
    "challenge": "WWW-Authenticate",
}
_HEADERS: Schema = {
    "requestId": {"description": "The id of this request, as in the log.", "schema": {"type": "string"}},
    "location": {
        "description": "The path of the new resource.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "setCookie": {"description": "The session cookies of a browser.", "schema": {"type": "string"}},
    "etag": {"description": "The version of the object, for `If-Match`.", "schema": {"type": "string"}},
    "retryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "challenge": {"description": "How to authenticate.", "schema": {"type": "string"}},
}
_EXTRA_HEADERS = {401: ("challenge",), 429: ("retryAfter",), 503: ("retryAfter",)}
_PROBLEM_COMPONENTS: dict[str, Schema] = {
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "instance", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "examples": ["/problems/invitation-expired"]},
            "title": {"type": "string", "description": "The title of the problem type."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "A sentence about this occurrence."},
            "instance": {"type": "string", "format": "uri", "description": "The id of the request."},
            "code": {"type": "string", "description": "A stable code for programs."},
        },
    },
    "FieldProblem": {
        "type": "object",
        "required": ["pointer", "code", "detail"],
        "properties": {
            "pointer": {"type": "string", "format": "json-pointer", "examples": ["/groups/2"]},
            "code": {"type": "string"},
            "detail": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "FieldsProblem": {
        "description": "All invalid fields.",
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {"errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldProblem"}}},
    },
}
