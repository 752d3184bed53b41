"""Reading declared fields: one Struct serves the request, the validation and the OpenAPI document.

    class NewGroup(Body):
        \"\"\"A group to make.\"\"\"
        key: Key
        name: Line
        description: Message | None = None

        …  in a PATCH, `name: Line | UnsetType = UNSET` tells "not sent" from a value; add `| None` to allow null.

msgspec stops at the first problem and cannot know our rules, so the fields are walked here, one by one, and every
problem is collected. A field of a type without a kind may be a nested Struct, `tuple[X, ...]`, `dict[str, X]`,
an Enum, a Literal, `bool`, `str` (any text) or `int`.
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
MOST_ITEMS = 1000
LARGEST_INTEGER = 2**53 - 1  # what every JSON reader keeps exactly, RFC 8259 section 6


class Body(msgspec.Struct, rename="camel", kw_only=True):
    """A request body. `collect` reads its fields; unknown ones are refused."""


class Query(msgspec.Struct, rename="camel", kw_only=True):
    """Query parameters. Values are text; numbers and booleans are read from it."""


class _Invalid:
    """Stands for a value whose problem has been noted."""


_BAD = _Invalid()
Reader = Callable[[object, str, list[FieldProblem]], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field as it is read: its name here, its name outside, and how."""

    name: str
    outside: str
    required: bool
    read: Reader


@dataclass(frozen=True, slots=True)
class Shape:
    """All fields of a Struct, and what lies under them (to find unknown fields before anything is judged)."""

    fields: tuple[Field, ...]
    known: frozenset[str]
    nested: Mapping[str, "Inner"]


@dataclass(frozen=True, slots=True)
class Inner:
    """Where Structs lie under a field: in it, in each item of its array, or in each value of its map."""

    struct: type[msgspec.Struct]
    among: Literal["itself", "items", "values"]


class Reading(Generic[T]):
    """What came out of a body: good values by name, and every problem. For rules that need more than one field."""

    def __init__(self, struct: type[T], values: dict[str, Any], problems: list[FieldProblem]) -> None:
        self._struct = struct
        self.values = values
        self.problems = problems

    def get(self, name: str) -> Any:
        """The value, if it is good and was sent; else None."""
        return self.values.get(name)

    def finish(self) -> T:
        """The Struct. Raises InvalidFields with everything that was noted, also what was added to `problems`."""
        if self.problems:
            raise InvalidFields(self.problems)
        return self._struct(**self.values)


def collect(raw: Mapping[str, object], struct: type[T]) -> Reading[T]:
    """Read every field of an object and note every problem. Unknown fields are not looked at here."""
    problems: list[FieldProblem] = []
    return Reading(struct, _read_into(raw, struct, "", problems), problems)


def refuse_unknown(raw: Mapping[str, object], struct: type[msgspec.Struct], pointer: str = "") -> None:
    """Raise Unreadable with code `unknown-field` for the first field nobody declared, however deep."""
    shape = shape_of(struct)
    for name in raw:
        if name not in shape.known:
            raise Unreadable(f"There is no field {escape(f'{pointer}/{_escape_token(name)}')}.", code="unknown-field")
    for name, inner in shape.nested.items():
        value = raw.get(name)
        for at, part in _parts(value, inner.among):
            if isinstance(part, dict):
                refuse_unknown(part, inner.struct, f"{pointer}/{name}{at}")


def _parts(value: object, among: str) -> list[tuple[str, object]]:
    if among == "items":
        return [(f"/{i}", part) for i, part in enumerate(value)] if isinstance(value, list) else []
    if among == "values":
        return [(f"/{_escape_token(k)}", part) for k, part in value.items()] if isinstance(value, dict) else []
    return [("", value)]


def escape(text: str) -> str:
    """Text of a client, safe to be repeated in a sentence: short, and without control characters."""
    clean = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return clean if len(clean) <= 200 else clean[:199] + "…"  # noqa: PLR2004


def _escape_token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")  # RFC 6901 section 3


@cache
def shape_of(struct: type[msgspec.Struct]) -> Shape:
    """How a Struct is read; made once. Raises TypeError for a field of an unknown type."""
    hints = get_type_hints(struct, include_extras=True)
    fields, nested = [], {}
    for info in msgspec.structs.fields(struct):
        annotation = hints[info.name]
        fields.append(Field(info.name, info.encode_name, info.required, _reader(annotation)))
        inner = _inner(annotation)
        if inner:
            nested[info.encode_name] = inner
    return Shape(tuple(fields), frozenset(field.outside for field in fields), nested)


def _read_into(
    raw: Mapping[str, object], struct: type[msgspec.Struct], pointer: str, problems: list[FieldProblem]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in shape_of(struct).fields:
        at = f"{pointer}/{field.outside}"
        if field.outside in raw:
            value = field.read(raw[field.outside], at, problems)
            if value is not _BAD:
                values[field.name] = value
        elif field.required:
            problems.append(FieldProblem(at, "required", "This field is needed."))
    return values


def split_annotation(annotation: Any) -> tuple[Any, bool, Kind | None]:
    """A type without its wrappings: the bare type, whether null is allowed, and its kind."""
    kind: Kind | None = None
    nullable = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            kind = kind or next((extra for extra in extras if isinstance(extra, Kind)), None)
            continue
        if get_origin(annotation) in (Union, types.UnionType):
            arms = [arm for arm in get_args(annotation) if arm not in (UnsetType, types.NoneType)]
            nullable = nullable or types.NoneType in get_args(annotation)
            if len(arms) != 1:
                raise TypeError(f"{annotation} has more than one type")
            annotation = arms[0]
            continue
        return annotation, nullable, kind


def description_of(annotation: Any) -> Meta | None:
    """The msgspec.Meta of an annotation, which holds its description and examples."""
    if get_origin(annotation) is Annotated:
        return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, Meta)), None)
    return None


def is_struct(bare: Any) -> bool:
    """Whether the bare type is a nested Struct."""
    return isinstance(bare, type) and issubclass(bare, msgspec.Struct)


def _inner(annotation: Any) -> Inner | None:
    bare, _, _ = split_annotation(annotation)
    if is_struct(bare):
        return Inner(bare, "itself")
    if get_origin(bare) is tuple:
        item, _, _ = split_annotation(get_args(bare)[0])
        return Inner(item, "items") if is_struct(item) else None
    if get_origin(bare) is dict:
        value, _, kind = split_annotation(get_args(bare)[1])
        return Inner(value, "values") if is_struct(value) and kind is None else None
    return None


def _reader(annotation: Any) -> Reader:
    bare, nullable, kind = split_annotation(annotation)
    read = _simple(kind.read) if kind else _reader_of_type(bare)
    if not nullable:
        return read
    return lambda value, at, problems: None if value is None else read(value, at, problems)


def _reader_of_type(bare: Any) -> Reader:
    if bare in _PLAIN:
        return _simple(_PLAIN[bare])
    if is_struct(bare):
        return _struct_reader(bare)
    if get_origin(bare) is Literal:
        return _simple(_choice({str(choice): choice for choice in get_args(bare)}))
    if isinstance(bare, type) and issubclass(bare, Enum):
        return _simple(_choice({member.name: member for member in bare}))
    if get_origin(bare) is tuple:
        return _array_reader(_reader(get_args(bare)[0]))
    if get_origin(bare) is dict:
        return _map_reader(_reader(get_args(bare)[1]))
    raise TypeError(f"no rule reads a {bare}")


def _simple(read: Callable[[object], Any]) -> Reader:
    def reader(value: object, at: str, problems: list[FieldProblem]) -> Any:
        try:
            return read(value)
        except ValueRefused as refused:
            problems.append(FieldProblem(at, refused.code, refused.detail))
            return _BAD

    return reader


def read_integer(value: object) -> int:
    """A whole number that every JSON reader keeps exactly."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueRefused("invalid-type", "Send a whole number here.")
    if abs(value) > LARGEST_INTEGER:
        raise ValueRefused("out-of-range", "This number is too large.")
    return value


def _choice(choices: Mapping[str, Any]) -> Callable[[object], Any]:
    words = ", ".join(choices)

    def read(value: object) -> Any:
        text = read_text(value)
        if text not in choices:
            raise ValueRefused("not-one-of", f"Choose one of {words}.")
        return choices[text]

    return read


def _struct_reader(struct: type[msgspec.Struct]) -> Reader:
    def reader(value: object, at: str, problems: list[FieldProblem]) -> Any:
        if not isinstance(value, dict):
            problems.append(FieldProblem(at, "invalid-type", "Send a JSON object here."))
            return _BAD
        before = len(problems)
        values = _read_into(value, struct, at, problems)
        return struct(**values) if len(problems) == before else _BAD

    return reader


def _array_reader(read: Reader) -> Reader:
    def reader(value: object, at: str, problems: list[FieldProblem]) -> Any:
        if not isinstance(value, list):
            problems.append(FieldProblem(at, "invalid-type", "Send an array here."))
            return _BAD
        if len(value) > MOST_ITEMS:
            problems.append(FieldProblem(at, "too-many", f"Send {MOST_ITEMS} items at most."))
            return _BAD
        items = tuple(read(item, f"{at}/{i}", problems) for i, item in enumerate(value))
        return _BAD if any(item is _BAD for item in items) else items

    return reader


def _map_reader(read: Reader) -> Reader:
    def reader(value: object, at: str, problems: list[FieldProblem]) -> Any:
        if not isinstance(value, dict):
            problems.append(FieldProblem(at, "invalid-type", "Send a JSON object here."))
            return _BAD
        if len(value) > MOST_ITEMS:
            problems.append(FieldProblem(at, "too-many", f"Send {MOST_ITEMS} entries at most."))
            return _BAD
        entries = {key: read(item, f"{at}/{_escape_token(key)}", problems) for key, item in value.items()}
        return _BAD if any(item is _BAD for item in entries.values()) else entries

    return reader


_PLAIN: dict[Any, Callable[[object], Any]] = {str: read_text, bool: read_boolean, int: read_integer}


def sent_fields(body: msgspec.Struct) -> dict[str, Any]:
    """The fields of a PATCH that were in the body, by their names here."""
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
