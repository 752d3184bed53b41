"""Lists of invitations with any filters in any sort order."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, func, literal_column, null, select

from latchstring.domain.ids import MAX_ID, NIL_ID, id_before
from latchstring.domain.invitation import InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor, Key, Page, SortOrder
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import invitations, outbox
from latchstring.storage.engine.types import Instant, any_of
from latchstring.storage.invitations.filters import (
    FILTERS,
    SCANS,
    build_bind_values,
    build_state_values,
    list_used_filters,
)
from latchstring.storage.invitations.read import read_invitation_details, select_invitation_details
from latchstring.storage.lists.declaration import Columns, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import HIGHEST_INSTANT, LOWEST_INSTANT
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.outbox.outbox import newest_invitation_mail

NEVER = LOWEST_INSTANT  # sort value of invitations that were not accepted: before every acceptance
NEWEST_FIRST = SortOrder("createdAt", descending=True)
MAX_SCANNED_VALUES = 8  # of a filter: each value is an index scan of its own
_i = invitations.c


def _accepted_at(i: Columns) -> ColumnElement[Any]:
    accepted_at = case((i.state == literal_column("1"), i.ended_at), else_=null())
    return func.coalesce(accepted_at, bindparam("never", NEVER, type_=Instant))


_LIST: KeysetList[InvitationDetails] = KeysetList(
    ListDeclaration(
        table=invitations,
        columns=tuple(select_invitation_details().selected_columns),
        id_=_i.id,
        joins=lambda rows: rows.outerjoin(outbox, outbox.c.id == newest_invitation_mail(_i.id)),
        read=read_invitation_details,
        orders={
            "createdAt": lambda i: [i.id],
            "expiresAt": lambda i: [i.expires_at, i.id],
            "acceptedAt": lambda i: [_accepted_at(i), i.id],
            "inviteEmail": lambda i: [i.email_key, i.id],
        },
        scans=lambda _: SCANS,
        filters=FILTERS,
    )
)


# ---- choice of index scans -------------------------------------------------------------------------------------------


def _query(filter_: InvitationFilter, order: SortOrder, *, now: datetime) -> KeysetQuery:
    filters = list_used_filters(filter_)
    values = build_bind_values(filter_, filters, now=now)
    return KeysetQuery(filters, values, _scans(filter_, filters, order, values), identity=repr(filter_))


def _scans(filter_: InvitationFilter, filters: Collection[str], order: SortOrder, values: dict[str, Any]) -> list[Scan]:
    """Choose the index scans for a sort order. Filters that limit the sort values become bounds of the scans."""
    if order.by == "expiresAt":
        is_exact = set(filters) <= {"expiry"}
        low = None if values["expires_from"] == LOWEST_INSTANT else (values["expires_from"], NIL_ID)
        high = None if values["expires_to"] == HIGHEST_INSTANT else (values["expires_to"], NIL_ID)
        return [Scan("expires", "expiry", is_exact, None, low, high)]
    if order.by == "inviteEmail":
        return [Scan("email", is_exact=not filters)]
    if order.by == "createdAt":
        return _scans_by_id(filter_, filters, values)
    return _scans_by_acceptance(filter_, filters, values)


def _scans_by_id(filter_: InvitationFilter, filters: Collection[str], values: dict[str, Any]) -> list[Scan]:
    """Choose scans in the order of creation: one for each value of a filter that has such an index."""
    low: Key | None = None if values["id_from"] == NIL_ID else (id_before(values["id_from"]),)
    high: Key | None = None if values["id_to"] == MAX_ID else (values["id_to"],)

    def scan(name: str, filter_name: str, each: Sequence[Any] | None = None, *, is_exact: bool = True) -> Scan:
        return Scan(name, filter_name, is_exact and set(filters) <= {filter_name, "range"}, each, low, high)

    if "object" in filters:
        return [scan("object", "object")]
    only_inviter = [] if filter_.only_inviter_id is None else [filter_.only_inviter_id]
    for name, filter_name, filter_values in (
        ("group", "group", filter_.group_ids),
        ("inviter", "inviter", filter_.inviter_ids),
        ("inviter", "only_inviter", only_inviter),
        ("role", "role", filter_.roles),
    ):
        if 0 < len(filter_values) <= MAX_SCANNED_VALUES:
            return [scan(name, filter_name, list(dict.fromkeys(filter_values)))]
    if "state" not in filters:
        return [scan("all", "range")]
    # some EXPIRED invitations are still stored as PENDING
    states = frozenset(filter_.states)
    stored = scan(
        "state", "state", sorted(map(int, states)), is_exact=State.PENDING not in states or State.EXPIRED in states
    )
    has_overdue = State.EXPIRED in states and State.PENDING not in states
    return [stored, scan("overdue", "state")] if has_overdue else [stored]


def _scans_by_acceptance(filter_: InvitationFilter, filters: Collection[str], values: dict[str, Any]) -> list[Scan]:
    """Choose scans by acceptance: accepted invitations by their own index, all others in the order of creation."""
    states = frozenset(filter_.states or State)
    scans = list[Scan]()
    if State.ACCEPTED in states:
        filter_name = "state" if states == {State.ACCEPTED} else ""
        scans.append(Scan("accepted", filter_name, is_exact=set(filters) <= {"state"}))
    if other_states := states - {State.ACCEPTED}:
        other_filter = replace(filter_, states=other_states)
        own_values = build_state_values(other_states, now=values["now"])
        scans += [
            replace(scan, constant=(NEVER,), values=own_values)
            for scan in _scans_by_id(other_filter, [*(name for name in filters if name != "state"), "state"], values)
        ]
    return scans


# ---- lists -----------------------------------------------------------------------------------------------------------

_PENDING_TERMS = select(_i.terms_key, _i.id).where(
    any_of(_i.terms_key, "keys"), _i.state == literal_column("0"), _i.expires_at > bindparam("now", type_=Instant)
)


async def list_invitations(
    db: Database,
    filter_: InvitationFilter,
    *,
    order: SortOrder = NEWEST_FIRST,
    cursor: Cursor | None = None,
    limit: int,
    now: datetime,
) -> Page[InvitationDetails]:
    """Return a page of invitations. Sort orders: createdAt, expiresAt, acceptedAt, inviteEmail. limit: at most 1000."""
    return await _LIST.page(db, _query(filter_, order, now=now), order=order, cursor=cursor, limit=limit)


async def count_invitations(db: Database, filter_: InvitationFilter, *, now: datetime) -> int | None:
    """Count the invitations; None above the counting limit."""
    return await _LIST.count(db, _query(filter_, NEWEST_FIRST, now=now), order=NEWEST_FIRST)


async def list_ids(
    db: Database, filter_: InvitationFilter, *, cursor: Cursor | None = None, now: datetime
) -> Page[UUID]:
    """Return a page of at most 1000 ids, newest first."""
    query = _query(filter_, NEWEST_FIRST, now=now)
    return await _LIST.ids(db, query, order=NEWEST_FIRST, cursor=cursor, limit=1000)


async def find_invitations_by_ids(db: Database, ids: Sequence[UUID]) -> list[InvitationDetails]:
    """Return these invitations in the given order, without those that no longer exist."""
    return await _LIST.find(db, ids)


async def find_pending_terms(db: Database, digests: Sequence[UUID], *, now: datetime) -> dict[UUID, UUID]:
    """Return the ids of pending invitations by digest of terms."""
    rows = await db.fetch(_PENDING_TERMS, keys=list(digests), now=now) if digests else []
    return {row.terms_key: row.id for row in rows}
