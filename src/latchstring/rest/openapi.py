"""The OpenAPI 3.1 document, made from what the routes declare: what is documented is what is checked and encoded."""

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
from latchstring.rest.schemas import Inputs, Schema, describe_answers, describe_fields, example_of

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
_ANYWHERE = ("internal-error", "storage-busy", "storage-unreachable")
_WITH_BODY = ("unreadable", "body-missing", "duplicate-key", "nested-too-deep", "unknown-field")
_TITLES = {
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
    """What the routes of the API declare, by path and method."""
    declared = (route.operation for route in routes if isinstance(route, ApiRoute))
    return sorted(declared, key=lambda operation: (operation.path, operation.method))


def build_document(operations: Iterable[Operation], app: App, *, version: str) -> Schema:
    """The whole document."""
    declared = list(operations)
    inputs = Inputs()
    answers, shown = describe_answers(
        shape for one in declared for either in one.answers.values() for shape in _shapes_of(either)
    )
    paths = {
        _outside(path): {one.method.lower(): _describe(one, inputs, answers, shown) for one in several}
        for path, several in groupby(declared, key=lambda one: one.path)
    }
    both = inputs.components.keys() & shown.keys()
    if both:
        raise ValueError(f"{sorted(both)} name both a body and an answer")
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
        "tags": [{"name": tag} for tag in sorted({one.tag for one in declared})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**inputs.components, **shown, **_PROBLEM_SCHEMAS}.items())),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _outside(path: str) -> str:
    """A path as clients write it, its parameters in camelCase without their types."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: f"{{{to_camel_case(found[1])}}}", path)


def _describe(one: Operation, inputs: Inputs, answers: Mapping[int, Schema], shown: Mapping[str, Schema]) -> Schema:
    described: Schema = {
        "operationId": to_camel_case(one.name),
        "summary": one.summary,
        "tags": [one.tag],
        "parameters": list(_parameters(one, inputs)),
        "responses": {**_successes(one, answers, shown), **_refusals(one)},
        "security": _security(one.access),
    }
    words = [one.description, f"Needs the permission `{one.permission}`." if one.permission else ""]
    if any(words):
        described["description"] = "\n\n".join(word for word in words if word)
    if one.permission:
        described["x-permission"] = one.permission
    if one.body is not None:
        content = {"schema": inputs.refer(one.body), "example": example_of(one.body, inputs)}
        described["requestBody"] = {"required": not one.body_optional, "content": {"application/json": content}}
    if one.upload_of is not None:
        described["requestBody"] = {"required": True, "content": _upload_content(one.upload_of, inputs)}
    return described


def _upload_content(row: type[msgspec.Struct], inputs: Inputs) -> Schema:
    """An array, or a spreadsheet's text. Rows are judged one by one, so the array takes anything."""
    example = example_of(row, inputs)
    shape = {"anyOf": [inputs.refer(row), {"description": "Any other value is a refused row."}]}
    names = [name for name, value in example.items() if isinstance(value, str)]
    lines = [",".join(names), ",".join(str(example[name]) for name in names), ""]
    return {
        "application/json": {"schema": {"type": "array", "minItems": 1, "items": shape}, "example": [example]},
        "text/csv": {"schema": {"type": "string"}, "example": "\r\n".join(lines)},
    }


def _parameters(one: Operation, inputs: Inputs) -> Iterator[Schema]:
    for name, kind in one.path_parameters:
        yield {"name": to_camel_case(name), "in": "path", "required": True, "schema": _PARAMETER_SCHEMAS[kind]}
    if one.query is not None:
        for name, schema, is_required in describe_fields(one.query, inputs):
            parameter: Schema = {"name": name, "in": "query", "required": is_required, "schema": schema}
            description = schema.pop("description", None)
            yield parameter | ({"description": description} if description else {})
    yield {"$ref": "#/components/parameters/locale"}
    if one.takes_idempotency_key:
        yield {"$ref": "#/components/parameters/idempotencyKey"}
    if one.takes_if_match:
        yield {"$ref": "#/components/parameters/ifMatch"}


def _shapes_of(shape: Any) -> tuple[Any, ...]:
    """The shapes one answer may have: a tuple names several."""
    return shape if isinstance(shape, tuple) else (shape,)


def _successes(one: Operation, answers: Mapping[int, Schema], shown: Mapping[str, Schema]) -> Schema:
    found: Schema = {}
    for status, shape in one.answers.items():
        answer: Schema = {"description": _TITLES.get(status, "OK."), "headers": dict(_header_refs("requestId"))}
        if one.sets_location and status in {201, 202}:
            answer["headers"] |= _header_refs("location")
        if one.sets_cookies:
            answer["headers"] |= _header_refs("setCookie")
        if one.sets_etag:
            answer["headers"] |= _header_refs("etag")
        if shape is not None:
            schemas = [answers[id(one_of)] for one_of in _shapes_of(shape)]
            schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            answer["content"] = {"application/json": {"schema": schema, "example": make_example(schemas[0], shown)}}
            if one.downloads:
                answer["content"]["text/csv"] = {"schema": {"type": "string"}}
        found[str(status)] = answer
    return found


def _header_refs(*keys: str) -> Schema:
    return {_HEADER_NAMES[key]: {"$ref": f"#/components/headers/{key}"} for key in keys}


def _refusals(one: Operation) -> Schema:
    codes = sorted(refusal_codes(one), key=lambda pair: (pair[1].status, pair[0]))
    found: Schema = {}
    for status, pairs in groupby(codes, key=lambda pair: pair[1].status):
        named = {code: kind.title for code, kind in pairs}
        found[str(status)] = {
            "description": " · ".join(f"`{code}`: {title}" for code, title in named.items()),
            "headers": _header_refs("requestId", *_EXTRA_HEADERS.get(status, ())),
            "content": {MEDIA_TYPE: {"schema": _problem_schema(status, sorted(named))}},
        }
    return found


def _problem_schema(status: int, codes: list[str]) -> Schema:
    name = "FieldsProblem" if status == 422 else "Problem"  # noqa: PLR2004
    narrowed = {"properties": {"code": {"enum": codes}, "status": {"const": status}}}
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}, narrowed]}


def refusal_codes(one: Operation) -> set[tuple[str, ProblemType]]:
    """Every code this route may answer, with its row."""
    codes = {*_ANYWHERE, "invalid-query"}
    kinds: set[tuple[str, ProblemType]] = set()
    if one.body is not None or one.upload_of is not None:
        codes |= {*_WITH_BODY, "body-too-large", "unsupported-media-type", "invalid-fields"}
    if one.access in (RouteAccess.REQUIRED, RouteAccess.OPTIONAL):
        codes |= {"credential-invalid", "csrf-token-invalid"}
    if one.access is RouteAccess.REQUIRED:
        codes |= {"unauthenticated", "not-allowed"}
    if one.access in (RouteAccess.REQUIRED, RouteAccess.OPTIONAL) and not one.terms_exempt:
        kinds.add((errors.TermsOutdated.code, problem_type(errors.TermsOutdated)))
    if one.path_parameters:
        codes.add("not-found")
    if one.rate_limited:
        codes.add("too-many-requests")
    if one.method == "POST":
        codes.add("idempotency-key-invalid" if one.takes_idempotency_key else "idempotency-key-refused")
    if one.takes_idempotency_key:
        codes |= {"idempotency-key-reused", "idempotency-running"}
    if one.query is not None and "cursor" in one.query.__struct_fields__:
        codes.add("invalid-cursor")
    kinds |= {(_code_of(problem), _row_of(problem)) for problem in one.problems}
    return kinds | {(code, PROBLEMS[code]) for code in codes}


def _code_of(problem: type[LatchstringError] | str) -> str:
    return problem if isinstance(problem, str) else problem.code


def _row_of(problem: type[LatchstringError] | str) -> ProblemType:
    return PROBLEMS[problem] if isinstance(problem, str) else problem_type(problem)


def _security(access: RouteAccess) -> list[Schema]:
    known: list[Schema] = [{"bearer": []}, {"cookie": [], "csrf": []}]
    return {
        RouteAccess.REQUIRED: known,
        RouteAccess.OPTIONAL: [{}, *known],
        RouteAccess.LENIENT: [{}, *known],
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
_PROBLEM_SCHEMAS: dict[str, Schema] = {
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
