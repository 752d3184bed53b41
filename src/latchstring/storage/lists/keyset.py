"""Lists of the panel, at a cost that grows neither with the table nor with the depth of the page.

Every filter has two forms. A *finder* knows the index that leads to its rows, and stops after a few thousand of them. A
*condition* judges a row that is read already; all conditions are one expression, in which those not asked for are
switched off by a value, so that there is one statement instead of one for every combination.

The filter that finds fewest is asked for its rows, and these are judged, sorted and cut. Where even that one finds more
than are gathered, rows that match are so frequent that walking along the index of the order meets a page of them soon;
of a search that finds more, the first by name are shown.

PostgreSQL plans without knowing the values. Where the cost has to stay bounded for every value it is left one way only:
finders ask for the order of their index, rows are compared with rows, and what was found is looked up in LATERAL with a
LIMIT, which cannot become a join. SQLite has no LATERAL, and takes what stands in IN for what it begins with.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql import Executable

from latchstring.domain.keyset_page import Place, Sorting, Stretch
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.types import CanonicalText, Id
from latchstring.storage.lists.prefix_search import prefix_end

T = TypeVar("T")
COUNTED_UP_TO = 10_000
GATHERED = 2_000  # rows of one filter
SIZES = (11, 26, 51, 101)  # written into the statements: a generic plan takes a bound limit for a tenth of the table
SEARCH = "q"  # the filter by how names begin
MADE = "made"  # the order of making, which every table has by its ids
_NIL = bindparam("nil", UUID(int=0), type_=Id)
_AFTER_ID = bindparam("after_id", type_=Id)
_AFTER_TEXT = bindparam("after_text", type_=CanonicalText)
_BEGINNING, _END = Place(UUID(int=0), ""), Place(UUID(int=2**128 - 1), prefix_end(""))


def begins(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a text begins with the value of this name: a range, which an index in byte order serves."""
    return and_(column >= bindparam(name, type_=CanonicalText), column < bindparam(f"{name}_end", type_=CanonicalText))


def prefix(name: str, text: str) -> dict[str, str]:
    """The values of `begins`."""
    return {name: text, f"{name}_end": prefix_end(text)}


def along(lead: ColumnElement[Any], value: ColumnElement[Any], id_: ColumnElement[UUID]) -> Select[Any]:
    """The ids of the rows where a column has this value, along the index of both and along no other."""
    query = select(id_.label("id")).where(tuple_(lead, id_) > tuple_(value, _NIL), lead <= value)
    return query.order_by(lead, id_)


def beginning(
    column: ColumnElement[Any],
    name: str,
    id_: ColumnElement[UUID],
    lead: tuple[ColumnElement[Any], ColumnElement[Any]] | None = None,
) -> Select[Any]:
    """The ids of the rows where a text begins with the value of this name, along its index. lead: as of a shelf."""
    first, last = (bindparam(one, type_=CanonicalText) for one in (name, f"{name}_end"))
    # as rows: PostgreSQL believes that few begin so, and would read and sort all of them
    columns, values = ([column, id_], [_NIL]) if lead is None else ([lead[0], column], [])
    before = [] if lead is None else [lead[1]]
    row = tuple_(*columns)
    query = select(id_.label("id")).where(row >= tuple_(*before, first, *values), row < tuple_(*before, last, *values))
    return query.order_by(*columns[: len(before) + 1])


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)


class Shelf(Generic[T]):
    """A table as the panel leafs through it.

    orders: text columns by name, each with an index that ends in the id. lead: a column and the value it must have,
    with which those indexes begin. finders: for each filter, ways to ids, each in the order of its index. conditions:
    for each filter. binds: the values that filters take.
    """

    def __init__(
        self,
        *columns: ColumnElement[Any],
        id_: ColumnElement[UUID],
        read: Callable[[Row], T],
        orders: Mapping[str, ColumnElement[Any]],
        finders: Mapping[str, Sequence[Select[Any]]],
        conditions: Mapping[str, ColumnElement[bool]],
        binds: Sequence[str],
        lead: tuple[ColumnElement[Any], ColumnElement[Any]] | None = None,
    ) -> None:
        self._columns, self._id, self._read, self._binds = columns, id_, read, binds
        self._orders, self._finders, self._lead = orders, finders, lead
        self._conditions = [
            or_(bindparam(f"any_{name}", type_=Boolean), condition) for name, condition in sorted(conditions.items())
        ]
        # a handful of filters and orders: every statement is kept
        self._page = lru_cache(maxsize=None)(self._make_page)
        self._gathered = lru_cache(maxsize=None)(self._make_gathered)
        self._found = lru_cache(maxsize=None)(self._make_found)
        self._matching = lru_cache(maxsize=None)(self._make_matching)

    async def stretch(
        self,
        db: Database,
        asked: Mapping[str, Mapping[str, Any]],
        *,
        sorting: Sorting,
        after: Place | None,
        limit: int,
        **bounds: Any,
    ) -> Stretch[T]:
        """Items from behind `after`. asked: the values of each filter that is asked for; bounds: those of `lead`."""
        values = self._values(asked) | bounds
        finder, total = await self._choose(db, asked, values)
        place = after or (_END if sorting.descending else _BEGINNING)
        size = next(size for size in SIZES if limit < size)
        statement = (
            self._page(sorting, size) if finder is None else self._gathered(finder, sorting, size, db.dialect_name)
        )
        rows = await db.fetch(statement, **values, after_id=place.id, after_text=place.text)
        following = _place(rows[limit - 1], sorting) if len(rows) > limit else None
        return Stretch([self._read(row) for row in rows[:limit]], following, total)

    # ---- where to begin ------------------------------------------------------------------------------------------

    def _values(self, asked: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = dict.fromkeys(self._binds)
        for name in self._finders:
            values |= {f"any_{name}": name not in asked} | dict(asked.get(name, {}))
        return values

    async def _choose(
        self, db: Database, asked: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]
    ) -> tuple[str | None, int | None]:
        """The filter to begin with, None to walk along the order; and how many match, None beyond what is counted."""
        if not asked:
            number = (await db.fetch(self._found(None), **values))[0].n
            return None, number if number <= COUNTED_UP_TO else None
        found = {name: (await db.fetch(self._found(name), **values))[0].n for name in asked}
        fewest = min(found, key=lambda name: found[name])
        if found[fewest] > GATHERED:
            # what begins so may lie far away in any other order: the first of it by name are shown, and no more
            return (SEARCH if SEARCH in asked else None), None
        if len(asked) == 1:
            return fewest, found[fewest]
        return fewest, (await db.fetch(self._matching(fewest, db.dialect_name), **values))[0].n

    def _ids(self, finder: str) -> Select[Any]:
        """The ids a finder knows, each of its ways cut off."""
        ways = [way.limit(_number(GATHERED + 1)).subquery() for way in self._finders[finder]]
        first, *others = (select(way.c.id) for way in ways)
        return select(first.union(*others).subquery().c.id) if others else first

    def _make_found(self, finder: str | None) -> Executable:
        if finder is None:
            # the order is there to keep to one index; without a lead the whole table may be read, and is cut off
            ordered = select(self._id).where(*self._led).order_by(*self._order([], descending=False))
            some = ordered if self._lead else select(self._id)
            return select(func.count().label("n")).select_from(some.limit(_number(COUNTED_UP_TO + 1)).subquery())
        return select(func.count().label("n")).select_from(self._ids(finder).subquery())

    def _make_matching(self, finder: str, dialect_name: str) -> Executable:
        rows = self._look_up(finder, select(self._id.label("id")).where(*self._conditions), dialect_name)
        return select(func.count().label("n")).select_from(rows.subquery())

    # ---- pages ---------------------------------------------------------------------------------------------------

    def _make_page(self, sorting: Sorting, size: int) -> Executable:
        """Along the index of the order."""
        page = self._sorted(sorting).where(*self._after(sorting)).order_by(*self._order_of(sorting))
        return self._joined(page.limit(_number(size)), sorting)

    def _make_gathered(self, finder: str, sorting: Sorting, size: int, dialect_name: str) -> Executable:
        """From what a filter found."""
        row, place = self._row(sorting)
        behind = row < place if sorting.descending else row > place
        rows = self._look_up(finder, self._sorted(sorting).where(behind), dialect_name).subquery("matching")
        keys = [rows.c.id] if sorting.by == MADE else [rows.c.sorted_by, rows.c.id]
        order = [key.desc() if sorting.descending else key.asc() for key in keys]
        return self._joined(select(rows).order_by(*order).limit(_number(size)), sorting)

    def _look_up(self, finder: str, wanted: Select[Any], dialect_name: str) -> Select[Any]:
        """Those rows of a select whose ids a finder knows."""
        found: FromClause = self._ids(finder).subquery("found")
        if dialect_name != "postgresql":
            return wanted.where(self._id.in_(select(found.c.id)))
        one = wanted.where(self._id == found.c.id).limit(_number(1)).lateral("one")
        return select(one).select_from(found.join(one, true()))

    def _sorted(self, sorting: Sorting) -> Select[Any]:
        column = self._orders.get(sorting.by)
        text = literal_column("NULL") if column is None else column
        return select(self._id.label("id"), text.label("sorted_by")).where(*self._conditions)

    def _joined(self, page: Select[Any], sorting: Sorting) -> Executable:
        some = page.subquery("some")
        joined = select(*self._columns, some.c.sorted_by).join(some, some.c.id == self._id)
        keys = [some.c.id] if sorting.by == MADE else [some.c.sorted_by, some.c.id]
        return joined.order_by(*(key.desc() if sorting.descending else key.asc() for key in keys))

    # ---- orders --------------------------------------------------------------------------------------------------

    def _row(self, sorting: Sorting) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """A row as it is compared, and the place it is compared with."""
        column = self._orders.get(sorting.by)
        columns, values = ([], []) if column is None else ([column], [_AFTER_TEXT])
        leads, bounds = ([], []) if self._lead is None else ([self._lead[0]], [self._lead[1]])
        return tuple_(*leads, *columns, self._id), tuple_(*bounds, *values, _AFTER_ID)

    def _after(self, sorting: Sorting) -> list[ColumnElement[bool]]:
        row, place = self._row(sorting)
        behind = row < place if sorting.descending else row > place
        if self._lead is None:
            return [behind]
        lead, value = self._lead
        # said as a range: an equation would tell PostgreSQL that any index in the order of the rest will do
        return [behind, lead >= value if sorting.descending else lead <= value]

    @property
    def _led(self) -> list[ColumnElement[bool]]:
        if self._lead is None:
            return []
        lead, value = self._lead
        return [lead >= value, lead <= value]  # a range, as above

    def _order_of(self, sorting: Sorting) -> list[ColumnElement[Any]]:
        column = self._orders.get(sorting.by)
        return self._order([] if column is None else [column], descending=sorting.descending)

    def _order(self, columns: Sequence[ColumnElement[Any]], *, descending: bool) -> list[ColumnElement[Any]]:
        keys = [*([] if self._lead is None else [self._lead[0]]), *columns, self._id]
        return [key.desc() if descending else key.asc() for key in keys]


def _place(row: Row, sorting: Sorting) -> Place:
    return Place(row.id, None if sorting.by == MADE else row.sorted_by)
