"""Index scans: the rows of one index in its order, between two keys.

PostgreSQL plans without the values (decision 0008), from averages, which can be wrong for a value. Where the cost must
stay bounded for every value, a statement therefore permits only one plan: row comparisons, which a single index answers
in order, and a literal LIMIT, because a generic plan estimates a bound LIMIT at a tenth of the table. SQLite uses an
index for equalities, and would not use it for a row comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    TextClause,
    bindparam,
    func,
    literal_column,
    select,
    true,
    tuple_,
)

from latchstring.domain.ids import MAX_ID, NIL_ID
from latchstring.domain.pagination import Count, Key, KeyValue
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.types import Id, Instant, ListOf, any_of
from latchstring.storage.lists.prefix_search import prefix_end

COUNTED_UP_TO = 10_000
LOWEST_INSTANT, HIGHEST_INSTANT = datetime.fromtimestamp(0, UTC), datetime(9999, 1, 1, tzinfo=UTC)


class _Each:
    """Placeholder for the value of a scan that runs once for each of several values."""


EACH: Final = _Each()


def as_indexed(condition: TextClause) -> ColumnElement[bool]:
    """Return the condition of a partial index word for word, as SQLite would not recognize it otherwise."""
    return literal_column(str(condition), Boolean)


def literal_number(value: int) -> ColumnElement[int]:
    return literal_column(str(int(value)), Integer)


def value_limits(column: ColumnElement[Any]) -> tuple[KeyValue, KeyValue]:
    """Return values below and above every value of a sort column."""
    if isinstance(column.type, Id):
        return NIL_ID, MAX_ID
    if isinstance(column.type, Instant):
        return LOWEST_INSTANT, HIGHEST_INSTANT
    if isinstance(column.type, SmallInteger):
        return -1, 2**15 - 1
    if isinstance(column.type, Integer):
        return -1, 2**31 - 1
    return "", prefix_end("")


def lowest_key(columns: Sequence[ColumnElement[Any]]) -> Key:
    return tuple(value_limits(column)[0] for column in columns)


def highest_key(columns: Sequence[ColumnElement[Any]]) -> Key:
    return tuple(value_limits(column)[1] for column in columns)


def bind_key(name: str, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """Return a bind parameter for each column, named `name0`, `name1`, …. Bind `key_values`."""
    return [bindparam(f"{name}{number}", type_=column.type) for number, column in enumerate(columns)]


def key_values(name: str, key: Key) -> dict[str, KeyValue]:
    return {f"{name}{number}": value for number, value in enumerate(key)}


def as_row(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def ordered(columns: Sequence[ColumnElement[Any]], *, descending: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in columns]


def count_up_to(query: Select[Any], limit: int = COUNTED_UP_TO) -> Select[Any]:
    """Count the rows of a query, up to one more than the limit, as `n`."""
    return select(func.count().label("n")).select_from(query.limit(literal_number(limit + 1)).subquery())


async def fetch_count(db: Database, statement: Select[Any], limit: int = COUNTED_UP_TO, **values: Any) -> Count:
    """Run a statement of `count_up_to`."""
    number = (await db.fetch(statement, **values))[0].n
    return Count(min(number, limit), at_least=number > limit)


@dataclass(frozen=True, eq=False)
class IndexScan:
    """The rows of an index whose first columns have fixed values, in the order of the columns behind them.

    key: the columns that order the rows; the last is the id of the listed row. prefix: the columns before the key with
    their values; EACH stands for several values, bound as `each`. where: the condition of a partial index, word for
    word, or a condition that nearly every row meets. source: a relation whose columns are values of the prefix; the
    scan runs for each of its rows (PostgreSQL only).
    """

    key: Sequence[ColumnElement[Any]]
    prefix: Sequence[tuple[ColumnElement[Any], Any]] = ()
    where: Sequence[ColumnElement[bool]] = ()
    source: FromClause | None = None

    def for_each(self, tag: str = "") -> "IndexScan":
        """Return the scan for every value of the list bound as `each`, in one statement (PostgreSQL only)."""
        column = next(column for column, value in self.prefix if value is EACH)
        return self._from_list(column, f"{tag}each", f"{tag}values")

    def _from_list(self, column: ColumnElement[Any], name: str, alias: str) -> "IndexScan":
        listed: Any = func.unnest(bindparam(name, type_=ListOf(_kind_of(column)))).table_valued("value")
        listed = listed.render_derived(name=alias)
        prefix = [(column, listed.c.value if value is EACH else value) for column, value in self.prefix]
        return IndexScan(self.key, prefix, self.where, listed)

    def _prefix_values(self, tag: str) -> list[Any]:
        return [bindparam(f"{tag}each", type_=c.type) if value is EACH else value for c, value in self.prefix]

    def order_by(self, dialect_name: str, *, descending: bool) -> list[ColumnElement[Any]]:
        """Return the order of the index. SQLite knows that columns with a single value do not matter."""
        before = [column for column, _ in self.prefix] if dialect_name == "postgresql" else []
        return ordered([*before, *self.key], descending=descending)

    def between(
        self, dialect_name: str, tag: str = "", *, starts: bool, stops: bool, descending: bool
    ) -> list[ColumnElement[bool]]:
        """Return the conditions: behind the start and before the stop, both exclusive, bound as `low…` and `high…`.

        Without a stop the range ends with the last row of the prefix.
        """
        low, high = bind_key(f"{tag}low", self.key), bind_key(f"{tag}high", self.key)
        has_low, has_high = (stops, starts) if descending else (starts, stops)
        columns, values = [column for column, _ in self.prefix], self._prefix_values(tag)
        if dialect_name != "postgresql" or not columns:
            row = as_row(self.key)
            conditions = [column == value for column, value in zip(columns, values, strict=True)]
            conditions += [row > as_row(low)] if has_low else []
            return [*self.where, *conditions, *([row < as_row(high)] if has_high else [])]
        row, lead, lead_values = as_row([*columns, *self.key]), as_row(columns), as_row(values)
        above = row > as_row([*values, *low]) if has_low else lead >= lead_values
        below = row < as_row([*values, *high]) if has_high else lead <= lead_values
        return [*self.where, above, below]

    def select(
        self,
        columns: Sequence[ColumnElement[Any]],
        limit: int,
        dialect_name: str,
        tag: str = "",
        *,
        starts: bool = True,
        stops: bool,
        descending: bool,
    ) -> Select[Any]:
        """Select the first rows of the scan, correlated to `source` if there is one."""
        query = select(*columns).where(
            *self.between(dialect_name, tag, starts=starts, stops=stops, descending=descending)
        )
        query = query.order_by(*self.order_by(dialect_name, descending=descending)).limit(literal_number(limit))
        return query if self.source is None else query.correlate(self.source)

    def candidates(
        self, dialect_name: str, values: str | None = None, id_column: ColumnElement[Any] | None = None
    ) -> Select[Any]:
        """Return a candidate query: the ids of the scan.

        values: the bind name of the list for EACH. id_column: the column with the ids, if not the last of the key.
        """
        id_ = (self.key[-1] if id_column is None else id_column).label("id")
        ids = self.select([id_], COUNTED_UP_TO + 1, dialect_name, starts=False, stops=False, descending=False)
        if values is None:
            return ids if self.source is None else self.join_source(ids)
        column = next(column for column, value in self.prefix if value is EACH)
        if dialect_name != "postgresql":
            conditions = [other == value for other, value in self.prefix if value is not EACH]
            is_listed: ColumnElement[bool] = any_of(column, values, _kind_of(column))
            return select(id_).where(*self.where, *conditions, is_listed).order_by(self.key[-1])
        scan = self._from_list(column, values, "candidates")
        return scan.candidates(dialect_name, id_column=id_column)

    def join_source(self, query: Select[Any]) -> Select[Any]:
        """Run a query of this scan for every row of the source."""
        if self.source is None:
            return query
        per_row = query.lateral("own")
        return select(*per_row.c).select_from(self.source.join(per_row, true()))


def _kind_of(column: ColumnElement[Any]) -> Any:
    return type(column.type)


def prefix_scan(
    column: ColumnElement[Any],
    name: str,
    id_: ColumnElement[Any],
    lead: tuple[ColumnElement[Any], ColumnElement[Any]] | None = None,
) -> Select[Any]:
    """Return a candidate query: the ids of rows whose text starts with the value bound as `name`, along its index.

    lead: a first column of the index, and its value. The condition compares whole rows: for a condition on the text
    PostgreSQL assumes that few texts match, and would read and sort all of them.
    """
    first, end = (bindparam(bind_name, type_=column.type) for bind_name in (name, f"{name}_end"))
    columns, values = ([column, id_], [bindparam("lowest_id", NIL_ID, type_=id_.type)])
    before: list[ColumnElement[Any]] = []
    if lead is not None:
        columns, before, values = [lead[0], column], [lead[1]], []
    row = tuple_(*columns)
    query = select(id_.label("id")).where(row >= tuple_(*before, first, *values), row < tuple_(*before, end, *values))
    return query.order_by(*columns[: len(before) + 1])
