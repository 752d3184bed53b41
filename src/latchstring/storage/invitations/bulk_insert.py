"""Inserting many invitations in the transaction of their batch.

The unique index guarantees that only one pending invitation has the same terms, as for a single create. Rows that
conflict with a pending invitation are skipped and reported; a pending one that has expired is marked as expired first.
On PostgreSQL a batch is one statement over lists. SQLite has one writer, so conflicts are looked up first and none can
appear in between.

Pass the invitations in the order of their terms: two batches over the same people then wait for each other instead of
deadlocking.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    SmallInteger,
    bindparam,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import Executable

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.ids import first_id_at, new_id
from latchstring.domain.invitation import Invitation
from latchstring.domain.terms import TERM_NAMES
from latchstring.storage.engine.bulk_values import BulkValues
from latchstring.storage.engine.database import ATTEMPTS, Conflict, Database, Row, Steps, Work, step
from latchstring.storage.engine.tables import PENDING as PENDING_TEXT
from latchstring.storage.engine.tables import (
    events,
    group_members,
    invitation_grants,
    invitations,
    outbox,
    users,
)
from latchstring.storage.engine.types import CanonicalText, Id, JsonText, any_of
from latchstring.storage.events.record import INSERT_EVENT, event_values
from latchstring.storage.invitations.create import (
    INSERT_GRANT,
    INSERT_INVITATION,
    InvitationInsert,
    grant_values,
    invitation_values,
)
from latchstring.storage.invitations.read import PENDING
from latchstring.storage.invitations.transitions import expire_invitations
from latchstring.storage.outbox.outbox import OUTBOX_INSERT, outbox_values

_i = invitations.c


@dataclass(frozen=True, slots=True)
class Blocker:
    """A pending invitation with the same terms."""

    id: UUID
    terms_key: UUID
    email_key: str
    inviter: Actor
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class InsertedBatch:
    """The result of a batch: the ids that were inserted, and what blocks each of the others by its terms."""

    inserted: Collection[UUID]
    blockers: Mapping[UUID, Blocker]


# ---- what rows are validated by --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """A verified account of an address, with those of the requested groups that it is in."""

    id: UUID
    role: str | None
    group_ids: frozenset[UUID]


_PEOPLE = select(users.c.id, users.c.email_key, users.c.role).where(
    any_of(users.c.email_key, "email_keys", CanonicalText), users.c.email_verified == true()
)
_MEMBERSHIPS = select(group_members.c.user_id, group_members.c.group_id).where(
    any_of(group_members.c.user_id, "user_ids"), any_of(group_members.c.group_id, "group_ids")
)
_RECENT = (
    select(_i.email_key, func.count().label("n"))
    .where(any_of(_i.email_key, "email_keys", CanonicalText), _i.id >= bindparam("first_id", type_=Id))
    .group_by(_i.email_key)
)
_FIND_PENDING = select(_i.id, _i.terms_key, _i.email_key, _i.inviter_type, _i.inviter_id, _i.expires_at).where(
    any_of(_i.terms_key, "terms_keys"), _i.state == PENDING
)


async def find_people(db: Database, email_keys: Collection[str], group_ids: Collection[UUID]) -> dict[str, Person]:
    """The verified accounts of these addresses."""
    rows = await db.fetch(_PEOPLE, email_keys=sorted(email_keys))
    joined: dict[UUID, set[UUID]] = {row.id: set() for row in rows}
    if rows and group_ids:
        for member in await db.fetch(_MEMBERSHIPS, user_ids=list(joined), group_ids=sorted(group_ids)):
            joined[member.user_id].add(member.group_id)
    return {row.email_key: Person(row.id, row.role, frozenset(joined[row.id])) for row in rows}


async def count_recent(db: Database, email_keys: Collection[str], *, since: datetime) -> dict[str, int]:
    """How many invitations each of the addresses was sent since then; those without any are left out."""
    rows = await db.fetch(_RECENT, email_keys=sorted(email_keys), first_id=first_id_at(since))
    return {row.email_key: row.n for row in rows}


async def find_blockers(db: Database, terms_keys: Collection[UUID], *, now: datetime) -> dict[UUID, Blocker]:
    """The pending invitations in force that have these terms."""
    rows = await db.fetch(_FIND_PENDING, terms_keys=sorted(terms_keys))
    return {row.terms_key: _blocker(row) for row in rows if row.expires_at > now}


def _blocker(row: Row) -> Blocker:
    inviter = Actor(ActorType(row.inviter_type), row.inviter_id)
    return Blocker(row.id, row.terms_key, row.email_key, inviter, row.expires_at)


# ---- PostgreSQL: one statement a batch -------------------------------------------------------------------------------

_OWN_COLUMNS = (
    *("id", "email_key", "email", "terms_key", "role", "lifetime_seconds", "expires_at"),
    *("search_name", "search_last_name"),
    *TERM_NAMES,
)
_SHARED_COLUMNS = ("inviter_type", "inviter_id", "link_starts_at", "sponsor_type", "sponsor_id", "master_key_id")
_CONSTANT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "state": PENDING,
    "generation": literal_column("1", Integer),
    "renewals": literal_column("0", SmallInteger),
    "ended_at": null(),
    "accepted_by": null(),
    "renewed_at": null(),
}
_LISTED = BulkValues(
    "listed",
    "l_",
    [
        *(_i[name] for name in _OWN_COLUMNS),
        events.c.id.label("event_id"),
        events.c.data.label("event_data"),
        outbox.c.id.label("mail_id"),
        outbox.c.state.label("mail_state"),
        outbox.c.reason.label("mail_reason"),
        outbox.c.due_at.label("mail_due_at"),
    ],
)
_GRANTS = BulkValues("grants", "g_", [column for column in invitation_grants.c if column.name != "voided_at"])


def _shared(table: Any, name: str, prefix: str) -> ColumnElement[Any]:
    return bindparam(prefix + name, type_=table.c[name].type).label(name)


def _insert_all() -> Executable:
    listed = select(*(_LISTED[name].label(name) for name in _LISTED.names)).cte("batch")
    invitation: dict[str, ColumnElement[Any]] = {name: listed.c[name] for name in _OWN_COLUMNS}
    invitation |= {name: _shared(invitations, name, "i_") for name in _SHARED_COLUMNS} | _CONSTANT_COLUMNS
    inserted = (
        postgresql.insert(invitations)
        .from_select(list(invitation), select(*invitation.values()))
        .on_conflict_do_nothing(index_elements=[_i.terms_key], index_where=PENDING_TEXT)
        .returning(_i.id)
        .cte("made")
    )
    of_inserted = listed.join(inserted, inserted.c.id == listed.c.id)
    grant = {name: _GRANTS[name] for name in _GRANTS.names}
    event = {
        "id": listed.c.event_id,
        "subject_id": listed.c.id,
        "data": listed.c.event_data,
        **{name: _shared(events, name, "e_") for name in ("type", "actor_type", "actor_id")},
    }
    mail = {
        "id": listed.c.mail_id,
        "subject_id": listed.c.id,
        "locale": listed.c.locale,
        "state": listed.c.mail_state,
        "reason": listed.c.mail_reason,
        "due_at": listed.c.mail_due_at,
        **{name: _shared(outbox, name, "o_") for name in ("kind", "generation", "priority", "attempts")},
    }
    grants_of_inserted = _GRANTS.rows.join(inserted, inserted.c.id == _GRANTS["invitation_id"])
    dependent = [
        _from(invitation_grants, grant, grants_of_inserted).cte("granted"),
        _from(events, event, of_inserted).cte("recorded"),
        _from(outbox, mail, of_inserted).cte("promised"),
    ]
    return select(inserted.c.id).add_cte(*dependent)


def _from(table: Any, values: Mapping[str, ColumnElement[Any]], source: Any) -> Any:
    return insert(table).from_select(list(values), select(*values.values()).select_from(source))


_INSERT_ALL = _insert_all()


class _EncodedData:
    """Event data as JSON text. Most invitations of a batch have the same terms, and so the same text."""

    def __init__(self) -> None:
        self._texts: dict[int, JsonText] = {}

    def __getitem__(self, data: Mapping[str, object]) -> JsonText:
        json_text = self._texts.get(id(data))
        return self._texts.setdefault(id(data), _json(dict(data))) if json_text is None else json_text


def _json(value: object) -> JsonText:
    return JsonText(json.dumps(value, ensure_ascii=False))


def _insert_in_one_statement(batch: Sequence[InvitationInsert]) -> Work[set[UUID]]:
    facts, rows, grants = _EncodedData(), [], []
    for new in batch:
        row = invitation_values(new.invitation)
        row["metadata"] = None if row["metadata"] is None else _json(row["metadata"])
        row["event_data"] = facts[new.event.data]
        row["event_id"], row["mail_id"] = new.event.id, new.mail.id
        row["mail_state"], row["mail_due_at"] = new.mail.state.value, new.mail.due_at
        row["mail_reason"] = new.mail.reason.value if new.mail.reason else None
        rows.append(row)
        grants += _grants_of(new.invitation)
    values: dict[str, Any] = _LISTED.values(rows) | _GRANTS.values(grants)
    values |= {f"i_{name}": rows[0][name] for name in _SHARED_COLUMNS}
    event, mail = event_values(batch[0].event), outbox_values(batch[0].mail)
    values |= {f"e_{name}": event[name] for name in ("type", "actor_type", "actor_id")}
    values |= {f"o_{name}": mail[name] for name in ("kind", "generation", "priority", "attempts")}
    return {row.id for row in (yield step(_INSERT_ALL, **values))}


def _grants_of(invitation: Invitation) -> list[dict[str, Any]]:
    return [grant_values(invitation, grant) for grant in invitation.bundle.grants]


# ---- SQLite: check, then write ---------------------------------------------------------------------------------------


def _insert_in_steps(batch: Sequence[InvitationInsert]) -> Work[set[UUID]]:
    facts, rows = _EncodedData(), [(invitation_values(new.invitation), new) for new in batch]
    taken = {row.terms_key for row in (yield step(_FIND_PENDING, terms_keys=[v["terms_key"] for v, _ in rows]))}
    free = [(values, new) for values, new in rows if values["terms_key"] not in taken]
    yield Steps(INSERT_INVITATION, [values for values, _ in free])
    yield Steps(INSERT_GRANT, [grant for _, new in free for grant in _grants_of(new.invitation)])
    yield Steps(INSERT_EVENT, [event_values(new.event) | {"data": facts[new.event.data]} for _, new in free])
    yield Steps(OUTBOX_INSERT, [outbox_values(new.mail) for _, new in free])
    return {new.invitation.id for _, new in free}


# ---- both ------------------------------------------------------------------------------------------------------------


def insert_invitations(
    dialect_name: str, batch: Sequence[tuple[UUID, InvitationInsert]], *, now: datetime
) -> Work[InsertedBatch]:
    """Store the invitations that no pending one blocks. batch: each with the key of its terms.

    All are of one inviter and one instant, in the order of their terms, and no two have the same terms.
    """
    insert_some = _insert_in_one_statement if dialect_name == "postgresql" else _insert_in_steps
    inserted: set[UUID] = set()
    blockers: dict[UUID, Blocker] = {}
    for _ in range(ATTEMPTS):
        if batch:
            inserted |= yield from insert_some([new for _, new in batch])
        remaining = [(terms_key, new) for terms_key, new in batch if new.invitation.id not in inserted]
        if not remaining:
            return InsertedBatch(inserted, blockers)
        pending = yield step(_FIND_PENDING, terms_keys=[terms_key for terms_key, _ in remaining])
        blocking = {row.terms_key: _blocker(row) for row in pending if row.expires_at > now}
        blockers |= blocking
        batch = [(terms_key, new) for terms_key, new in remaining if terms_key not in blocking]
        if not batch:
            return InsertedBatch(inserted, blockers)
        overdue = [row.id for row in pending if row.expires_at <= now]
        yield from expire_invitations(overdue, now=now, event_ids=[new_id(now) for _ in overdue])
    raise Conflict  # invitations with the same terms came and went too quickly
