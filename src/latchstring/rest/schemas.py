"""JSON Schemas of what goes in and comes out, for the OpenAPI document.

What goes in is described by the kinds that check it; what comes out by msgspec, which encodes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET

from latchstring.formats.fields import MOST_ITEMS, Query, description_of, is_struct, split_annotation

Schema = dict[str, Any]
REF = "#/components/schemas/{name}"
_PLAIN: Mapping[Any, Schema] = {str: {"type": "string"}, bool: {"type": "boolean"}, int: {"type": "integer"}}


class Inputs:
    """Collects the schemas of bodies and what lies in them."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._made: dict[str, type[msgspec.Struct]] = {}

    def refer(self, struct: type[msgspec.Struct]) -> Schema:
        """A reference to the Struct's schema. Raises ValueError when two Structs have one name."""
        name = struct.__name__
        if self._made.setdefault(name, struct) is not struct:
            raise ValueError(f"{name} is the name of two schemas")
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._object(struct)
        return {"$ref": REF.format(name=name)}

    def _object(self, struct: type[msgspec.Struct]) -> Schema:
        found = list(describe_fields(struct, self))
        shape: Schema = {
            "type": "object",
            "properties": {name: schema for name, schema, _ in found},
            "additionalProperties": False,
        }
        required = [name for name, _, is_required in found if is_required]
        return shape | ({"required": required} if required else {}) | _words(struct)

    def of(self, annotation: Any) -> Schema:
        """The schema of one annotation."""
        bare, nullable, kind = split_annotation(annotation)
        schema = dict(kind.schema) if kind else self._of_type(bare)
        return _or_null(schema) if nullable else schema

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
            return {"type": "array", "items": self.of(get_args(bare)[0]), "maxItems": MOST_ITEMS}
        if get_origin(bare) is dict:
            return {"type": "object", "additionalProperties": self.of(get_args(bare)[1]), "maxProperties": MOST_ITEMS}
        raise TypeError(f"no schema describes a {bare}")


def _or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    allowed = schema | {"type": [schema["type"], "null"]}
    return allowed | {"enum": [*schema["enum"], None]} if "enum" in schema else allowed


def describe_fields(struct: type[msgspec.Struct], inputs: Inputs) -> Iterable[tuple[str, Schema, bool]]:
    """Each field's name outside, its schema, and whether it is needed."""
    hints = get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        schema = inputs.of(_sent(hints[info.name]) if issubclass(struct, Query) else hints[info.name])
        meta = description_of(hints[info.name])
        if meta is not None and meta.description:
            schema["description"] = meta.description
        if meta is not None and meta.examples:
            schema["examples"] = list(meta.examples)
        if info.default not in (NODEFAULT, UNSET, None) and issubclass(struct, Query):
            schema["default"] = info.default
        yield info.encode_name, schema, info.required


def _sent(annotation: Any) -> Any:
    """What a query parameter is when it is sent: None only says that it was not."""
    bare, _, kind = split_annotation(annotation)
    return Annotated[bare, kind] if kind else bare


def _words(struct: type[msgspec.Struct]) -> Schema:
    text = struct.__doc__
    return {"description": text.strip()} if text else {}


def describe_answers(shapes: Iterable[Any]) -> tuple[dict[int, Schema], dict[str, Schema]]:
    """The schema of each answer's type by the type's id, and the components they refer to."""
    wanted = list({id(shape): shape for shape in shapes if shape is not None}.values())
    schemas, components = msgspec.json.schema_components(wanted, ref_template=REF)
    for shape in msgspec.inspect.multi_type_info(wanted):
        _name_instants(shape, components, set())
    return {id(shape): schema for shape, schema in zip(wanted, schemas, strict=True)}, components


def _name_instants(shape: msgspec.inspect.Type, components: Mapping[str, Schema], seen: set[str]) -> None:
    """Give instants their format. msgspec leaves it out because a datetime might be naive; ours never are."""
    if isinstance(shape, msgspec.inspect.StructType) and shape.cls.__name__ not in seen:
        seen.add(shape.cls.__name__)
        properties = components.get(shape.cls.__name__, {}).get("properties", {})
        for field in shape.fields:
            if field.encode_name in properties:
                _name_instant(field.type, properties[field.encode_name])
            _name_instants(field.type, components, seen)
    for inner in _parts_of(shape):
        _name_instants(inner, components, seen)


def _parts_of(shape: msgspec.inspect.Type) -> Sequence[msgspec.inspect.Type]:
    if isinstance(shape, msgspec.inspect.UnionType):
        return shape.types
    return (shape.item_type,) if isinstance(shape, msgspec.inspect.CollectionType) else ()


def _name_instant(shape: msgspec.inspect.Type, schema: Schema) -> None:
    if any(isinstance(part, msgspec.inspect.DateTimeType) for part in (shape, *_parts_of(shape))):
        for arm in schema.get("anyOf", [schema]):
            if arm.get("type") == "string":
                arm["format"] = "date-time"


def example_of(struct: type[msgspec.Struct], inputs: Inputs) -> Any:
    """A body made of the examples of its fields: all needed ones, and the others that have one."""
    example: dict[str, Any] = {}
    for name, schema, is_required in describe_fields(struct, inputs):
        found = _example(schema)
        if found is not None or is_required:
            example[name] = _STAND_INS[schema["type"]] if found is None else found
    return example


_STAND_INS: Mapping[str, Any] = {"string": "text", "integer": 1, "array": [], "object": {}}


def _example(schema: Schema) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        item = _example(schema["items"])
        return None if item is None else [item]
    return True if schema.get("type") == "boolean" else None
