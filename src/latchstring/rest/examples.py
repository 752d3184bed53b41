"""Example answers for the OpenAPI document, made from their schemas: one plausible value for each field.

They are made, not written, so that they cannot fall behind the shapes they show; a test holds each against its schema.
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
_KINDS = {bool: "boolean", int: "integer", str: "string"}
_BY_FORMAT: Mapping[str, str] = {
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "date-time": "2026-03-01T09:30:00Z",
}
_PREFERRED = ("PENDING", "SENT", "USER", "VIEWER")  # of an enumeration
_BY_TYPE: Mapping[str, object] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def make_example(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """A value that fits the schema. name: the field it is for, which often says more than its type."""
    schema = _followed(schema, components)
    if "enum" in schema:
        return next((choice for choice in _PREFERRED if choice in schema["enum"]), schema["enum"][0])
    wished = _BY_NAME.get(name, schema)
    if wished is not schema and _fits(wished, schema, components):
        return wished
    if "anyOf" in schema:
        arms = [_followed(arm, components) for arm in schema["anyOf"]]
        return make_example(next((arm for arm in arms if arm.get("type") != "null"), arms[0]), components, name)
    return _of_type(schema, components, name)


def _of_type(schema: Schema, components: Mapping[str, Schema], name: str) -> Any:
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        return {field: make_example(inner, components, field) for field, inner in fields.items()}
    if kind == "array":
        return [make_example(schema.get("items", {}), components, name)]
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(kind)))


def _followed(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _fits(value: object, schema: Schema, components: Mapping[str, Schema]) -> bool:
    arms = [_followed(arm, components) for arm in schema.get("anyOf", [schema])]
    return any(_is_of(value, arm, components) for arm in arms)


def _is_of(value: object, schema: Schema, components: Mapping[str, Schema]) -> bool:
    kind, is_free = schema.get("type"), "enum" not in schema and "format" not in schema
    if isinstance(value, list):
        items = schema.get("items", {})
        return kind == "array" and all(_fits(item, _followed(items, components), components) for item in value)
    if value is None:
        return kind == "null"
    return is_free and kind == _KINDS[type(value)]
