"""Generates example responses for the OpenAPI document from their schemas, with a plausible value for each field.

Generated examples cannot become outdated. A test validates each against its schema.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_BY_NAME: Mapping[str, object] = {
    "acceptedAt": None,
    "acceptedBy": None,
    "accessToken": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
    "attempts": 1,
    "blocked": False,
    "declinedAt": None,
    "description": "Everybody who waters the trees.",
    "detail": "What happened this time.",
    "email": "ada@people.test",
    "expiresIn": 900,
    "externalId": "crm-4711",
    "firstName": "Ada",
    "generation": 1,
    "inviteEmail": "ada@people.test",
    "key": "gardeners",
    "lastName": "Löwe",
    "lastReply": "250 2.0.0 queued",
    "locale": "en",
    "message": "See you on Monday.",
    "name": "Gardeners",
    "nextCursor": None,
    "permissions": ["invitations:read"],
    "reason": None,
    "revokedAt": None,
    "void": False,
    "redirectUrl": "https://app.example.org/welcome",
    "refreshToken": "lsr_c2VjcmV0",
    "role": "team",
    "groups": ["gardeners"],
    "secret": "••••dXJl",
    "termsUrl": "https://app.example.org/terms",
    "title": "The orchard",
    "total": 1,
    "type": "invitation.created",
    "url": "https://invite.example.org/invitation?token=eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
}
_TYPE_NAMES = {bool: "boolean", int: "integer", str: "string"}
_BY_FORMAT: Mapping[str, str] = {
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "date-time": "2026-03-01T09:30:00Z",
}
_PREFERRED = ("PENDING", "SENT", "USER", "VIEWER")  # of an enumeration
_BY_TYPE: Mapping[str, object] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def make_example(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """Make a value that fits the schema. name: its field, for which there may be a preset value."""
    schema = _resolve(schema, components)
    if "enum" in schema:
        return next((choice for choice in _PREFERRED if choice in schema["enum"]), schema["enum"][0])
    preset = _BY_NAME.get(name, schema)
    if preset is not schema and _fits(preset, schema, components):
        return preset
    if "anyOf" in schema:
        variants = [_resolve(variant, components) for variant in schema["anyOf"]]
        return make_example(
            next((variant for variant in variants if variant.get("type") != "null"), variants[0]), components, name
        )
    return _make_typed_example(schema, components, name)


def _make_typed_example(schema: Schema, components: Mapping[str, Schema], name: str) -> Any:
    type_ = schema.get("type")
    if type_ == "object":
        fields = schema.get("properties", {})
        return {field: make_example(inner, components, field) for field, inner in fields.items()}
    if type_ == "array":
        return [make_example(schema.get("items", {}), components, name)]
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(type_)))


def _resolve(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _fits(value: object, schema: Schema, components: Mapping[str, Schema]) -> bool:
    variants = [_resolve(variant, components) for variant in schema.get("anyOf", [schema])]
    return any(_has_type(value, variant, components) for variant in variants)


def _has_type(value: object, schema: Schema, components: Mapping[str, Schema]) -> bool:
    type_, has_no_rules = schema.get("type"), "enum" not in schema and "format" not in schema
    if isinstance(value, list):
        items = schema.get("items", {})
        return type_ == "array" and all(_fits(item, _resolve(items, components), components) for item in value)
    if value is None:
        return type_ == "null"
    return has_no_rules and type_ == _TYPE_NAMES[type(value)]
