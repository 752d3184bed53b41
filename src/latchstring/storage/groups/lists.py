"""Lists of groups, with the numbers of members and pending invitations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, bindparam, func, literal_column, or_, select

from latchstring.domain.group import Group
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import group_members, groups, invitation_grants, invitations
from latchstring.storage.engine.types import Id, Instant
from latchstring.storage.groups.groups import read_group
from latchstring.storage.invitations.read import PENDING
from latchstring.storage.lists.declaration import Columns, Filter, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import (
    COUNTED_UP_TO,
    IndexScan,
    count_up_to,
    fetch_count,
    literal_number,
    prefix_scan,
)
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.lists.prefix_search import fold_name, prefix_values, starts_with

_c, _m, _i, _g = groups.c, group_members.c, invitations.c, invitation_grants.c
_MEMBER = bindparam("member_id", type_=Id)
MAX_MEMBERS_SHOWN = 1000  # in the list of groups


@dataclass(frozen=True, slots=True)
class CountedGroup:
    """A group with the number of its members."""

    group: Group
    members: Count


def _has_member(g: Columns) -> ColumnElement[bool]:
    m = group_members.alias()
    membership = (
        select(m.c.group_id).where(m.c.user_id == _MEMBER, m.c.group_id == g.id).limit(literal_column("1", Integer))
    )
    return membership.correlate_except(m).scalar_subquery().is_not(None)


_SCANS = {
    "all": IndexScan([_c.id]),
    "name": IndexScan([_c.search_name, _c.id]),
    "member": IndexScan([_m.group_id], prefix=[(_m.user_id, _MEMBER)]),
}
_FILTERS = {
    "q": Filter(
        lambda g: or_(starts_with(g.search_name, "q"), starts_with(g.key, "q_key")),
        lambda _: [prefix_scan(_c.search_name, "q", _c.id), prefix_scan(_c.key, "q_key", _c.id)],
        overlaps=True,
    ),
    "member": Filter(_has_member, lambda name: [_SCANS["member"].candidates(name)]),
}


def _declare_list(columns: tuple[ColumnElement[Any], ...], read: Any) -> KeysetList[Any]:
    return KeysetList(
        ListDeclaration(
            table=groups,
            columns=columns,
            id_=_c.id,
            read=read,
            orders={"createdAt": lambda g: [g.id], "name": lambda g: [g.search_name, g.id]},
            scans=lambda _: _SCANS,
            filters=_FILTERS,
        )
    )


def _count_members_column(maximum: int, group_id: ColumnElement[UUID]) -> ColumnElement[int]:
    rows = select(_m.user_id).where(_m.group_id == group_id).correlate(groups).limit(literal_number(maximum + 1))
    return select(func.count()).select_from(rows.subquery()).scalar_subquery().label("members")


def _read_counted_group(row: Row) -> CountedGroup:
    return CountedGroup(
        read_group(row), Count(min(row.members, MAX_MEMBERS_SHOWN), at_least=row.members > MAX_MEMBERS_SHOWN)
    )


_LIST: KeysetList[Group] = _declare_list(tuple(_c), read_group)
_COUNTED_LIST: KeysetList[CountedGroup] = _declare_list(
    (*_c, _count_members_column(MAX_MEMBERS_SHOWN, _c.id)), _read_counted_group
)


def _query(q: str | None, member_id: UUID | None, order: SortOrder) -> KeysetQuery:
    values = {
        "any_q": not q,
        "any_member": member_id is None,
        "member_id": member_id,
        **prefix_values("q", fold_name(q) if q else None),
        **prefix_values("q_key", q or None),
    }
    filters = [*(["q"] if q else []), *(["member"] if member_id is not None else [])]
    if member_id is not None and order.by == "createdAt":
        scan = Scan("member", filter_name="member", is_exact=not q)
    else:
        scan = Scan("all" if order.by == "createdAt" else order.by, is_exact=not filters)
    return KeysetQuery(filters, values, [scan], identity=repr((q, member_id)))


async def list_groups(
    db: Database,
    *,
    member_id: UUID | None = None,
    q: str | None = None,
    order: SortOrder,
    cursor: Cursor | None = None,
    limit: int,
) -> Page[Group]:
    """Return a page of groups. Sort orders: createdAt, name.

    member_id: only groups with this member. q: a prefix of name or key.
    """
    return await _LIST.page(db, _query(q, member_id, order), order=order, cursor=cursor, limit=limit)


async def list_counted_groups(
    db: Database, q: str | None, *, order: SortOrder, cursor: Cursor | None = None, limit: int
) -> Page[CountedGroup]:
    """Return a page of groups with their numbers of members. q: a prefix of name or key."""
    return await _COUNTED_LIST.page(db, _query(q, None, order), order=order, cursor=cursor, limit=limit)


# ---- counts ----------------------------------------------------------------------------------------------------------

_ID = bindparam("target_id", type_=Id)
_COUNT_MEMBERS = count_up_to(select(_m.user_id).where(_m.group_id == _ID))
_NEWEST = (
    select(_g.invitation_id)
    .where(_g.target_id == _ID, _g.voided_at.is_(None))
    .order_by(_g.invitation_id.desc())
    .limit(literal_number(COUNTED_UP_TO + 1))
    .subquery("newest")
)
_COUNT_PENDING = select(func.count(_i.id).label("n"), func.count().label("read")).select_from(
    _NEWEST.outerjoin(
        invitations,
        and_(_i.id == _NEWEST.c.invitation_id, _i.state == PENDING, _i.expires_at > bindparam("now", type_=Instant)),
    )
)


async def count_members(db: Database, group_id: UUID) -> Count:
    return await fetch_count(db, _COUNT_MEMBERS, target_id=group_id)


async def count_pending_invitations(db: Database, target_id: UUID, *, now: datetime) -> Count:
    """Count the pending invitations to a group or object, among the 10 000 newest to it."""
    row = (await db.fetch(_COUNT_PENDING, target_id=target_id, now=now))[0]
    return Count(row.n, at_least=row.read > COUNTED_UP_TO)
