"""Bind many rows as a few lists: one statement text and one round trip for any number of rows. PostgreSQL only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, cast, func
from sqlalchemy.types import TypeEngine

from latchstring.storage.engine.types import CanonicalText, Json, ListOf


class BulkValues:
    """Columns whose values are bound as lists. The bind name is `prefix` and the name of the column."""

    def __init__(self, name: str, prefix: str, columns: Iterable[ColumnElement[Any]]) -> None:
        self._types: dict[str, TypeEngine[Any]] = {str(column.key): column.type for column in columns}
        self._prefix = prefix
        lists = func.unnest(*(bindparam(prefix + key, type_=_list_of(type_)) for key, type_ in self._types.items()))
        self.rows = lists.table_valued(*self._types).render_derived(name=name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._types)

    def __getitem__(self, name: str) -> ColumnElement[Any]:
        """Return a column of the rows in the type of its table column."""
        type_ = self._types[name]
        return cast(self.rows.c[name], type_) if isinstance(type_, Json) else self.rows.c[name]

    def values(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Return the values to bind for these rows. JSON values must be text, so that rows can share one encoding."""
        return {self._prefix + name: [row[name] for row in rows] for name in self._types}


def _list_of(type_: TypeEngine[Any]) -> ListOf:
    is_text = isinstance(type_, Json | CanonicalText | Text)
    return ListOf(Text if is_text else type(type_))
