"""The statements of a list, each built once.

All conditions are one expression in which a value switches off the unused filters: there is one statement instead of
one for every combination. Sizes are literals in the statements (see index_scan).

On PostgreSQL rows are looked up in LATERAL with a LIMIT, which cannot become a join of whole tables. SQLite has no
LATERAL; there the columns of conditions get a unary plus, so that no index is used for them instead of the ids.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, FromClause, Select, and_, bindparam, func, or_, select, true, union
from sqlalchemy.sql import Executable
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from latchstring.domain.pagination import Key, SortOrder
from latchstring.storage.engine.database import Row
from latchstring.storage.engine.types import ListOf, any_of
from latchstring.storage.lists.declaration import Columns, ListDeclaration
from latchstring.storage.lists.index_scan import COUNTED_UP_TO, IndexScan, as_row, bind_key, literal_number, ordered

_KEY_NAMES = frozenset(f"k{number}" for number in range(4))


class PageShape(NamedTuple):
    """The properties of a page that its statement depends on, besides the scans."""

    order: SortOrder
    size: int
    dialect_name: str
    shows_rows: bool


class ScanShape(NamedTuple):
    """The properties of a scan that a statement depends on.

    is_ranged: whether it stops at a key. same: how many columns of the sort key are equal in all its rows.
    """

    name: str
    is_exact: bool
    is_for_each: bool
    is_ranged: bool
    same: int


class _Unindexed:
    """The columns of a table with a unary plus, so that SQLite uses no index for them."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        column = getattr(self._columns, name)
        return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


class ListStatements:
    """Builds and caches the statements of a declared list. Filters, orders and sizes are few."""

    def __init__(self, declaration: ListDeclaration[Any]) -> None:
        self._list = declaration
        self.index_scans = lru_cache(maxsize=None)(declaration.scans)
        self.candidates = lru_cache(maxsize=None)(self._build_candidates)
        self.count_candidates = lru_cache(maxsize=None)(self._build_count_candidates)
        self.count_distinct_candidates = lru_cache(maxsize=None)(self._build_count_distinct_candidates)
        self.scan = lru_cache(maxsize=None)(self._build_scan)
        self.scan_end = lru_cache(maxsize=None)(self._build_scan_end)
        self.merged_scans = lru_cache(maxsize=None)(self._build_merged_scans)
        self.count_all = lru_cache(maxsize=None)(self._build_count_all)
        self.lookup = lru_cache(maxsize=None)(self._build_lookup)

    # ---- candidates --------------------------------------------------------------------------------------------------

    def _build_candidates(self, name: str, shape: PageShape) -> Executable:
        """Select the next rows among the candidates of a filter, with the total."""
        columns, rows = self._looked_up(self._candidates(name, shape.dialect_name), "id", shape.dialect_name)
        keys = _labelled("k", self._list.orders[shape.order.by](columns))
        # referenced twice, so both databases materialize it
        matching = select(*keys).select_from(rows).where(self._matches(columns)).cte("matching")
        total = select(func.count()).select_from(matching).scalar_subquery().label("total")
        key, start = as_row(list(matching.c)), as_row(bind_key("start", self.key_columns(shape.order)))
        query = select(matching, total).where(key < start if shape.order.descending else key > start)
        query = query.order_by(*ordered(list(matching.c), descending=shape.order.descending))
        query = query.limit(literal_number(shape.size))
        return self._with_columns(query, shape, extra=["total"]) if shape.shows_rows else query

    def key_columns(self, order: SortOrder) -> Sequence[ColumnElement[Any]]:
        return self._list.orders[order.by](self._list.table.c)

    def _candidates(self, name: str, dialect_name: str) -> FromClause:
        """Select the distinct ids of a filter's candidates, in no order."""
        queries = [select(query.subquery().c.id) for query in self._candidate_queries(name, dialect_name)]
        if len(queries) == 1:
            return select(queries[0].subquery().c.id).distinct().subquery("candidates")
        return select(union(*queries).subquery().c.id).subquery("candidates")

    def _candidate_queries(self, name: str, dialect_name: str) -> list[Select[Any]]:
        candidate_queries = self._list.filters[name].candidates
        if candidate_queries is None:
            raise LookupError(name)
        return [query.limit(literal_number(COUNTED_UP_TO + 1)) for query in candidate_queries(dialect_name)]

    def _build_count_candidates(self, name: str, dialect_name: str) -> Executable:
        """Count the rows of each candidate query, up to one more than is counted."""
        counts = [
            select(func.count()).select_from(query.subquery()).scalar_subquery().label(f"n{number}")
            for number, query in enumerate(self._candidate_queries(name, dialect_name))
        ]
        return select(*counts)

    def _build_count_distinct_candidates(self, name: str, dialect_name: str) -> Executable:
        """Count the distinct rows of all candidate queries."""
        return select(func.count().label("n")).select_from(self._candidates(name, dialect_name))

    def _matches(self, columns: Columns) -> ColumnElement[bool]:
        """Return the conditions of all filters; unused filters are switched off by a value."""
        conditions = [
            filter_.condition(columns)
            if filter_.is_permanent
            else or_(bindparam(f"any_{name}", type_=Boolean), filter_.condition(columns))
            for name, filter_ in self._list.filters.items()
        ]
        return and_(true(), *conditions)

    # ---- index scans -------------------------------------------------------------------------------------------------

    def _build_scan(self, scan: ScanShape, shape: PageShape) -> Executable:
        """Select the next rows of a scan."""
        keys = self._scanned_keys(scan, shape)
        return self._with_columns(keys, shape) if shape.shows_rows else keys

    def _build_merged_scans(self, scans: Sequence[ScanShape], shape: PageShape) -> Executable:
        """Select the next rows of several scans."""
        selects = []
        for number, scan in enumerate(scans):
            tag = scan_tag(number)
            same = bind_key(f"{tag}same", self.key_columns(shape.order)[: scan.same])
            selects.append(select(*_labelled("k", [*same, *self._scanned_keys(scan, shape, tag).subquery().c])))
        merged = union(*selects).subquery("merged")
        query = select(merged).order_by(*ordered(list(merged.c), descending=shape.order.descending))
        query = query.limit(literal_number(shape.size))
        return self._with_columns(query, shape) if shape.shows_rows else query

    def _build_scan_end(self, scan_shape: ScanShape, shape: PageShape) -> Executable:
        """Select the row at the limit of a scan with conditions; for several values the first such row."""
        scan = self._scan_of(scan_shape, shape, "")
        if self._list.scan_limit is None:
            raise LookupError(scan_shape.name)
        last = scan.select(
            _labelled("k", scan.key),
            1,
            shape.dialect_name,
            stops=scan_shape.is_ranged,
            descending=shape.order.descending,
        ).offset(literal_number(self._list.scan_limit - 1))
        return last if scan.source is None else _for_each(scan, last, 1, descending=shape.order.descending)

    def _build_count_all(self, dialect_name: str) -> Executable:
        """Count the rows of the scan `all`, up to one more than is counted."""
        scan = self.index_scans(dialect_name)["all"]
        rows = scan.select(
            _labelled("k", scan.key), COUNTED_UP_TO + 1, dialect_name, starts=False, stops=False, descending=False
        )
        return select(func.count().label("n")).select_from(rows.subquery())

    def _scanned_keys(self, scan_shape: ScanShape, shape: PageShape, tag: str = "") -> Select[Any]:
        """Select the keys of the next rows of a scan, for one value of its prefix or for each of several."""
        scan = self._scan_of(scan_shape, shape, tag)
        keys = (
            self._exact_keys(scan, scan_shape, shape, tag)
            if scan_shape.is_exact
            else self._filtered_keys(scan, scan_shape, shape)
        )
        return keys if scan.source is None else _for_each(scan, keys, shape.size, descending=shape.order.descending)

    def _scan_of(self, scan_shape: ScanShape, shape: PageShape, tag: str) -> IndexScan:
        scan = self.index_scans(shape.dialect_name)[scan_shape.name]
        return scan.for_each(tag) if scan_shape.is_for_each else scan

    def _exact_keys(self, scan: IndexScan, scan_shape: ScanShape, shape: PageShape, tag: str) -> Select[Any]:
        return scan.select(
            _labelled("k", scan.key),
            shape.size,
            shape.dialect_name,
            tag,
            stops=scan_shape.is_ranged,
            descending=shape.order.descending,
        )

    def _filtered_keys(self, scan: IndexScan, scan_shape: ScanShape, shape: PageShape) -> Select[Any]:
        """Select the keys of the next rows that meet all conditions, among the rows that are read.

        Only the index determines which rows are read: a condition that it cannot answer would make the scan longer.
        """
        dialect_name, descending = shape.dialect_name, shape.order.descending
        if self._list.scan_limit is None:
            return self._exact_keys(scan, scan_shape, shape, "").where(self._matches(self._list.table.c))
        is_listed = scan.key[-1].table is self._list.table
        before, keys = _labelled("p", [column for column, _ in scan.prefix]), _labelled("k", scan.key)
        read_columns = [*(self._list.table.c if is_listed else ()), *before, *keys]
        read = scan.select(
            read_columns, self._list.scan_limit, dialect_name, stops=scan_shape.is_ranged, descending=descending
        )
        scanned = read.subquery("scanned")
        names = [column.name for column in keys]
        columns, rows = (scanned.c, scanned) if is_listed else self._looked_up(scanned, names[-1], dialect_name)
        matching = select(*(scanned.c[name] for name in names)).select_from(rows).where(self._matches(columns))
        if dialect_name == "postgresql":  # exactly the order of the read, or it would sort all rows
            matching = matching.order_by(
                *ordered([scanned.c[column.name] for column in (*before, *keys)], descending=descending)
            )
        # no ORDER BY on SQLite, which would sort all rows; without it they keep the order of the read
        return matching.limit(literal_number(shape.size))

    def _looked_up(self, ids: FromClause, id_name: str, dialect_name: str) -> tuple[Columns, FromClause]:
        """Look up the rows of ids one by one through the primary key: a join might read the whole table."""
        table, id_ = self._list.table, self._list.id_
        if dialect_name == "postgresql":
            row = select(table).where(id_ == ids.c[id_name]).limit(literal_number(1)).lateral("listed")
            return row.c, ids.join(row, true())
        alias = table.alias("listed")
        return _Unindexed(alias.c), ids.join(alias, alias.c[id_.name] == ids.c[id_name])

    # ---- columns -----------------------------------------------------------------------------------------------------

    def _with_columns(self, keys: Select[Any], shape: PageShape, extra: Sequence[str] = ()) -> Executable:
        """Add the columns of the list to some keys. extra: columns of `keys` that are not part of the key."""
        page = keys.subquery("page")
        key = [column for column in page.c if column.name not in extra]
        if shape.dialect_name == "postgresql":
            row = self._row_of(key[-1]).lateral("one")
            query = select(*row.c, *page.c).select_from(page.join(row, true()))
        else:
            rows = page.join(self._list.table, and_(self._list.id_ == key[-1], *self._list.lookup))
            query = select(*self._list.columns, *page.c).select_from(self._list.joins(rows))
        return query.order_by(*ordered(key, descending=shape.order.descending))

    def _row_of(self, id_: ColumnElement[Any]) -> Select[Any]:
        query = select(*self._list.columns).select_from(self._list.joins(self._list.table))
        return query.where(self._list.id_ == id_, *self._list.lookup).limit(literal_number(1))

    def _build_lookup(self, dialect_name: str) -> Executable:
        """Select the columns of the rows of some ids, in no order."""
        id_ = self._list.id_
        type_: Any = type(id_.type)
        if dialect_name != "postgresql":
            query = select(*self._list.columns, id_.label("listed_id")).select_from(self._list.joins(self._list.table))
            return query.where(any_of(id_, "ids", type_), *self._list.lookup)
        ids: Any = func.unnest(bindparam("ids", type_=ListOf(type_))).table_valued("id").render_derived(name="ids")
        row = self._row_of(ids.c.id).lateral("one")
        return select(*row.c, ids.c.id.label("listed_id")).select_from(ids.join(row, true()))


def _for_each(scan: IndexScan, keys: Select[Any], limit: int, *, descending: bool) -> Select[Any]:
    """Select the first keys of the scans for every row of the source."""
    keys_of_sources = scan.join_source(keys)
    return (
        keys_of_sources.distinct()
        .order_by(*ordered(list(keys_of_sources.selected_columns), descending=descending))
        .limit(literal_number(limit))
    )


def scan_tag(number: int) -> str:
    """Return the prefix of the bind names of a scan that is merged with others."""
    return f"s{number}_"


def _labelled(letter: str, columns: Sequence[ColumnElement[Any]]) -> list[Any]:
    return [column.label(f"{letter}{number}") for number, column in enumerate(columns)]


def key_of(row: Row) -> Key:
    """Return the key of a row of a page."""
    return tuple(getattr(row, name) for name in row._fields if name in _KEY_NAMES)
