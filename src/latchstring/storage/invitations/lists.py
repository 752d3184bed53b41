"""Pages of invitations: any filters in any order, at a cost that neither depth nor the size of the table changes.

A page is read in one of two ways.

*Gathering*: when a filter leads to few rows (COUNTED_UP_TO at most), these are read, judged by all other filters,
counted and sorted. The most promising filter is found by counting, bounded, in the indexes.

*Walking*: else every filter is met often, and rows are walked in the order of the list and judged until the page is
full. A walk along the index of one filter's value (a *lane*) meets that filter always. It looks at WALKED rows of a
lane at most: where filters exclude each other nearly everywhere, the page ends there, *cut*, and the next goes on.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import FromClause, bindparam, func, literal_column, select, true
from sqlalchemy.sql import Executable

from latchstring.domain.invitation import Standing
from latchstring.domain.invitation_list import InvitationFilter, InvitationPage, Order, Position
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import invitations
from latchstring.storage.engine.types import Instant, any_of
from latchstring.storage.invitations.filters import (
    COUNTED_UP_TO,
    count_found_by,
    counted,
    finders_of,
    found_by,
    matches,
)
from latchstring.storage.invitations.read import read_standing, select_standing
from latchstring.storage.invitations.scans import stride, walk
from latchstring.storage.invitations.sort_orders import (
    SIZES,
    Found,
    Search,
    beyond,
    number,
    shown_value,
    size_for,
    sort_value,
    start_of,
)

FEW = 1000  # so few rows that looking for a better filter costs more than it saves
_i = invitations.c


# ---- gathering -------------------------------------------------------------------------------------------------------


@cache
def _gather(finder: str, order: Order, dialect_name: str) -> Executable:
    found = found_by(finder, dialect_name)
    if dialect_name == "postgresql":
        # row by row through the primary key: a join might read the whole table
        i: FromClause = select(invitations).where(_i.id == found.c.id).limit(number(1)).lateral("i")
        joined = found.join(i, true())
    else:
        i = invitations.alias("i")
        joined = found.join(i, i.c.id == found.c.id)
    value = sort_value(i.c, order.by)
    # read twice, so both databases keep it
    all_ = select(i.c.id, shown_value(value)).select_from(joined).where(matches(i.c)).cte("matching")
    keys = [all_.c.id] if value is None else [all_.c.value, all_.c.id]
    total = select(func.count()).select_from(all_).scalar_subquery().label("total")
    rows = select(all_.c.id, all_.c.value, total).where(beyond(keys, order))
    return rows.order_by(*(key.desc() if order.descending else key.asc() for key in keys)).limit(bindparam("rows"))


async def _gathered(search: Search, finder: str) -> Found:
    statement = _gather(finder, search.order, search.db.dialect_name)
    rows = await search.db.fetch(statement, **search.values, rows=search.size)
    first = rows
    if not rows and search.after != (start := start_of(search.order)):
        first = await search.db.fetch(statement, **replace(search, after=start).values, rows=1)
    return Found([Position(row.id, row.value) for row in rows], first[0].total if first else 0)


# ---- a page ----------------------------------------------------------------------------------------------------------

_PENDING_TERMS = select(_i.terms_key, _i.id).where(
    any_of(_i.terms_key, "keys"), _i.state == literal_column("0"), _i.expires_at > bindparam("now", type_=Instant)
)
_STANDINGS = select_standing().where(any_of(_i.id, "ids"))


async def find_standings(db: Database, ids: Sequence[UUID]) -> list[Standing]:
    """These invitations as they are shown, in this order; those that are gone are left out."""
    rows = {row.id: row for row in await db.fetch(_STANDINGS, ids=list(ids))} if ids else {}
    return [read_standing(rows[id_]) for id_ in ids if id_ in rows]


async def find_pending_terms(db: Database, keys: Sequence[UUID], *, at: datetime) -> dict[UUID, UUID]:
    """Those of the digests of terms under which an invitation is pending, with its id."""
    rows = await db.fetch(_PENDING_TERMS, keys=list(keys), now=at) if keys else []
    return {row.terms_key: row.id for row in rows}


async def _best_finder(search: Search) -> str | None:
    """The finder that leads to the fewest rows; None when all lead to more than are counted."""
    best, fewest = None, COUNTED_UP_TO + 1
    for name in finders_of(search.wanted):
        count = await _count(search, name)
        if count < fewest:
            best, fewest = name, count
        if fewest <= FEW:
            break
    return best


async def _count(search: Search, finder: str) -> int:
    rows = await search.db.fetch(count_found_by(finder, search.db.dialect_name), **search.values)
    return counted(finder, rows[0])


async def _find(search: Search) -> Found:
    if not finders_of(search.wanted):
        return replace(await stride(search), total=_known(await _count(search, "range")))
    if (finder := await _best_finder(search)) is not None:
        found = await _gathered(search, finder)
        return replace(found, total=_known(found.total or 0))
    found = await walk(search)
    is_all = search.after == start_of(search.order) and found.cut_at is None and len(found.places) < search.size
    return replace(found, total=len(found.places)) if is_all else found


def _known(total: int) -> int | None:
    return total if total <= COUNTED_UP_TO else None


async def list_invitations(
    db: Database,
    wanted: InvitationFilter,
    *,
    order: Order,
    after: Position | None = None,
    before: Position | None = None,
    limit: int,
    at: datetime,
) -> InvitationPage:
    """A page of invitations in this order: what follows `after`, or what comes just before `before`.

    limit: 1000 at most. When fewer than a page come before a place, the first page is answered instead.
    """
    if before is None:
        found = await _find(Search(db, wanted, order, after or start_of(order), size_for(limit), at))
        places, more = found.places[:limit], len(found.places) > limit
        following = places[-1] if more else found.cut_at
        previous = places[0] if after and places else None
    else:
        found = await _find(Search(db, wanted, order.reversed, before, size_for(limit), at))
        places, more = found.places[:limit][::-1], len(found.places) > limit
        if not more and found.cut_at is None:
            return await list_invitations(db, wanted, order=order, limit=limit, at=at)
        previous = places[0] if more else found.cut_at
        following = places[-1] if places else before
    items = await find_standings(db, [place.id for place in places])
    return InvitationPage(tuple(items), following, found.total, previous, is_cut=found.cut_at is not None and not more)


async def count_invitations(db: Database, wanted: InvitationFilter, *, at: datetime) -> int | None:
    """How many there are; None beyond what is counted."""
    order = Order()
    return (await _find(Search(db, wanted, order, start_of(order), SIZES[0], at))).total


async def find_ids(
    db: Database, wanted: InvitationFilter, *, order: Order, after: Position | None = None, at: datetime
) -> tuple[Sequence[UUID], Position | None]:
    """Up to a thousand ids of a list, and where it goes on: with fewer ids as well, as long as that is not None."""
    most = SIZES[-1] - 1
    found = await _find(Search(db, wanted, order, after or start_of(order), size_for(most), at))
    places = found.places[:most]
    return [place.id for place in places], places[-1] if len(found.places) > most else found.cut_at
