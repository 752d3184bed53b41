"""What there is for many addresses at once: their invitations with the same grants, and what their accounts hold.

Read in slices, so that a list of any length costs a bounded statement and bounded memory each.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select, true

from latchstring.domain.actor import ActorType
from latchstring.domain.invitation import State
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import events, group_members, invitations, users
from latchstring.storage.engine.types import CanonicalText, Id, any_of, json_rows
from latchstring.storage.invitations.read import EXPIRED, PENDING

SLICE = 1000
_i = invitations.c
_COLUMNS = (_i.id, _i.email, _i.terms_key, _i.state, _i.expires_at, _i.inviter_type, _i.metadata)


@dataclass(frozen=True, slots=True)
class ExistingInvitation:
    """An invitation that a declared list is compared with. state: as stored. cause: why it was revoked."""

    id: UUID
    email: str
    terms_key: UUID
    state: State
    expires_at: datetime
    inviter: ActorType
    metadata: Mapping[str, Any] | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ExistingAccount:
    """A verified account of an address with the role and groups that it has."""

    user_id: UUID
    role: str | None
    group_ids: frozenset[UUID]


def _read(row: Row, cause: str | None = None) -> ExistingInvitation:
    inviter = ActorType(row.inviter_type)
    return ExistingInvitation(
        row.id, row.email, row.terms_key, State(row.state), row.expires_at, inviter, row.metadata, cause
    )


_BY_ADDRESSES = select(*_COLUMNS).where(any_of(_i.email_key, "email_keys", CanonicalText))
# filtered by type afterwards: with the type in the statement, SQLite would scan every revocation
_HISTORIES = select(events.c.subject_id, events.c.type, events.c.data).where(any_of(events.c.subject_id, "ids"))


async def find_existing(
    db: Database, email_keys: Sequence[str], terms_keys: frozenset[UUID]
) -> dict[UUID, list[ExistingInvitation]]:
    """The invitations of these addresses that have one of these terms, by terms. Pass at most SLICE addresses."""
    rows = [row for row in await db.fetch(_BY_ADDRESSES, email_keys=email_keys) if row.terms_key in terms_keys]
    revoked = [row.id for row in rows if row.state == State.REVOKED]
    causes = await _find_causes(db, revoked) if revoked else {}
    invitations_by_terms: dict[UUID, list[ExistingInvitation]] = {}
    for row in rows:
        invitations_by_terms.setdefault(row.terms_key, []).append(_read(row, causes.get(row.id)))
    return invitations_by_terms


async def _find_causes(db: Database, ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """Why these invitations were revoked."""
    rows = await db.fetch(_HISTORIES, ids=ids)
    return {row.subject_id: row.data.get("cause") for row in rows if row.type == "invitation.revoked"}


_GROUPS_OF = (
    select(json_rows(group_members.c.group_id))
    .where(group_members.c.user_id == users.c.id)
    .correlate(users)
    .scalar_subquery()
)
_FIND_ACCOUNTS = select(users.c.id, users.c.email_key, users.c.role, _GROUPS_OF.label("group_ids")).where(
    any_of(users.c.email_key, "email_keys", CanonicalText), users.c.email_verified == true()
)


async def find_accounts(db: Database, email_keys: Sequence[str]) -> dict[str, ExistingAccount]:
    """The verified accounts of these addresses, by address. Pass at most SLICE addresses."""
    rows = await db.fetch(_FIND_ACCOUNTS, email_keys=email_keys)
    return {row.email_key: ExistingAccount(row.id, row.role, _ids(row.group_ids)) for row in rows}


def _ids(listed: Sequence[Sequence[str]] | None) -> frozenset[UUID]:
    return frozenset(UUID(id_) for (id_,) in listed or ())


def _select_open(state: ColumnElement[int], *, continued: bool) -> Select[Any]:
    statement = select(*_COLUMNS).where(
        _i.state == state,
        _i.inviter_type == literal_column(f"'{ActorType.OPERATOR}'"),
        _i.metadata.is_not(None),
    )
    if continued:
        statement = statement.where(_i.id > bindparam("after", type_=Id))
    return statement.order_by(_i.id).limit(literal_column(str(SLICE)))


# one state after the other, so that each page continues in the index where the last one ended
_OPEN = [(_select_open(state, continued=False), _select_open(state, continued=True)) for state in (PENDING, EXPIRED)]


async def list_open_of_operator(db: Database) -> AsyncIterator[ExistingInvitation]:
    """Every invitation that the command line created with metadata and that is pending or expired.

    One that expires meanwhile may come twice.
    """
    for first, following in _OPEN:
        rows = await db.fetch(first)
        while rows:
            for row in rows:
                yield _read(row)
            if len(rows) < SLICE:
                break
            rows = await db.fetch(following, after=rows[-1].id)
