"""Lists of invitations: any filters in any order."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, func, literal_column, null, select

from latchstring.domain.invitation import InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor, Key, Page, SortOrder
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import invitations, outbox
from latchstring.storage.engine.types import Instant, any_of
from latchstring.storage.invitations.filters import FILTERS, SCANS, bound_values, filters_in_use, state_values
from latchstring.storage.invitations.read import read_invitation_details, select_invitation_details
from latchstring.storage.lists.declaration import Columns, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import HIGHEST_ID, HIGHEST_INSTANT, LOWEST_ID, LOWEST_INSTANT
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.outbox.outbox import newest_invitation_mail

NEVER = LOWEST_INSTANT  # when an invitation was accepted that never was: it sorts as the oldest acceptance
NEWEST_FIRST = SortOrder("createdAt", descending=True)
MOST_VALUES = 8  # of a filter, for each of which an index is read
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


# ---- where rows are read ---------------------------------------------------------------------------------------------


def _query(filter_: InvitationFilter, order: SortOrder, *, now: datetime) -> KeysetQuery:
    filters = filters_in_use(filter_)
    values = bound_values(filter_, filters, now=now)
    return KeysetQuery(filters, values, _scans(filter_, filters, order, values), identity=repr(filter_))


def _scans(filter_: InvitationFilter, filters: Collection[str], order: SortOrder, values: dict[str, Any]) -> list[Scan]:
    """Where the rows are in an order. What a filter implies is where a scan begins and ends."""
    if order.by == "expiresAt":
        is_exact = set(filters) <= {"expiry"}
        low = None if values["expires_from"] == LOWEST_INSTANT else (values["expires_from"], LOWEST_ID)
        high = None if values["expires_to"] == HIGHEST_INSTANT else (values["expires_to"], LOWEST_ID)
        return [Scan("expires", "expiry", is_exact, None, low, high)]
    if order.by == "inviteEmail":
        return [Scan("email", is_exact=not filters)]
    if order.by == "createdAt":
        return _scans_by_id(filter_, filters, values)
    return _scans_by_acceptance(filter_, filters, values)


def _scans_by_id(filter_: InvitationFilter, filters: Collection[str], values: dict[str, Any]) -> list[Scan]:
    """Along the values of a filter when their indexes are in the order of creation."""
    low: Key | None = None if values["id_from"] == LOWEST_ID else (UUID(int=values["id_from"].int - 1),)
    high: Key | None = None if values["id_to"] == HIGHEST_ID else (values["id_to"],)

    def scan(name: str, of: str, each: Sequence[Any] | None = None, *, is_exact: bool = True) -> Scan:
        return Scan(name, of, is_exact and set(filters) <= {of, "range"}, each, low, high)

    if "object" in filters:
        return [scan("object", "object")]
    only_inviter = [] if filter_.only_inviter_id is None else [filter_.only_inviter_id]
    for name, of, given in (
        ("group", "group", filter_.group_ids),
        ("inviter", "inviter", filter_.inviter_ids),
        ("inviter", "only_inviter", only_inviter),
        ("role", "role", filter_.roles),
    ):
        if 0 < len(given) <= MOST_VALUES:
            return [scan(name, of, list(dict.fromkeys(given)))]
    if "state" not in filters:
        return [scan("all", "range")]
    # EXPIRED is partly stored as PENDING still
    states = frozenset(filter_.states)
    stored = scan(
        "state", "state", sorted(map(int, states)), is_exact=State.PENDING not in states or State.EXPIRED in states
    )
    has_overdue = State.EXPIRED in states and State.PENDING not in states
    return [stored, scan("overdue", "state")] if has_overdue else [stored]


def _scans_by_acceptance(filter_: InvitationFilter, filters: Collection[str], values: dict[str, Any]) -> list[Scan]:
    """Those who accepted by the index of that, all others in the order of creation."""
    states = frozenset(filter_.states or State)
    scans = list[Scan]()
    if State.ACCEPTED in states:
        of = "state" if states == {State.ACCEPTED} else ""
        scans.append(Scan("accepted", of, is_exact=set(filters) <= {"state"}))
    if others := states - {State.ACCEPTED}:
        rest = replace(filter_, states=others)
        own_values = state_values(others, now=values["now"])
        scans += [
            replace(scan, constant=(NEVER,), values=own_values)
            for scan in _scans_by_id(rest, [*(name for name in filters if name != "state"), "state"], values)
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
    """A page of invitations. Orders: createdAt, expiresAt, acceptedAt, inviteEmail. limit: 1000 at most."""
    return await _LIST.page(db, _query(filter_, order, now=now), order=order, cursor=cursor, limit=limit)


async def count_invitations(db: Database, filter_: InvitationFilter, *, now: datetime) -> int | None:
    """How many there are; None beyond what is counted."""
    return await _LIST.count(db, _query(filter_, NEWEST_FIRST, now=now), order=NEWEST_FIRST)


async def find_ids(
    db: Database, filter_: InvitationFilter, *, cursor: Cursor | None = None, now: datetime
) -> Page[UUID]:
    """A page of up to a thousand ids of a list, newest first."""
    query = _query(filter_, NEWEST_FIRST, now=now)
    return await _LIST.ids(db, query, order=NEWEST_FIRST, cursor=cursor, limit=1000)


async def find_invitation_details_of(db: Database, ids: Sequence[UUID]) -> list[InvitationDetails]:
    """These invitations as they are shown, in this order; those that are gone are left out."""
    return await _LIST.find(db, ids)


async def find_pending_terms(db: Database, keys: Sequence[UUID], *, now: datetime) -> dict[UUID, UUID]:
    """Those of the digests of terms under which an invitation is pending, with its id."""
    rows = await db.fetch(_PENDING_TERMS, keys=list(keys), now=now) if keys else []
    return {row.terms_key: row.id for row in rows}
