"""Walking along an index of invitations, judging rows, for as far as one page may look."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, bindparam, literal_column, select, true, tuple_
from sqlalchemy.sql import Executable

from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter, Order, Position
from latchstring.storage.engine.tables import invitation_grants, invitations
from latchstring.storage.engine.types import Id, Instant
from latchstring.storage.invitations.filters import matches
from latchstring.storage.invitations.sort_orders import (
    NEVER,
    Found,
    Search,
    beyond,
    in_order,
    keys_of,
    number,
    shown_value,
    sort_value,
    start_of,
)

WALKED = 5000
_i = invitations.c
_g = invitation_grants.c
MOST_LANES = 8
_Lane = tuple[str, Any]  # the column along which is walked, and its value
_Prefix = Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]
_AFTER, _FROM, _TO = (bindparam(name, type_=Id) for name in ("after_id", "id_from", "id_to"))
_IS_PENDING = _i.state == literal_column("0")


def _lane(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return column, bindparam("lane", type_=column.type)


# What stands before the id in the index of each lane.
_PREFIXES: dict[str, _Prefix] = {
    "all": (),
    "state": (_lane(_i.state),),
    "role": (_lane(_i.role),),
    "inviter": (_lane(_i.inviter_id),),
    "group": (_lane(_g.target_id),),
    "object": (
        (_g.target_type, bindparam("content_type", type_=_g.target_type.type)),
        (_g.target_key, bindparam("content_key", type_=_g.target_key.type)),
    ),
}


def _by_id(rows: Select[Any], id_: ColumnElement[Any], prefix: _Prefix, order: Order, dialect_name: str) -> Select[Any]:
    """The rows with these values before the id, behind a place and within the range of ids.

    PostgreSQL is told of rows as wholes, so that it can only walk along the index: told of values one by one, it
    might take another index and look for them, through the whole table. SQLite would not use the index so.
    """
    columns, values = [column for column, _ in prefix], [value for _, value in prefix]
    if dialect_name == "postgresql":
        key = tuple_(*columns, id_)
        after, first, last = (tuple_(*values, bound) for bound in (_AFTER, _FROM, _TO))
        rows = rows.where(key < after, key >= first) if order.descending else rows.where(key > after, key < last)
        keys = [*columns, id_]
    else:
        rows = rows.where(*(column == value for column, value in prefix))
        rows = rows.where(id_ < _AFTER, id_ >= _FROM) if order.descending else rows.where(id_ > _AFTER, id_ < _TO)
        keys = [id_]
    return rows.order_by(*(key.desc() if order.descending else key.asc() for key in keys)).limit(number(WALKED))


def _overdue(order: Order) -> Select[Any]:
    """Run out, and not tidied yet: few, for the sweep comes every minute."""
    late = select(invitations).where(_IS_PENDING, _i.expires_at <= bindparam("now", type_=Instant))
    some = late.order_by(_i.expires_at).limit(number(WALKED)).subquery("overdue")
    return select(some).where(beyond([some.c.id], order))


def _granted(name: str, order: Order, dialect_name: str) -> Select[Any]:
    """The invitations into a group or to an object."""
    lane = [column.label(f"lane_{column.name}") for column, _ in _PREFIXES[name]]
    grants = select(_g.invitation_id.label("id"), *lane)
    if name == "object":
        grants = grants.where(_g.kind == literal_column("2"))
    some = _by_id(grants, _g.invitation_id, _PREFIXES[name], order, dialect_name).subquery("some")
    if dialect_name != "postgresql":
        i = invitations.alias("i")
        return select(i).select_from(some.join(i, i.c.id == some.c.id))
    one = select(invitations).where(_i.id == some.c.id).limit(number(1)).lateral("one")
    return select(one, some.c.id.label("lane_id"), *(some.c[column.name] for column in lane)).select_from(
        some.join(one, true())
    )


def _sorted(name: str, order: Order) -> Select[Any]:
    """The rows in another order than by id."""
    keys = [_i.ended_at, _i.id] if name == "accepted" else keys_of(_i, order.by)
    rows = select(invitations).where(beyond(keys, order))
    rows = rows.order_by(*(key.desc() if order.descending else key.asc() for key in keys))
    if name == "accepted":
        rows = rows.where(_i.state == literal_column("1"))
    elif order.by == "expiresAt":
        rows = rows.where(
            _i.expires_at >= bindparam("expires_from", type_=Instant),
            _i.expires_at < bindparam("expires_to", type_=Instant),
        )
    return rows.limit(number(WALKED))


def _lane_rows(name: str, order: Order, dialect_name: str) -> Subquery:
    """The rows of a lane that a walk looks at. Nothing but an index decides which they are: a condition that it
    cannot answer would make the walk longer than it says.
    """
    if name == "overdue":
        return _overdue(order).subquery("walked")
    if name in {"group", "object"}:
        return _granted(name, order, dialect_name).subquery("walked")
    if order.by == "createdAt":
        return _by_id(select(invitations), _i.id, _PREFIXES[name], order, dialect_name).subquery("walked")
    return _sorted(name, order).subquery("walked")


def _in_lane(name: str, order: Order, dialect_name: str) -> tuple[Select[Any], Subquery]:
    """Ids and sort values of what a walk looks at, in the order of the lane, and its rows."""
    walked = _lane_rows(name, order, dialect_name)
    shown = select(walked.c.id, shown_value(sort_value(walked.c, order.by)))
    keys = [walked.c.ended_at, walked.c.id] if name == "accepted" else keys_of(walked.c, order.by)
    if dialect_name == "postgresql" and order.by == "createdAt":  # just as they were walked, or it would sort them all
        named = "lane_{}" if name in {"group", "object"} else "{}"
        keys = [walked.c[named.format(column)] for column in (*(c.name for c, _ in _PREFIXES.get(name, ())), "id")]
    return shown.order_by(*(key.desc() if order.descending else key.asc() for key in keys)), walked


@cache
def _walk(name: str, order: Order, size: int, dialect_name: str) -> Executable:
    """The next rows of a lane that meet all filters, among those it looks at."""
    rows, walked = _in_lane(name, order, dialect_name)
    return rows.where(matches(walked.c)).limit(number(size))


@cache
def _stride(order: Order, size: int, dialect_name: str) -> Executable:
    """The next rows where nothing is filtered."""
    rows, _ = _in_lane("all", order, dialect_name)
    return rows.limit(number(size))


@cache
def _walk_end(name: str, order: Order, dialect_name: str) -> Executable:
    """The last row that a walk of a lane looks at; none when the lane is shorter."""
    rows, _ = _in_lane(name, order, dialect_name)
    return rows.limit(number(1)).offset(number(WALKED - 1))


def _lanes_of(wanted: InvitationFilter, order: Order) -> Sequence[_Lane]:
    """Where to walk: along a filter's values when their indexes are in the order of the list."""
    if order.by != "createdAt":
        return [("all", None)]
    lanes: Sequence[Sequence[_Lane]] = (
        [("object", None)] if wanted.content_type and wanted.content_key else [],
        [("group", id_) for id_ in wanted.group_ids],
        [("inviter", id_) for id_ in wanted.inviter_ids],
        [("inviter", wanted.only_inviter_id)] if wanted.only_inviter_id else [],
        [("role", role) for role in wanted.roles],
        _lanes_of_states(wanted.states),
    )
    return next((found for found in lanes if 0 < len(found) <= MOST_LANES), [("all", None)])


def _lanes_of_states(states: Collection[State]) -> list[_Lane]:
    """EXPIRED is partly stored as PENDING still."""
    if len(set(states)) == len(State):
        return []
    lanes: list[_Lane] = [("state", int(state)) for state in sorted(set(states))]
    has_overdue = State.EXPIRED in states and State.PENDING not in states
    return [*lanes, ("overdue", None)] if has_overdue else lanes


async def _walk_lanes(search: Search, lanes: Sequence[_Lane]) -> Found:
    """The next rows of all lanes. The shortest walk decides how far they are known to be all."""
    db, order, size, values = search.db, search.order, search.size, search.values
    found, ends = set[Position](), list[Position]()
    for name, lane in lanes:
        rows = await db.fetch(_walk(name, order, size, db.dialect_name), **values, lane=lane)
        found |= {Position(row.id, row.value) for row in rows}
        if len(rows) < size:
            end = await db.fetch(_walk_end(name, order, db.dialect_name), **values, lane=lane)
            ends += [Position(row.id, row.value) for row in end]
    places = in_order(found, order)
    cut_at = in_order(ends, order)[0] if ends else None
    if cut_at is not None:
        places = [place for place in places if in_order([place, cut_at], order)[0] == place]
    return Found(places[:size], cut_at=cut_at if len(places) < size else None)


async def _walk_accepted(search: Search) -> Found:
    return await _walk_lanes(search, [("accepted", None)])


async def _walk_others(search: Search) -> Found:
    """Those who have not accepted, by id, whatever the search is sorted by."""
    rest = replace(search.wanted, states=frozenset(search.wanted.states or State) - {State.ACCEPTED})
    by_id = Order("createdAt", search.order.descending)
    start = search.after if search.after.value == NEVER else start_of(by_id)
    found = await _walk_lanes(replace(search, wanted=rest, order=by_id, after=start), _lanes_of(rest, by_id))
    places = [Position(place.id, NEVER) for place in found.places]
    return Found(places, cut_at=found.cut_at and Position(found.cut_at.id, NEVER))


async def _walk_by_acceptance(search: Search) -> Found:
    """First those who accepted, then those who have not in the order of making; ascending the other way round."""
    states = frozenset(search.wanted.states or State)
    descending, is_past_accepted = search.order.descending, search.after.value == NEVER
    parts = []
    if State.ACCEPTED in states and not (descending and is_past_accepted):
        parts.append(_walk_accepted)
    if states - {State.ACCEPTED} and (descending or is_past_accepted):
        parts.append(_walk_others)
    places: list[Position] = []
    for part in parts if descending else reversed(parts):
        found = await part(search)
        places += found.places
        if found.cut_at or len(places) >= search.size:
            return Found(places[: search.size], cut_at=found.cut_at if len(places) < search.size else None)
    return Found(places)


async def walk(search: Search) -> Found:
    """The next rows that meet all filters, or how far was looked for them."""
    if search.order.by == "acceptedAt":
        return await _walk_by_acceptance(search)
    return await _walk_lanes(search, _lanes_of(search.wanted, search.order))


async def stride(search: Search) -> Found:
    """The next rows where nothing is filtered."""
    if search.order.by == "acceptedAt":
        return await _walk_by_acceptance(search)
    rows = await search.db.fetch(_stride(search.order, search.size, search.db.dialect_name), **search.values)
    return Found([Position(row.id, row.value) for row in rows])
