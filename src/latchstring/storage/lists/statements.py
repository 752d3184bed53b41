"""The statements of a list, each made once.

All conditions are one expression, in which filters that are not in use are switched off by a value: there is one
statement instead of one for every combination. Sizes are written into the statements (see index_scan).

On PostgreSQL rows are looked up in LATERAL with a LIMIT, which cannot become a join of whole tables. SQLite has no
LATERAL; there conditions name columns so that no index serves them, or it would prefer one to the ids that it has.
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
    """What a statement of a page depends on, beside its scans."""

    order: SortOrder
    size: int
    dialect_name: str
    shows_rows: bool


class ScanShape(NamedTuple):
    """What a statement depends on of a scan. is_ranged: whether it stops at a key; same: how much of the sort key all
    its rows have in common.
    """

    name: str
    is_exact: bool
    is_for_each: bool
    is_ranged: bool
    same: int


class _Unindexed:
    """The columns of a table as SQLite is not to look them up in an index: with a unary plus."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        column = getattr(self._columns, name)
        return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


class ListStatements:
    """Makes the statements of a declared list and keeps them: filters, orders and sizes are a handful."""

    def __init__(self, declaration: ListDeclaration[Any]) -> None:
        self._list = declaration
        self.index_scans = lru_cache(maxsize=None)(declaration.scans)
        self.candidates = lru_cache(maxsize=None)(self._make_candidates)
        self.count_candidates = lru_cache(maxsize=None)(self._make_count_candidates)
        self.count_distinct_candidates = lru_cache(maxsize=None)(self._make_count_distinct_candidates)
        self.scan = lru_cache(maxsize=None)(self._make_scan)
        self.scan_end = lru_cache(maxsize=None)(self._make_scan_end)
        self.merged_scans = lru_cache(maxsize=None)(self._make_merged_scans)
        self.count_all = lru_cache(maxsize=None)(self._make_count_all)
        self.lookup = lru_cache(maxsize=None)(self._make_lookup)

    # ---- candidates --------------------------------------------------------------------------------------------------

    def _make_candidates(self, name: str, shape: PageShape) -> Executable:
        """The next rows among the candidates of a filter, with how many there are in all."""
        columns, rows = self._looked_up(self._candidates(name, shape.dialect_name), "id", shape.dialect_name)
        keys = _labelled("k", self._list.orders[shape.order.by](columns))
        # read twice, so both databases keep it
        matching = select(*keys).select_from(rows).where(self._matches(columns)).cte("matching")
        total = select(func.count()).select_from(matching).scalar_subquery().label("total")
        key, start = as_row(list(matching.c)), as_row(bind_key("start", self.key_columns(shape.order)))
        some = select(matching, total).where(key < start if shape.order.descending else key > start)
        some = some.order_by(*ordered(list(matching.c), descending=shape.order.descending))
        some = some.limit(literal_number(shape.size))
        return self._with_columns(some, shape, beside=["total"]) if shape.shows_rows else some

    def key_columns(self, order: SortOrder) -> Sequence[ColumnElement[Any]]:
        return self._list.orders[order.by](self._list.table.c)

    def _candidates(self, name: str, dialect_name: str) -> FromClause:
        """The ids of a filter's candidates, each once, in no order."""
        queries = [select(query.subquery().c.id) for query in self._candidate_queries(name, dialect_name)]
        if len(queries) == 1:
            return select(queries[0].subquery().c.id).distinct().subquery("candidates")
        return select(union(*queries).subquery().c.id).subquery("candidates")

    def _candidate_queries(self, name: str, dialect_name: str) -> list[Select[Any]]:
        make = self._list.filters[name].candidates
        if make is None:
            raise LookupError(name)
        return [query.limit(literal_number(COUNTED_UP_TO + 1)) for query in make(dialect_name)]

    def _make_count_candidates(self, name: str, dialect_name: str) -> Executable:
        """How many rows each candidate query has, up to one more than is counted."""
        counts = [
            select(func.count()).select_from(query.subquery()).scalar_subquery().label(f"n{number}")
            for number, query in enumerate(self._candidate_queries(name, dialect_name))
        ]
        return select(*counts)

    def _make_count_distinct_candidates(self, name: str, dialect_name: str) -> Executable:
        """How many rows the candidate queries have together, each counted once."""
        return select(func.count().label("n")).select_from(self._candidates(name, dialect_name))

    def _matches(self, columns: Columns) -> ColumnElement[bool]:
        """The conditions of all filters; those not in use are switched off."""
        conditions = [
            filter_.condition(columns)
            if filter_.is_permanent
            else or_(bindparam(f"any_{name}", type_=Boolean), filter_.condition(columns))
            for name, filter_ in self._list.filters.items()
        ]
        return and_(true(), *conditions)

    # ---- index scans -------------------------------------------------------------------------------------------------

    def _make_scan(self, scan: ScanShape, shape: PageShape) -> Executable:
        """The next rows of a scan."""
        keys = self._scanned_keys(scan, shape)
        return self._with_columns(keys, shape) if shape.shows_rows else keys

    def _make_merged_scans(self, scans: Sequence[ScanShape], shape: PageShape) -> Executable:
        """The next rows of several scans."""
        selects = []
        for number, scan in enumerate(scans):
            tag = scan_tag(number)
            same = bind_key(f"{tag}same", self.key_columns(shape.order)[: scan.same])
            selects.append(select(*_labelled("k", [*same, *self._scanned_keys(scan, shape, tag).subquery().c])))
        merged = union(*selects).subquery("merged")
        some = select(merged).order_by(*ordered(list(merged.c), descending=shape.order.descending))
        some = some.limit(literal_number(shape.size))
        return self._with_columns(some, shape) if shape.shows_rows else some

    def _make_scan_end(self, scan_shape: ScanShape, shape: PageShape) -> Executable:
        """The last row that a judged scan reads, of several scans the first such row; none when they have fewer."""
        scan = self._scan_of(scan_shape, shape, "")
        if self._list.scanned is None:
            raise LookupError(scan_shape.name)
        last = scan.select(
            _labelled("k", scan.key),
            1,
            shape.dialect_name,
            stops=scan_shape.is_ranged,
            descending=shape.order.descending,
        ).offset(literal_number(self._list.scanned - 1))
        return last if scan.source is None else _for_each(scan, last, 1, descending=shape.order.descending)

    def _make_count_all(self, dialect_name: str) -> Executable:
        """How many rows the scan `all` has, up to one more than is counted."""
        scan = self.index_scans(dialect_name)["all"]
        rows = scan.select(
            _labelled("k", scan.key), COUNTED_UP_TO + 1, dialect_name, starts=False, stops=False, descending=False
        )
        return select(func.count().label("n")).select_from(rows.subquery())

    def _scanned_keys(self, scan_shape: ScanShape, shape: PageShape, tag: str = "") -> Select[Any]:
        """The keys of the next rows of a scan, for one value of its prefix or for each of several."""
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
        """The keys of the next rows that meet all conditions, among those that are read.

        Nothing but an index decides which are read: a condition that it cannot answer would make the scan longer.
        """
        dialect_name, descending = shape.dialect_name, shape.order.descending
        if self._list.scanned is None:
            return self._exact_keys(scan, scan_shape, shape, "").where(self._matches(self._list.table.c))
        is_listed = scan.key[-1].table is self._list.table
        before, keys = _labelled("p", [column for column, _ in scan.prefix]), _labelled("k", scan.key)
        read_columns = [*(self._list.table.c if is_listed else ()), *before, *keys]
        read = scan.select(
            read_columns, self._list.scanned, dialect_name, stops=scan_shape.is_ranged, descending=descending
        )
        scanned = read.subquery("scanned")
        names = [column.name for column in keys]
        columns, rows = (scanned.c, scanned) if is_listed else self._looked_up(scanned, names[-1], dialect_name)
        matching = select(*(scanned.c[name] for name in names)).select_from(rows).where(self._matches(columns))
        if dialect_name == "postgresql":  # just as they were read, or it would sort them all
            matching = matching.order_by(
                *ordered([scanned.c[column.name] for column in (*before, *keys)], descending=descending)
            )
        # SQLite would sort them all if it were asked to; as it is, they come as they were read
        return matching.limit(literal_number(shape.size))

    def _looked_up(self, ids: FromClause, id_name: str, dialect_name: str) -> tuple[Columns, FromClause]:
        """The rows of ids, one by one through the primary key: a join might read the whole table."""
        table, id_ = self._list.table, self._list.id_
        if dialect_name == "postgresql":
            row = select(table).where(id_ == ids.c[id_name]).limit(literal_number(1)).lateral("listed")
            return row.c, ids.join(row, true())
        alias = table.alias("listed")
        return _Unindexed(alias.c), ids.join(alias, alias.c[id_.name] == ids.c[id_name])

    # ---- what is shown -----------------------------------------------------------------------------------------------

    def _with_columns(self, keys: Select[Any], shape: PageShape, beside: Sequence[str] = ()) -> Executable:
        """Everything that is shown of some rows, with their keys and what stands beside these."""
        page = keys.subquery("page")
        key = [column for column in page.c if column.name not in beside]
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

    def _make_lookup(self, dialect_name: str) -> Executable:
        """What is shown of the rows of some ids, in no order."""
        id_ = self._list.id_
        type_: Any = type(id_.type)
        if dialect_name != "postgresql":
            query = select(*self._list.columns, id_.label("listed_id")).select_from(self._list.joins(self._list.table))
            return query.where(any_of(id_, "ids", type_), *self._list.lookup)
        ids: Any = func.unnest(bindparam("ids", type_=ListOf(type_))).table_valued("id").render_derived(name="ids")
        row = self._row_of(ids.c.id).lateral("one")
        return select(*row.c, ids.c.id.label("listed_id")).select_from(ids.join(row, true()))


def _for_each(scan: IndexScan, keys: Select[Any], limit: int, *, descending: bool) -> Select[Any]:
    """The first keys of the scans for every row of the source."""
    several = scan.join_source(keys)
    return (
        several.distinct()
        .order_by(*ordered(list(several.selected_columns), descending=descending))
        .limit(literal_number(limit))
    )


def scan_tag(number: int) -> str:
    """What stands before the names of the values of a scan that is merged with others."""
    return f"s{number}_"


def _labelled(letter: str, columns: Sequence[ColumnElement[Any]]) -> list[Any]:
    return [column.label(f"{letter}{number}") for number, column in enumerate(columns)]


def key_of(row: Row) -> Key:
    """The key in a row of a statement of a page."""
    return tuple(getattr(row, name) for name in row._fields if name in _KEY_NAMES)
