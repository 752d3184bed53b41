"""Portable column types, one per idea, with the same meaning on PostgreSQL and SQLite.

SQLite stores ids as text of 36 characters (ordered like the ids, readable in its shell, usable in json_each) and
instants as whole milliseconds since 1970 (it has no type with an offset). PostgreSQL uses its native types.
"""

import builtins
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    Uuid,
    bindparam,
)
from sqlalchemy.dialects.postgresql import JSON, TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _is_postgres(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"


class Instant(TypeDecorator[datetime]):
    """An aware datetime in whole milliseconds. Raises ValueError for naive values."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if _is_postgres(dialect) else BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without an offset")
        return value if _is_postgres(dialect) else (value - _EPOCH) // _MILLISECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if _is_postgres(dialect):
            return cast("datetime", value).astimezone(UTC)
        return _EPOCH + int(value) * _MILLISECOND


class Id(TypeDecorator[uuid.UUID]):
    """A UUID: native on PostgreSQL, 36 characters on SQLite."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Uuid() if _is_postgres(dialect) else String(36))

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> object:
        return value if value is None or _is_postgres(dialect) else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        if value is None:
            return None
        # asyncpg returns its own subclass of UUID, which compares equal
        return cast("uuid.UUID", value) if _is_postgres(dialect) else uuid.UUID(value)


class JsonText(str):
    """Encoded JSON, for many rows that share it."""

    __slots__ = ()


class Json(TypeDecorator[Any]):
    """Any JSON value, stored as text: `jsonb` would sort the keys and rewrite 1e300 as 301 digits.

    The driver receives text on both databases.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSON() if _is_postgres(dialect) else Text())

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        return lambda value: (
            value if value is None or type(value) is JsonText else json.dumps(value, ensure_ascii=False)
        )

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        return lambda value: None if value is None else msgspec.json.decode(value)


class CanonicalText(TypeDecorator[str]):
    """Text compared byte by byte, so that equality and prefix search mean the same on both databases."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text(collation="C") if _is_postgres(dialect) else Text(collation="BINARY"))


class ListOf(TypeDecorator[Any]):
    """A list as one bound value: an array on PostgreSQL, JSON text on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: type[TypeEngine[Any]]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if not _is_postgres(dialect):
            return dialect.type_descriptor(Text())
        item = self.item()
        plain = item.load_dialect_impl(dialect) if isinstance(item, TypeDecorator) else item
        return dialect.type_descriptor(ARRAY(Text() if isinstance(plain, Text) else plain))

    def bind_processor(self, dialect: Dialect) -> Any:
        if _is_postgres(dialect):
            return list
        item = self.item()
        # CanonicalText only chooses a collation and converts nothing
        converts = (
            isinstance(item, TypeDecorator) and type(item).process_bind_param is not TypeDecorator.process_bind_param
        )
        convert = cast("Any", item).process_bind_param if converts else lambda value, _dialect: value
        return lambda values: json.dumps([convert(value, dialect) for value in cast("Iterable[Any]", values)])


class any_of(ColumnElement[bool]):  # noqa: N801  # reads as a function in statements
    """True when `column` is among the values of the list bound as `name`. The statement text fits every length."""

    inherit_cache = False
    type: TypeEngine[bool] = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str, item: builtins.type[TypeEngine[Any]] = Id) -> None:
        self.column = column
        self.values = bindparam(name, type_=ListOf(item))

    def self_group(self, against: Any = None) -> "any_of":  # noqa: ARG002  # SQLAlchemy's signature
        """Return itself: SQLite would otherwise get `… IN (…) = 1`, which no index can answer."""
        return self


@compiles(any_of, "postgresql")
def _any_on_postgres(element: any_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY({compiler.process(element.values, **kw)})"


@compiles(any_of, "sqlite")
def _any_on_sqlite(element: any_of, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = compiler.process(element.column, **kw), compiler.process(element.values, **kw)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  # compiled fragments, no input


Digest = LargeBinary


class json_rows(FunctionElement[Any]):  # noqa: N801  # reads as a function in statements
    """The rows of a one-row-per-match subquery as one JSON list of lists: `json_rows(a, b)` aggregates [[a, b], …]."""

    inherit_cache = True
    type = Json()


@compiles(json_rows, "postgresql")
def _rows_on_postgres(element: json_rows, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_agg(json_build_array({compiler.process(element.clauses, **kw)}))"


@compiles(json_rows, "sqlite")
def _rows_on_sqlite(element: json_rows, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **kw)}))"
