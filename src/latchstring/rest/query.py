"""Query parameters, as strict as bodies: unknown ones, repeated ones and bad values are refused with 400."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from starlette.types import Scope

from latchstring.domain.errors import FieldProblem, Unreadable
from latchstring.formats.field_types import ValueRefused, read_locale
from latchstring.formats.fields import escape, shape_of, split_annotation
from latchstring.http.scope import query_pairs

T = TypeVar("T", bound=msgspec.Struct)
LOCALE = "locale"  # every route takes it
CODE = "invalid-query"  # of every refusal here


def read_query(scope: Scope, struct: type[T] | None) -> T | None:
    """The query string as the Struct; without one only `locale` is known. Raises Unreadable."""
    if not scope.get("query_string"):
        return None if struct is None else _finish({}, struct)
    found = _pairs(scope)
    _check_locale(found)
    known = shape_of(struct).known if struct is not None else frozenset()
    for name in found:
        if name not in known and name != LOCALE:
            raise Unreadable(f"There is no query parameter {escape(name)}.", code=CODE)
    return None if struct is None else _finish(found, struct)


def _pairs(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in query_pairs(scope):
        if name in found:
            raise Unreadable(f"Send the query parameter {escape(name)} once.", code=CODE)
        found[name] = value
    return found


def _check_locale(found: dict[str, str]) -> None:
    if LOCALE in found:
        try:
            read_locale(found[LOCALE])
        except ValueRefused as refused:
            raise Unreadable(f"locale: {refused.detail}", code=CODE) from refused


def requested_locale(scope: Scope) -> str | None:
    """The `locale` query parameter, when it is well-formed."""
    if not scope.get("query_string"):
        return None
    try:
        value = dict(query_pairs(scope)).get(LOCALE)
        return None if value is None else read_locale(value)
    except (Unreadable, ValueRefused):
        return None


def _finish(found: dict[str, str], struct: type[T]) -> T:
    problems: list[FieldProblem] = []
    values: dict[str, Any] = {}
    coercions = _coercions(struct)
    for field in shape_of(struct).fields:
        if field.outside not in found:
            if field.required:
                problems.append(FieldProblem(f"/{field.outside}", "required", "This parameter is needed."))
            continue
        values[field.name] = field.read(coercions[field.name](found[field.outside]), f"/{field.outside}", problems)
    if problems:
        raise Unreadable(" ".join(f"{p.pointer[1:]}: {p.detail}" for p in problems), code=CODE)
    return struct(**values)


@cache
def _coercions(struct: type[msgspec.Struct]) -> dict[str, Callable[[str], object]]:
    hints = msgspec.structs.fields(struct)
    return {info.name: _COERCE.get(split_annotation(info.type)[0], str) for info in hints}


def _integer(text: str) -> object:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else text  # noqa: PLR2004


def _boolean(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


_COERCE: dict[Any, Callable[[str], object]] = {int: _integer, bool: _boolean}
