"""The engine of all lists: keyset pagination with filters, at a cost independent of depth and table size.

A list is declared as data (see declaration). A page is read in one of two ways.

*Index scan*: rows are read in the order of the list and checked against all filters until the page is full. If the
index of a filter has its rows in that order, only these are read. The number of rows read is limited: where hardly any
row matches all filters, the page ends at the limit and is partial, and the next page continues there.

*Candidates*: the candidate query of a filter finds the ids of its rows in an index. When there are few (MAX_CANDIDATES
at most), the rows are looked up, checked against all other filters, counted and sorted.

A page takes one or two statements: a count on the first page, or to choose among filters, and the page itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from latchstring.domain.pagination import Cursor, Key, Page, SortOrder
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.lists.declaration import KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import COUNTED_UP_TO, highest_key, key_values, lowest_key
from latchstring.storage.lists.statements import ListStatements, PageShape, ScanShape, key_of, scan_tag

T = TypeVar("T")
MAX_CANDIDATES = COUNTED_UP_TO  # of a filter, to be looked up for a page
FEW_CANDIDATES = 1_000  # with so few, counting those of another filter or an index scan saves nothing
PAGE_SIZES = (10, 25, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class _Request:
    """A read of the rows behind a cursor in an order, one more than the page has."""

    db: Database
    query: KeysetQuery
    order: SortOrder
    cursor: Cursor | None
    size: int
    shows_rows: bool

    @property
    def shape(self) -> PageShape:
        return PageShape(self.order, self.size, self.db.dialect_name, self.shows_rows)

    @property
    def knows_total(self) -> bool:
        """Whether an earlier page with the same filters has counted."""
        return self.cursor is not None and self.cursor.counted == self.query.digest


@dataclass(frozen=True, slots=True)
class _Result:
    """Keys in order.

    rows: their columns, if already read. is_counted: whether total is known; a total of None then means more than are
    counted. truncated_at: the last key that was read when the scan reached its limit.
    """

    keys: Sequence[Key]
    rows: Sequence[Row] | None = None
    total: int | None = None
    is_counted: bool = False
    truncated_at: Key | None = None

    def with_total(self, total: int | None) -> "_Result":
        known = None if total is None or total > COUNTED_UP_TO else total
        return replace(self, total=known, is_counted=True)


@dataclass(frozen=True, slots=True)
class _BoundScan:
    """A scan with the bounds of its keys."""

    scan: Scan
    low: Key
    high: Key

    @property
    def shape(self) -> ScanShape:
        scan = self.scan
        is_ranged = scan.low is not None or scan.high is not None
        return ScanShape(scan.name, scan.is_exact, len(scan.each or ()) > 1, is_ranged, same=len(scan.constant))

    def values(self, tag: str = "") -> dict[str, Any]:
        """Return the bind values of the scan."""
        values = {**self.scan.values, **key_values(f"{tag}low", self.low), **key_values(f"{tag}high", self.high)}
        if self.scan.each is not None:
            values[f"{tag}each"] = list(self.scan.each) if len(self.scan.each) > 1 else self.scan.each[0]
        return values


class KeysetList(Generic[T]):
    """A list that is read in pages."""

    def __init__(self, declaration: ListDeclaration[T]) -> None:
        self.declaration = declaration
        self._statements = ListStatements(declaration)

    async def page(
        self, db: Database, query: KeysetQuery, *, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[T]:
        """Return the page at a cursor. limit: at most the largest of PAGE_SIZES.

        When a backward cursor has less than a page before it, the first page is returned instead.
        """
        page, rows = await self._page(db, query, order, cursor, limit=limit, shows_rows=True)
        return page.with_items([self.declaration.read(row) for row in rows])

    async def ids(
        self, db: Database, query: KeysetQuery, *, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[Any]:
        """Return the same page with only the ids of its rows."""
        page, _ = await self._page(db, query, order, cursor, limit=limit, shows_rows=False)
        return page.map(lambda key: key[-1])

    async def count(self, db: Database, query: KeysetQuery, *, order: SortOrder) -> int | None:
        """Count the matching rows; None when there are more than are counted."""
        return (await self._read(_Request(db, query, order, None, PAGE_SIZES[0] + 1, shows_rows=False))).total

    async def find(self, db: Database, ids: Sequence[Any], **values: Any) -> list[T]:
        """Return the items of these ids, in this order, without those that do not exist."""
        rows = await self._look_up(db, ids, values)
        return [self.declaration.read(rows[id_]) for id_ in ids if id_ in rows]

    # ---- a page ------------------------------------------------------------------------------------------------------

    async def _page(
        self,
        db: Database,
        query: KeysetQuery,
        order: SortOrder,
        cursor: Cursor | None,
        *,
        limit: int,
        shows_rows: bool,
    ) -> tuple[Page[Key], Sequence[Row]]:
        """Return the keys of a page with its cursors, and their rows."""
        size = next(size for size in PAGE_SIZES if limit <= size) + 1
        is_backward = cursor is not None and cursor.is_backward
        request = _Request(db, query, order.reversed if is_backward else order, cursor, size, shows_rows)
        result = await self._read(request)
        has_more = len(result.keys) > limit
        if is_backward and not has_more and result.truncated_at is None:
            return await self._page(db, query, order, None, limit=limit, shows_rows=shows_rows)
        keys, rows = result.keys[:limit], await self._fetch_displayed_rows(request, result, limit)
        ahead = keys[-1] if has_more else result.truncated_at
        back = keys[0] if cursor is not None and keys else None
        if cursor is not None and is_backward:
            keys, rows, ahead, back = keys[::-1], rows[::-1], back or cursor.key, ahead
        counted = query.digest if result.is_counted else ""
        page = Page(
            keys,
            None if ahead is None else Cursor(ahead, total=result.total, counted=counted),
            None if back is None else Cursor(back, is_backward=True, total=result.total, counted=counted),
            result.total,
            is_partial=result.truncated_at is not None and not has_more,
        )
        return page, rows

    async def _fetch_displayed_rows(self, request: _Request, result: _Result, limit: int) -> Sequence[Row]:
        if not request.shows_rows:
            return ()
        if result.rows is not None:
            return result.rows[:limit]
        ids = [key[-1] for key in result.keys[:limit]]
        rows = await self._look_up(request.db, ids, request.query.values)
        return [rows[id_] for id_ in ids if id_ in rows]

    async def _look_up(self, db: Database, ids: Sequence[Any], values: Mapping[str, Any]) -> dict[Any, Row]:
        if not ids:
            return {}
        rows = await db.fetch(self._statements.lookup(db.dialect_name), **{**values, "ids": list(ids)})
        return {row.listed_id: row for row in rows}

    # ---- choice of the plan ------------------------------------------------------------------------------------------

    async def _read(self, request: _Request) -> _Result:
        """Read the next rows, with the total if it is counted."""
        query = request.query
        if query.filters and not _has_own_scan(query):
            return await self._read_filtered(request)
        result = await self._read_scans(request)
        if _is_whole_list(request, result):
            return result.with_total(len(result.keys)) if query.is_counted else result
        if query.is_counted:
            result = result.with_total(await self._count_scanned(request))
        is_few = result.total is not None and result.total <= MAX_CANDIDATES
        if query.filters and result.truncated_at is not None and is_few:
            return await self._read_candidates(request, query.filters[0])
        return result

    async def _count_scanned(self, request: _Request) -> int | None:
        """Count the rows of the scans, when there is no filter or a scan has exactly the rows of the filter."""
        db, query = request.db, request.query
        if request.cursor is not None and request.knows_total:
            return request.cursor.total
        if query.filters:
            return await self._count_candidates(request, query.filters[0])
        if self.declaration.count_all is not None:
            return await self.declaration.count_all(db, query)
        return int((await db.fetch(self._statements.count_all(db.dialect_name), **query.values))[0].n)

    async def _read_filtered(self, request: _Request) -> _Result:
        """Read the next rows when no scan has exactly the matching rows."""
        query = request.query
        only = query.filters[0] if len(query.filters) == 1 and query.is_counted else ""
        if only and self.declaration.filters[only].counts_matches:
            return await self._read_filtered_once(request, only)
        if request.knows_total and request.cursor is not None and request.cursor.total is None:
            return (await self._read_scans(request)).with_total(None)  # the first page found too many candidates
        name, count = await self._fewest_candidates(request)
        if name is None:
            result = await self._read_scans(request)
            total = len(result.keys) if _is_whole_list(request, result) else None
            return result.with_total(total) if query.is_counted else result
        if count > FEW_CANDIDATES and (request.knows_total or not query.is_counted):
            result = await self._read_scans(request)
            if result.truncated_at is None:
                return result.with_total(request.cursor.total) if request.knows_total and request.cursor else result
        return await self._read_candidates(request, name)

    async def _read_filtered_once(self, request: _Request, name: str) -> _Result:
        """Read the next rows of a single filter, counting its candidates instead of the matching rows."""
        if request.knows_total and request.cursor is not None:
            total = request.cursor.total
        else:
            statement = self._statements.count_distinct_candidates(name, request.db.dialect_name)
            total = int((await request.db.fetch(statement, **request.query.values))[0].n)
        if total is not None and total <= min(FEW_CANDIDATES, MAX_CANDIDATES):
            return await self._read_candidates(request, name)
        # with so many, an index scan fills a page soon
        result = await self._read_scans(request)
        if result.truncated_at is not None and total is not None and total <= MAX_CANDIDATES:
            return await self._read_candidates(request, name)
        return result.with_total(total)

    async def _fewest_candidates(self, request: _Request) -> tuple[str | None, int]:
        """Return the filter with the fewest candidates, and their number; None when all have too many to look up."""
        best, fewest = None, MAX_CANDIDATES + 1
        for name in request.query.filters:
            if self.declaration.filters[name].candidates is None:
                continue
            count = await self._count_candidates(request, name)
            if count < fewest:
                best, fewest = name, count
            if fewest <= FEW_CANDIDATES:
                break
        return best, fewest

    async def _count_candidates(self, request: _Request, name: str) -> int:
        """Count the candidates of a filter, up to one more than is counted; a lower bound where the queries overlap."""
        statement = self._statements.count_candidates(name, request.db.dialect_name)
        counts = (await request.db.fetch(statement, **request.query.values))[0]
        return max(counts) if self.declaration.filters[name].overlaps else sum(counts)

    async def _read_candidates(self, request: _Request, name: str) -> _Result:
        """Read the next rows among the candidates of a filter."""
        columns, cursor = self._statements.key_columns(request.order), request.cursor
        first = highest_key(columns) if request.order.descending else lowest_key(columns)
        statement, values = self._statements.candidates(name, request.shape), request.query.values
        rows = await request.db.fetch(statement, **values, **key_values("start", cursor.key if cursor else first))
        counted = rows
        if not rows and cursor is not None:  # without a row there is no total: read again from the start
            counted = await request.db.fetch(statement, **values, **key_values("start", first))
        result = _Result([key_of(row) for row in rows], rows if request.shows_rows else None)
        return result.with_total(counted[0].total if counted else 0) if request.query.is_counted else result

    # ---- index scans -------------------------------------------------------------------------------------------------

    async def _read_scans(self, request: _Request) -> _Result:
        """Read the next rows of all scans of the query."""
        scans = _split_by_value(request.query.scans, request.db.dialect_name)
        used = [bound for bound in (self._bind_scan(request, scan) for scan in scans) if bound is not None]
        if len(used) == 1:
            return await self._read_scan(request, used[0])
        if used and request.db.dialect_name == "postgresql" and all(bound.scan.is_exact for bound in used):
            return await self._read_merged(request, used)
        return await self._read_separately(request, used)

    def _bind_scan(self, request: _Request, scan: Scan) -> _BoundScan | None:
        """Return a scan with the bounds of its keys; None when all its rows come before the cursor."""
        columns = self._statements.index_scans(request.db.dialect_name)[scan.name].key
        low, high = scan.low or lowest_key(columns), scan.high or highest_key(columns)
        if request.cursor is None:
            return _BoundScan(scan, low, high)
        same = len(scan.constant)
        lead, rest = request.cursor.key[:same], request.cursor.key[same:]
        if request.order.descending:
            has_rows, high = lead >= scan.constant, min(high, rest) if lead == scan.constant else high
        else:
            has_rows, low = lead <= scan.constant, max(low, rest) if lead == scan.constant else low
        return _BoundScan(scan, low, high) if has_rows else None

    async def _read_scan(self, request: _Request, bound: _BoundScan) -> _Result:
        statement = self._statements.scan(bound.shape, request.shape)
        rows = await request.db.fetch(statement, **{**request.query.values, **bound.values()})
        keys = [(*bound.scan.constant, *key_of(row)) for row in rows]
        end = await self._find_end(request, bound) if bound.shape.is_for_each or len(rows) < request.size else None
        known = _known_until(keys, end, descending=request.order.descending)
        truncated_at = end if len(known) < request.size else None
        return _Result(known, rows[: len(known)] if request.shows_rows else None, truncated_at=truncated_at)

    async def _find_end(self, request: _Request, bound: _BoundScan) -> Key | None:
        """Return the key at the limit of a scan with conditions; None when it has fewer rows."""
        if bound.scan.is_exact or self.declaration.scan_limit is None:
            return None
        statement = self._statements.scan_end(bound.shape, request.shape)
        rows = await request.db.fetch(statement, **{**request.query.values, **bound.values()})
        return (*bound.scan.constant, *key_of(rows[0])) if rows else None

    async def _read_merged(self, request: _Request, used: Sequence[_BoundScan]) -> _Result:
        """Read several exact scans in one statement."""
        values = dict(request.query.values)
        for number, bound in enumerate(used):
            tag = scan_tag(number)
            values |= {**bound.values(tag), **key_values(f"{tag}same", bound.scan.constant)}
        statement = self._statements.merged_scans(tuple(bound.shape for bound in used), request.shape)
        rows = await request.db.fetch(statement, **values)
        return _Result([key_of(row) for row in rows], rows if request.shows_rows else None)

    async def _read_separately(self, request: _Request, used: Sequence[_BoundScan]) -> _Result:
        """Read several scans one after the other. Rows are complete up to the end of the scan that ends first."""
        keys_read, ends = set[Key](), list[Key]()
        for bound in used:
            result = await self._read_scan(replace(request, shows_rows=False), bound)
            keys_read.update(result.keys)
            ends += [] if result.truncated_at is None else [result.truncated_at]
        descending = request.order.descending
        end = (max(ends) if descending else min(ends)) if ends else None
        keys = _known_until(sorted(keys_read, reverse=descending), end, descending=descending)[: request.size]
        return _Result(keys, truncated_at=end if len(keys) < request.size else None)


def _known_until(keys: Sequence[Key], end: Key | None, *, descending: bool) -> Sequence[Key]:
    """Return the ordered keys up to the end of what was read."""
    if end is None:
        return keys
    return [key for key in keys if (key >= end if descending else key <= end)]


def _is_whole_list(request: _Request, result: _Result) -> bool:
    return request.cursor is None and result.truncated_at is None and len(result.keys) < request.size


def _has_own_scan(query: KeysetQuery) -> bool:
    """Whether the only filter has a scan with its rows in the sort order, each row once."""
    if len(query.filters) != 1 or len(query.scans) != 1:
        return False
    return query.scans[0].filter_name == query.filters[0] and len(query.scans[0].each or ()) <= 1


def _split_by_value(scans: Sequence[Scan], dialect_name: str) -> list[Scan]:
    """Return the scans, on SQLite once for each of several values. A scan without values has no rows and is dropped."""
    expanded = list[Scan]()
    for scan in scans:
        if scan.each is None or dialect_name == "postgresql":
            expanded += [scan] if scan.each is None or scan.each else []
        else:
            expanded += [replace(scan, each=[value]) for value in scan.each]
    return expanded
