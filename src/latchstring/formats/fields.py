"""Parses and validates requests. One Struct declares the fields for parsing, validation and the OpenAPI document.

    class NewGroup(Body):
        \"\"\"A group to create.\"\"\"
        key: Key
        name: Line
        description: Message | None = None

In a PATCH, `name: Line | UnsetType = UNSET` distinguishes a missing field from a value; `| None` allows null.

msgspec stops at the first problem and does not know our rules. This module reads each field itself and collects all
problems. A field without a type of `field_types.py` may be a nested Struct, `tuple[X, ...]`, `dict[str, X]`, an Enum, a
Literal, `bool`, `str` (any text) or `int`.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.formats.field_types import Kind, ValueRefused, read_boolean, read_text

T = TypeVar("T", bound=msgspec.Struct)
MAX_ITEMS = 1000
MAX_INTEGER = 2**53 - 1  # the largest that all JSON parsers represent exactly, RFC 8259 section 6


class Body(msgspec.Struct, rename="camel", kw_only=True):
    """A request body. `collect` reads its fields; `refuse_unknown` refuses others."""


class Query(msgspec.Struct, rename="camel", kw_only=True):
    """Query parameters. Their values are text, from which numbers and booleans are parsed."""


class _Invalid:
    """The type of the marker for invalid values, whose problems have been collected."""


_INVALID = _Invalid()
Reader = Callable[[object, str, list[FieldProblem]], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its Python name, its name in JSON, and its parser."""

    name: str
    encoded_name: str
    required: bool
    read: Reader


@dataclass(frozen=True, slots=True)
class StructFields:
    """The fields of a Struct, and its nested Structs by field name, to find unknown fields before validation."""

    fields: tuple[Field, ...]
    encoded_names: frozenset[str]
    nested: Mapping[str, "NestedStruct"]


@dataclass(frozen=True, slots=True)
class NestedStruct:
    """A Struct that is the value of a field, each item of its array, or each value of its map."""

    struct: type[msgspec.Struct]
    container: Literal["itself", "items", "values"]


class Reading(Generic[T]):
    """A parsed body: the valid values by field name, and all problems. For rules about several fields."""

    def __init__(self, struct: type[T], values: dict[str, Any], problems: list[FieldProblem]) -> None:
        self._struct = struct
        self.values = values
        self.problems = problems

    def get(self, name: str) -> Any:
        """Return the value, or None if it is invalid or missing."""
        return self.values.get(name)

    def finish(self) -> T:
        """Build the Struct. Raises InvalidFields with all problems, including those added to `problems`."""
        if self.problems:
            raise InvalidFields(self.problems)
        return self._struct(**self.values)


def collect(raw: Mapping[str, object], struct: type[T]) -> Reading[T]:
    """Read every field of an object and collect all problems. Ignores unknown fields."""
    problems: list[FieldProblem] = []
    return Reading(struct, _read_into(raw, struct, "", problems), problems)


def refuse_unknown(raw: Mapping[str, object], struct: type[msgspec.Struct], pointer: str = "") -> None:
    """Raise Unreadable with code `unknown-field` for the first undeclared field at any depth."""
    described = describe_struct(struct)
    for name in raw:
        if name not in described.encoded_names:
            raise Unreadable(f"There is no field {escape(f'{pointer}/{_escape_token(name)}')}.", code="unknown-field")
    for name, inner in described.nested.items():
        value = raw.get(name)
        for location, nested_value in _list_nested(value, inner.container):
            if isinstance(nested_value, dict):
                refuse_unknown(nested_value, inner.struct, f"{pointer}/{name}{location}")


def _list_nested(value: object, container: str) -> list[tuple[str, object]]:
    if container == "items":
        return [(f"/{i}", item) for i, item in enumerate(value)] if isinstance(value, list) else []
    if container == "values":
        return [(f"/{_escape_token(k)}", item) for k, item in value.items()] if isinstance(value, dict) else []
    return [("", value)]


def escape(text: str) -> str:
    """Make text of a client safe to repeat in a message: short, and without control characters."""
    clean = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return clean if len(clean) <= 200 else clean[:199] + "…"  # noqa: PLR2004


def _escape_token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")  # RFC 6901 section 3


@cache
def describe_struct(struct: type[msgspec.Struct]) -> StructFields:
    """Describe the fields of a Struct; cached. Raises TypeError for a field of an unsupported type."""
    hints = get_type_hints(struct, include_extras=True)
    fields, nested = [], {}
    for info in msgspec.structs.fields(struct):
        annotation = hints[info.name]
        fields.append(Field(info.name, info.encode_name, info.required, _make_reader(annotation)))
        inner = _find_nested(annotation)
        if inner:
            nested[info.encode_name] = inner
    return StructFields(tuple(fields), frozenset(field.encoded_name for field in fields), nested)


def _read_into(
    raw: Mapping[str, object], struct: type[msgspec.Struct], pointer: str, problems: list[FieldProblem]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in describe_struct(struct).fields:
        field_pointer = f"{pointer}/{field.encoded_name}"
        if field.encoded_name in raw:
            value = field.read(raw[field.encoded_name], field_pointer, problems)
            if value is not _INVALID:
                values[field.name] = value
        elif field.required:
            problems.append(FieldProblem(field_pointer, "required", "This field is needed."))
    return values


def split_annotation(annotation: Any) -> tuple[Any, bool, Kind | None]:
    """Split an annotation into the bare type, whether null is allowed, and its Kind."""
    kind: Kind | None = None
    nullable = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            kind = kind or next((extra for extra in extras if isinstance(extra, Kind)), None)
            continue
        if get_origin(annotation) in (Union, types.UnionType):
            members = [arm for arm in get_args(annotation) if arm not in (UnsetType, types.NoneType)]
            nullable = nullable or types.NoneType in get_args(annotation)
            if len(members) != 1:
                raise TypeError(f"{annotation} has more than one type")
            annotation = members[0]
            continue
        return annotation, nullable, kind


def find_meta(annotation: Any) -> Meta | None:
    """Return the msgspec.Meta of an annotation, with its description and examples, if there is one."""
    if get_origin(annotation) is Annotated:
        return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, Meta)), None)
    return None


def is_struct(bare: Any) -> bool:
    """Whether the bare type is a Struct."""
    return isinstance(bare, type) and issubclass(bare, msgspec.Struct)


def _find_nested(annotation: Any) -> NestedStruct | None:
    bare, _, _ = split_annotation(annotation)
    if is_struct(bare):
        return NestedStruct(bare, "itself")
    if get_origin(bare) is tuple:
        item, _, _ = split_annotation(get_args(bare)[0])
        return NestedStruct(item, "items") if is_struct(item) else None
    if get_origin(bare) is dict:
        value, _, kind = split_annotation(get_args(bare)[1])
        return NestedStruct(value, "values") if is_struct(value) and kind is None else None
    return None


def _make_reader(annotation: Any) -> Reader:
    bare, nullable, kind = split_annotation(annotation)
    read = _make_simple_reader(kind.read) if kind else _make_type_reader(bare)
    if not nullable:
        return read
    return lambda value, pointer, problems: None if value is None else read(value, pointer, problems)


def _make_type_reader(bare: Any) -> Reader:
    if bare in _PLAIN:
        return _make_simple_reader(_PLAIN[bare])
    if is_struct(bare):
        return _make_struct_reader(bare)
    if get_origin(bare) is Literal:
        return _make_simple_reader(_make_choice({str(choice): choice for choice in get_args(bare)}))
    if isinstance(bare, type) and issubclass(bare, Enum):
        return _make_simple_reader(_make_choice({member.name: member for member in bare}))
    if get_origin(bare) is tuple:
        return _make_array_reader(_make_reader(get_args(bare)[0]))
    if get_origin(bare) is dict:
        return _make_map_reader(_make_reader(get_args(bare)[1]))
    raise TypeError(f"no parser for the type {bare}")


def _make_simple_reader(read: Callable[[object], Any]) -> Reader:
    def reader(value: object, pointer: str, problems: list[FieldProblem]) -> Any:
        try:
            return read(value)
        except ValueRefused as error:
            problems.append(FieldProblem(pointer, error.code, error.detail))
            return _INVALID

    return reader


def read_integer(value: object) -> int:
    """Read a whole number that all JSON parsers represent exactly."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueRefused("invalid-type", "Send a whole number here.")
    if abs(value) > MAX_INTEGER:
        raise ValueRefused("out-of-range", "This number is too large.")
    return value


def _make_choice(choices: Mapping[str, Any]) -> Callable[[object], Any]:
    words = ", ".join(choices)

    def read(value: object) -> Any:
        text = read_text(value)
        if text not in choices:
            raise ValueRefused("not-one-of", f"Choose one of {words}.")
        return choices[text]

    return read


def _make_struct_reader(struct: type[msgspec.Struct]) -> Reader:
    def reader(value: object, pointer: str, problems: list[FieldProblem]) -> Any:
        if not isinstance(value, dict):
            problems.append(FieldProblem(pointer, "invalid-type", "Send a JSON object here."))
            return _INVALID
        before = len(problems)
        values = _read_into(value, struct, pointer, problems)
        return struct(**values) if len(problems) == before else _INVALID

    return reader


def _make_array_reader(read: Reader) -> Reader:
    def reader(value: object, pointer: str, problems: list[FieldProblem]) -> Any:
        if not isinstance(value, list):
            problems.append(FieldProblem(pointer, "invalid-type", "Send an array here."))
            return _INVALID
        if len(value) > MAX_ITEMS:
            problems.append(FieldProblem(pointer, "too-many", f"Send {MAX_ITEMS} items at most."))
            return _INVALID
        items = tuple(read(item, f"{pointer}/{i}", problems) for i, item in enumerate(value))
        return _INVALID if any(item is _INVALID for item in items) else items

    return reader


def _make_map_reader(read: Reader) -> Reader:
    def reader(value: object, pointer: str, problems: list[FieldProblem]) -> Any:
        if not isinstance(value, dict):
            problems.append(FieldProblem(pointer, "invalid-type", "Send a JSON object here."))
            return _INVALID
        if len(value) > MAX_ITEMS:
            problems.append(FieldProblem(pointer, "too-many", f"Send {MAX_ITEMS} entries at most."))
            return _INVALID
        entries = {key: read(item, f"{pointer}/{_escape_token(key)}", problems) for key, item in value.items()}
        return _INVALID if any(item is _INVALID for item in entries.values()) else entries

    return reader


_PLAIN: dict[Any, Callable[[object], Any]] = {str: read_text, bool: read_boolean, int: read_integer}


def sent_fields(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a PATCH that were in the body, by Python name."""
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
