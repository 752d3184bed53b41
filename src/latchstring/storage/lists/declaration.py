"""Types to declare a list and to query it."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, Table

from latchstring.domain.pagination import Key
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.lists.index_scan import IndexScan

T = TypeVar("T")
SCAN_LIMIT = 5_000  # rows a page reads of an index scan with conditions

Columns = Any  # of a table or a subquery: an attribute for each column


@dataclass(frozen=True, eq=False)
class Filter:
    """A filter as a condition and as candidate queries.

    condition: applied to each row when the value `any_<name>` is false, or always if is_permanent. candidates: for a
    dialect, selects of `id`, each along one index, in its order. overlaps: a row is often in several of these selects.
    is_exact: every candidate meets the condition.
    """

    condition: Callable[[Columns], ColumnElement[bool]]
    candidates: Callable[[str], Sequence[Select[Any]]] | None = None
    overlaps: bool = False
    is_exact: bool = True
    is_permanent: bool = False

    @property
    def counts_matches(self) -> bool:
        """Whether the number of candidates is the number of matching rows."""
        return self.candidates is not None and self.is_exact


@dataclass(frozen=True, slots=True)
class Scan:
    """A use of an index scan of a list, by name.

    filter_name: the filter that selects the same rows, empty for none. is_exact: all rows match, no condition is
    checked. each: the values of EACH. low, high: exclusive bounds of the keys of matching rows. constant: the first
    part of the sort key that all its rows share, before the key of the scan. values: bind values that differ from
    those of the query.
    """

    name: str
    filter_name: str = ""
    is_exact: bool = False
    each: Sequence[Any] | None = None
    low: Key | None = None
    high: Key | None = None
    constant: Key = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeysetQuery:
    """A query of a list.

    filters: names of the filters in use, the most selective first. values: the bind values of conditions, candidates
    and scans. scans: the index scans to read in the sort order; together they contain all matching rows. identity: a
    text that differs for different filters. is_counted: whether pages have totals.
    """

    filters: Sequence[str]
    values: Mapping[str, Any]
    scans: Sequence[Scan]
    identity: str = ""
    is_counted: bool = True

    @property
    def digest(self) -> str:
        return hashlib.blake2b(self.identity.encode(), digest_size=6).hexdigest()


def _join_nothing(rows: FromClause) -> FromClause:
    return rows


@dataclass(frozen=True, eq=False, kw_only=True)
class ListDeclaration(Generic[T]):
    """A list: its columns, sort orders, filters and index scans.

    columns: the selected columns. joins: adds the tables that these need. read: converts a row to an item. id_: the
    column of the last part of every key. lookup: further conditions that identify the row of an id. orders: the key
    columns of each sort order, given the columns of a row. scans: for a dialect, index scans by name; the scan `all` is
    counted for a list without filters, unless there is count_all. scan_limit: rows that are read of a scan with
    conditions; None where every scan is short.
    """

    table: Table
    columns: Sequence[ColumnElement[Any]]
    id_: ColumnElement[Any]
    read: Callable[[Row], T]
    orders: Mapping[str, Callable[[Columns], Sequence[ColumnElement[Any]]]]
    scans: Callable[[str], Mapping[str, IndexScan]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    joins: Callable[[FromClause], FromClause] = _join_nothing
    lookup: Sequence[ColumnElement[bool]] = ()
    count_all: Callable[[Database, KeysetQuery], Awaitable[int]] | None = None
    scan_limit: int | None = SCAN_LIMIT
