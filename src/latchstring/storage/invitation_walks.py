"""Walking along an index of invitations, judging rows, for as far as one page may look."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select, true
from sqlalchemy.sql import Executable

from latchstring.domain.invitation import State
from latchstring.domain.listing import InvitationFilter, Order, Position
from latchstring.storage.invitation_filters import matches
from latchstring.storage.invitation_orders import (
    NEVER,
    Found,
    Search,
    beyond,
    in_order,
    keys_of,
    number,
    ordered,
    shown_value,
    sort_value,
    start_of,
)
from latchstring.storage.tables import invitation_grants, invitations
from latchstring.storage.types import Id, Instant

WALKED = 10_000
_i = invitations.c
_g = invitation_grants.c
MOST_LANES = 8
_Lane = tuple[str, Any]  # the column along which is walked, and its value
_LANES: dict[str, tuple[ColumnElement[Any], ...]] = {
    "all": (),
    "state": (_i.state,),
    "overdue": (),
    "role": (_i.role,),
    "inviter": (_i.inviter_id,),
    "accepted": (),
}


def _lane_rows(name: str, order: Order, dialect_name: str) -> tuple[Select[Any], Any]:
    """The rows of a lane behind a place, in the order of its index, and their columns. Nothing but the index decides
    which: a condition it cannot answer would make the walk longer than it says.
    """
    if name in {"group", "object"}:
        return _granted_rows(name, order, dialect_name)
    rows = select(invitations).where(beyond(keys_of(_i, order.by), order)).order_by(*ordered(_i, order))
    for column in _LANES[name]:
        rows = rows.where(column == bindparam("lane", type_=column.type))
    if name == "accepted":
        key = (_i.ended_at, _i.id)
        rows = select(invitations).where(_i.state == literal_column("1"), beyond(key, order))
        return rows.order_by(*(c.desc() if order.descending else c.asc() for c in key)), _i
    if name == "overdue":
        return rows.where(_i.state == literal_column("0"), _i.expires_at <= bindparam("now", type_=Instant)), _i
    if order.by == "createdAt":
        rows = rows.where(_i.id >= bindparam("id_from", type_=Id), _i.id < bindparam("id_to", type_=Id))
    elif order.by == "expiresAt":
        rows = rows.where(
            _i.expires_at >= bindparam("expires_from", type_=Instant),
            _i.expires_at < bindparam("expires_to", type_=Instant),
        )
    return rows, _i


def _granted_rows(name: str, order: Order, dialect_name: str) -> tuple[Select[Any], Any]:
    """The invitations into a group or to an object. Always by id, which is the second half of both indexes."""
    id_ = _g.invitation_id
    grants = select(id_.label("id")).where(
        beyond([id_], order), id_ >= bindparam("id_from", type_=Id), id_ < bindparam("id_to", type_=Id)
    )
    if name == "group":
        grants = grants.where(_g.target_id == bindparam("lane", type_=Id))
    else:
        grants = grants.where(
            _g.kind == literal_column("2"),
            _g.target_type == bindparam("content_type", type_=_g.target_type.type),
            _g.target_key == bindparam("content_key", type_=_g.target_key.type),
        )
    some = grants.order_by(id_.desc() if order.descending else id_.asc()).limit(number(WALKED)).subquery("some")
    if dialect_name != "postgresql":
        i = invitations.alias("i")
        return select(i).select_from(some.join(i, i.c.id == some.c.id)).order_by(*ordered(some.c, order)), i.c
    one = select(invitations).where(_i.id == some.c.id).limit(number(1)).lateral("one")
    return select(one).select_from(some.join(one, true())).order_by(*ordered(some.c, order)), one.c


@cache
def _walk(name: str, order: Order, size: int, dialect_name: str) -> Executable:
    """The next rows of a lane that meet all filters, among those it looks at."""
    rows, _ = _lane_rows(name, order, dialect_name)
    walked = rows.limit(number(WALKED)).subquery("walked")
    shown = select(walked.c.id, shown_value(sort_value(walked.c, order.by))).where(matches(walked.c))
    return shown.order_by(*ordered(walked.c, order)).limit(number(size))


@cache
def _stride(order: Order, size: int) -> Executable:
    """The next rows where nothing is filtered."""
    rows, _ = _lane_rows("all", order, "")
    return rows.with_only_columns(_i.id, shown_value(sort_value(_i, order.by))).limit(number(size))


@cache
def _walk_end(name: str, order: Order, dialect_name: str) -> Executable:
    """The last row that a walk of a lane looks at; none when the lane is shorter."""
    rows, i = _lane_rows(name, order, dialect_name)
    shown = rows.with_only_columns(i.id, shown_value(sort_value(i, order.by)))
    return shown.limit(number(1)).offset(number(WALKED - 1))


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
    rows = await search.db.fetch(_stride(search.order, search.size), **search.values)
    return Found([Position(row.id, row.value) for row in rows])
