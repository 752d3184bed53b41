"""JSON Schemas of requests and responses for the OpenAPI document.

Requests are described by the types that validate them, responses by msgspec, which encodes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET

from latchstring.formats.fields import MAX_ITEMS, Query, find_meta, is_struct, split_annotation

Schema = dict[str, Any]
REF = "#/components/schemas/{name}"
_PLAIN: Mapping[Any, Schema] = {str: {"type": "string"}, bool: {"type": "boolean"}, int: {"type": "integer"}}


class InputSchemas:
    """Collects the schemas of bodies and their nested Structs."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._structs: dict[str, type[msgspec.Struct]] = {}

    def refer(self, struct: type[msgspec.Struct]) -> Schema:
        """Return a reference to the schema of a Struct. Raises ValueError if two Structs have the same name."""
        name = struct.__name__
        if self._structs.setdefault(name, struct) is not struct:
            raise ValueError(f"two schemas have the name {name}")
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._object(struct)
        return {"$ref": REF.format(name=name)}

    def _object(self, struct: type[msgspec.Struct]) -> Schema:
        fields = list(describe_fields(struct, self))
        shape: Schema = {
            "type": "object",
            "properties": {name: schema for name, schema, _ in fields},
            "additionalProperties": False,
        }
        required = [name for name, _, is_required in fields if is_required]
        return shape | ({"required": required} if required else {}) | _describe_struct(struct)

    def describe(self, annotation: Any) -> Schema:
        """Return the schema of an annotation. Raises TypeError if there is none."""
        bare, nullable, kind = split_annotation(annotation)
        schema = dict(kind.schema) if kind else self._of_type(bare)
        return _make_nullable(schema) if nullable else schema

    def _of_type(self, bare: Any) -> Schema:
        if bare in _PLAIN:
            return dict(_PLAIN[bare])
        if is_struct(bare):
            return self.refer(bare)
        if get_origin(bare) is Literal:
            return {"type": "string", "enum": [str(choice) for choice in get_args(bare)]}
        if isinstance(bare, type) and issubclass(bare, Enum):
            return {"type": "string", "enum": [member.name for member in bare]}
        if get_origin(bare) is tuple:
            return {"type": "array", "items": self.describe(get_args(bare)[0]), "maxItems": MAX_ITEMS}
        if get_origin(bare) is dict:
            return {
                "type": "object",
                "additionalProperties": self.describe(get_args(bare)[1]),
                "maxProperties": MAX_ITEMS,
            }
        raise TypeError(f"no schema for the type {bare}")


def _make_nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    allowed = schema | {"type": [schema["type"], "null"]}
    return allowed | {"enum": [*schema["enum"], None]} if "enum" in schema else allowed


def describe_fields(struct: type[msgspec.Struct], inputs: InputSchemas) -> Iterable[tuple[str, Schema, bool]]:
    """Yield the JSON name of each field, its schema, and whether it is required."""
    hints = get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        schema = inputs.describe(_without_null(hints[info.name]) if issubclass(struct, Query) else hints[info.name])
        meta = find_meta(hints[info.name])
        if meta is not None and meta.description:
            schema["description"] = meta.description
        if meta is not None and meta.examples:
            schema["examples"] = list(meta.examples)
        if info.default not in (NODEFAULT, UNSET, None) and issubclass(struct, Query):
            schema["default"] = info.default
        yield info.encode_name, schema, info.required


def _without_null(annotation: Any) -> Any:
    """Remove None from the type of a query parameter, where it only means that the parameter is missing."""
    bare, _, kind = split_annotation(annotation)
    return Annotated[bare, kind] if kind else bare


def _describe_struct(struct: type[msgspec.Struct]) -> Schema:
    text = struct.__doc__
    return {"description": text.strip()} if text else {}


def describe_answers(shapes: Iterable[Any]) -> tuple[dict[int, Schema], dict[str, Schema]]:
    """Return the schema of each response type by `id(type)`, and the components they refer to."""
    types = list({id(shape): shape for shape in shapes if shape is not None}.values())
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    for shape in msgspec.inspect.multi_type_info(types):
        _add_date_time_formats(shape, components, set())
    return {id(shape): schema for shape, schema in zip(types, schemas, strict=True)}, components


def _add_date_time_formats(shape: msgspec.inspect.Type, components: Mapping[str, Schema], visited: set[str]) -> None:
    """Add the format of instants. msgspec omits it because a datetime may be naive, which ours never are."""
    if isinstance(shape, msgspec.inspect.StructType) and shape.cls.__name__ not in visited:
        visited.add(shape.cls.__name__)
        properties = components.get(shape.cls.__name__, {}).get("properties", {})
        for field in shape.fields:
            if field.encode_name in properties:
                _add_date_time_format(field.type, properties[field.encode_name])
            _add_date_time_formats(field.type, components, visited)
    for inner in _list_inner(shape):
        _add_date_time_formats(inner, components, visited)


def _list_inner(shape: msgspec.inspect.Type) -> Sequence[msgspec.inspect.Type]:
    if isinstance(shape, msgspec.inspect.UnionType):
        return shape.types
    return (shape.item_type,) if isinstance(shape, msgspec.inspect.CollectionType) else ()


def _add_date_time_format(shape: msgspec.inspect.Type, schema: Schema) -> None:
    if any(isinstance(type_, msgspec.inspect.DateTimeType) for type_ in (shape, *_list_inner(shape))):
        for variant in schema.get("anyOf", [schema]):
            if variant.get("type") == "string":
                variant["format"] = "date-time"


def make_body_example(struct: type[msgspec.Struct], inputs: InputSchemas) -> Any:
    """Make an example body of all required fields, and of the optional ones that have an example."""
    example: dict[str, Any] = {}
    for name, schema, is_required in describe_fields(struct, inputs):
        value = _find_example(schema)
        if value is not None or is_required:
            example[name] = _PLACEHOLDERS[schema["type"]] if value is None else value
    return example


_PLACEHOLDERS: Mapping[str, Any] = {"string": "text", "integer": 1, "array": [], "object": {}}


def _find_example(schema: Schema) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        item = _find_example(schema["items"])
        return None if item is None else [item]
    return True if schema.get("type") == "boolean" else None
