"""How a list is declared, and what it is asked for."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, Table

from latchstring.domain.pagination import Key
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.lists.index_scan import IndexScan

T = TypeVar("T")
SCANNED = 5_000  # rows a page reads of an index scan whose rows are judged

Columns = Any  # of a table or a subquery: an attribute for each column


@dataclass(frozen=True, eq=False)
class Filter:
    """A filter in its two forms.

    condition: judges a row; applied when the value `any_<name>` is false, or always if is_permanent. candidates: for a
    dialect, selects of `id`, each along one index, in its order. overlaps: one row is often among several of these.
    is_exact: every candidate meets the condition.
    """

    condition: Callable[[Columns], ColumnElement[bool]]
    candidates: Callable[[str], Sequence[Select[Any]]] | None = None
    overlaps: bool = False
    is_exact: bool = True
    is_permanent: bool = False

    @property
    def counts_matches(self) -> bool:
        """Whether counting the candidates counts the rows that match."""
        return self.candidates is not None and self.is_exact


@dataclass(frozen=True, slots=True)
class Scan:
    """A use of an index scan of a list, by name.

    of: the filter whose rows it has, empty for none. is_exact: no row of it is judged, all are wanted. each: the values
    of EACH. low, high: keys of the scan between which all that match lie, both excluded. constant: what all its rows
    have in common in the sort order, before the key of the scan. values: what it binds differently from the rest of
    the query.
    """

    name: str
    of: str = ""
    is_exact: bool = False
    each: Sequence[Any] | None = None
    low: Key | None = None
    high: Key | None = None
    constant: Key = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeysetQuery:
    """What a list is asked for.

    filters: names of those in use, the most promising first. values: everything that conditions, candidates and scans
    bind. scans: where rows are read in the order asked for; together they have all that match. identity: a text
    that is different for different filters. is_counted: whether pages have totals.
    """

    filters: Sequence[str]
    values: Mapping[str, Any]
    scans: Sequence[Scan]
    identity: str = ""
    is_counted: bool = True

    @property
    def digest(self) -> str:
        return hashlib.blake2b(self.identity.encode(), digest_size=6).hexdigest()


def _nothing_joined(rows: FromClause) -> FromClause:
    return rows


@dataclass(frozen=True, eq=False, kw_only=True)
class ListDeclaration(Generic[T]):
    """A list: what it shows, how it is sorted and filtered, and where its rows are read.

    columns: what is shown of a row. joins: adds the tables that these need. read: makes an item of a row. id_: the
    column of the last part of every key. lookup: what else holds of the row that an id stands for. orders: the key
    columns of each sort order, made from the columns of a row. scans: for a dialect, index scans by name; one called
    `all` has the rows that a list without filters counts, unless count_all does. scanned: rows that are read of a scan
    whose rows are judged; None where a scan has no more than may be read.
    """

    table: Table
    columns: Sequence[ColumnElement[Any]]
    id_: ColumnElement[Any]
    read: Callable[[Row], T]
    orders: Mapping[str, Callable[[Columns], Sequence[ColumnElement[Any]]]]
    scans: Callable[[str], Mapping[str, IndexScan]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    joins: Callable[[FromClause], FromClause] = _nothing_joined
    lookup: Sequence[ColumnElement[bool]] = ()
    count_all: Callable[[Database, KeysetQuery], Awaitable[int]] | None = None
    scanned: int | None = SCANNED
