"""Parses query parameters. Unknown, duplicate and invalid ones are refused with 400."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from starlette.types import Scope

from latchstring.domain.errors import FieldProblem, Unreadable
from latchstring.formats.field_types import ValueRefused, read_locale
from latchstring.formats.fields import describe_struct, escape, split_annotation
from latchstring.http.scope import query_pairs

T = TypeVar("T", bound=msgspec.Struct)
LOCALE = "locale"  # a parameter of every route
CODE = "invalid-query"  # the code of all errors here


def read_query(scope: Scope, struct: type[T] | None) -> T | None:
    """Parse the query string into the Struct. Without a Struct only `locale` is allowed. Raises Unreadable."""
    if not scope.get("query_string"):
        return None if struct is None else _build({}, struct)
    parameters = _read_parameters(scope)
    _check_locale(parameters)
    known = describe_struct(struct).encoded_names if struct is not None else frozenset()
    for name in parameters:
        if name not in known and name != LOCALE:
            raise Unreadable(f"There is no query parameter {escape(name)}.", code=CODE)
    return None if struct is None else _build(parameters, struct)


def _read_parameters(scope: Scope) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in query_pairs(scope):
        if name in parameters:
            raise Unreadable(f"Send the query parameter {escape(name)} once.", code=CODE)
        parameters[name] = value
    return parameters


def _check_locale(parameters: dict[str, str]) -> None:
    if LOCALE in parameters:
        try:
            read_locale(parameters[LOCALE])
        except ValueRefused as error:
            raise Unreadable(f"locale: {error.detail}", code=CODE) from error


def requested_locale(scope: Scope) -> str | None:
    """Return the `locale` query parameter if it is well-formed."""
    if not scope.get("query_string"):
        return None
    try:
        value = dict(query_pairs(scope)).get(LOCALE)
        return None if value is None else read_locale(value)
    except (Unreadable, ValueRefused):
        return None


def _build(parameters: dict[str, str], struct: type[T]) -> T:
    problems: list[FieldProblem] = []
    values: dict[str, Any] = {}
    coercions = _list_coercions(struct)
    for field in describe_struct(struct).fields:
        if field.encoded_name not in parameters:
            if field.required:
                problems.append(FieldProblem(f"/{field.encoded_name}", "required", "This parameter is needed."))
            continue
        values[field.name] = field.read(
            coercions[field.name](parameters[field.encoded_name]), f"/{field.encoded_name}", problems
        )
    if problems:
        raise Unreadable(" ".join(f"{p.pointer[1:]}: {p.detail}" for p in problems), code=CODE)
    return struct(**values)


@cache
def _list_coercions(struct: type[msgspec.Struct]) -> dict[str, Callable[[str], object]]:
    hints = msgspec.structs.fields(struct)
    return {info.name: _COERCIONS.get(split_annotation(info.type)[0], str) for info in hints}


def _parse_integer(text: str) -> object:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else text  # noqa: PLR2004


def _parse_boolean(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


_COERCIONS: dict[Any, Callable[[str], object]] = {int: _parse_integer, bool: _parse_boolean}
