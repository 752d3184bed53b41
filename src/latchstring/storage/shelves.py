"""Lists of the panel, at a cost that grows neither with the table nor with the depth of the page.

Every filter has two forms. A *finder* knows the index that leads to its rows, and stops after 10 000 of them. A
*condition* judges a row that is read already; all conditions are one expression, in which those not asked for are
switched off by a value, so that there is one statement instead of one for every combination.

The filter that finds fewest is asked for its rows, and these are judged, sorted and cut. Where even that one finds more
than 10 000, rows that match are so frequent that walking along the index of the order meets a page of them soon.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql import Executable

from latchstring.domain.stretch import Place, Sorting, Stretch
from latchstring.storage.engine import Database, Row
from latchstring.storage.search import prefix_end
from latchstring.storage.types import CanonicalText, Id

T = TypeVar("T")
COUNTED_UP_TO = 10_000
SIZES = (11, 26, 51, 101)  # written into the statements: a generic plan takes a bound limit for a tenth of the table
MADE = "made"  # the order of making, which every table has by its ids
_MOST: ColumnElement[int] = literal_column(str(COUNTED_UP_TO + 1), Integer)
_AFTER_ID = bindparam("after_id", type_=Id)
_AFTER_TEXT = bindparam("after_text", type_=CanonicalText)


def begins(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a text begins with the value of this name: a range, which an index in byte order serves."""
    return and_(column >= bindparam(name, type_=CanonicalText), column < bindparam(f"{name}_end", type_=CanonicalText))


def prefix(name: str, text: str) -> dict[str, str]:
    """The values of `begins`."""
    return {name: text, f"{name}_end": prefix_end(text)}


class Shelf(Generic[T]):
    """A table as the panel leafs through it.

    orders: text columns by name, each with an index that ends in the id. within: bounds that are always given, and
    with which those indexes begin. finders: for each filter, selects of ids. conditions: for each filter. binds: the
    values that filters take.
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
        within: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self._columns, self._id, self._read, self._binds = columns, id_, read, binds
        self._orders, self._finders, self._within = orders, finders, within
        self._conditions = [
            or_(bindparam(f"any_{name}", type_=Boolean), condition) for name, condition in sorted(conditions.items())
        ]
        # a handful of filters and orders: every statement is kept
        self._page = lru_cache(maxsize=None)(self._make_page)
        self._count = lru_cache(maxsize=None)(self._make_count)

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
        """Items from behind `after`. asked: the values of each filter that is asked for; bounds: those of `within`."""
        values = self._values(asked) | bounds
        finder, total = await self._choose(db, asked, values)
        place = {} if after is None else {"after_id": after.id, "after_text": after.text}
        size = next(size for size in SIZES if limit < size)
        statement = self._page(finder, sorting, size, after is not None)
        rows = await db.fetch(statement, **values, **place)
        following = _place(rows[limit - 1], sorting) if len(rows) > limit else None
        return Stretch([self._read(row) for row in rows[:limit]], following, total)

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
            return None, _within_bound((await db.fetch(self._count(None), **values))[0].n)
        found = {name: (await db.fetch(self._count(name), **values))[0] for name in asked}
        fewest = min(found, key=lambda name: found[name].read)
        if found[fewest].read > COUNTED_UP_TO:
            return None, None
        return fewest, found[fewest].n

    def _ids(self, finder: str) -> Select[Any]:
        """The ids a finder knows, each of its ways cut off."""
        ways = [way.limit(_MOST).subquery() for way in self._finders[finder]]
        first, *others = (select(way.c.id) for way in ways)
        return select(first.union(*others).subquery().c.id) if others else first

    def _make_count(self, finder: str | None) -> Executable:
        """n: how many match; read: how many the finder found, to judge whether that is all."""
        if finder is None:
            some = select(self._id).where(*self._within).limit(_MOST).subquery()
            return select(func.count().label("n")).select_from(some)
        found = self._ids(finder).subquery("found")
        matching = select(func.count()).where(self._id.in_(select(found.c.id)), *self._within, *self._conditions)
        read = select(func.count()).select_from(found)
        return select(matching.scalar_subquery().label("n"), read.scalar_subquery().label("read"))

    def _make_page(self, finder: str | None, sorting: Sorting, size: int, continued: bool) -> Executable:  # noqa: FBT001  # a cache's key
        column = self._orders.get(sorting.by)
        text = literal_column("NULL") if column is None else column
        page = select(self._id.label("id"), text.label("sorted_by")).where(*self._within, *self._conditions)
        if finder is not None:
            page = page.where(self._id.in_(self._ids(finder)))
        if continued:
            page = page.where(self._after(column, descending=sorting.descending))
        keys = [self._id] if column is None else [column, self._id]
        order = [key.desc() if sorting.descending else key.asc() for key in keys]
        some = page.order_by(*order).limit(literal_column(str(size), Integer)).subquery("some")
        joined = select(*self._columns, some.c.sorted_by).join(some, some.c.id == self._id)
        return joined.order_by(*order)

    def _after(self, column: ColumnElement[Any] | None, *, descending: bool) -> ColumnElement[bool]:
        if column is None:
            return self._id < _AFTER_ID if descending else self._id > _AFTER_ID
        here, place = tuple_(column, self._id), tuple_(_AFTER_TEXT, _AFTER_ID)
        return here < place if descending else here > place


def _place(row: Row, sorting: Sorting) -> Place:
    return Place(row.id, None if sorting.by == MADE else row.sorted_by)


def _within_bound(number: int) -> int | None:
    return number if number <= COUNTED_UP_TO else None
