"""The outbox: queued mails, their leases and their delivery results.

A row with `due_at` is pending work. A worker claims it by moving `due_at` ahead by a lease and writing its own id to
`lease_owner`. When the worker dies, the row becomes due again after the lease. Every later write checks the owner, so
a worker that lost its lease changes nothing.

Clocks: leases compare the clocks of the sending machines. They may differ by less than a lease (12 s); NTP keeps
them within milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.sql import Executable

from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.domain.ids import first_id_at, id_instant, new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import outbox
from latchstring.storage.engine.types import Id, Instant, any_of
from latchstring.storage.outbox.attempts import (
    FINISHED_COLUMNS,
    delete_attempts,
    delete_attempts_of,
    erase_attempt_replies,
    finish_with_attempt,
    with_attempt,
)

BATCH = 1000  # rows that a purging statement reads


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A queued mail for its loader and sender. It contains no address and no link."""

    id: UUID
    kind: MailKind
    subject_id: UUID
    generation: int
    locale: str | None
    state: DeliveryState
    attempts: int

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)


# ---- queueing --------------------------------------------------------------------------------------------------------

OUTBOX_INSERT = insert(outbox).values({column.name: bindparam(column.name, type_=column.type) for column in outbox.c})


def outbox_values(mail: OutgoingMail) -> dict[str, Any]:
    """Return the column values of a queued mail."""
    return {
        "id": mail.id,
        "kind": mail.kind.value,
        "subject_id": mail.subject_id,
        "generation": mail.generation,
        "priority": int(mail.priority),
        "locale": mail.locale,
        "state": mail.state.value,
        "reason": mail.reason.value if mail.reason else None,
        "due_at": mail.due_at,
        "attempts": 0,
        "lease_owner": None,
        "last_at": None,
        "last_reply": None,
    }


def queue_mail(mail: OutgoingMail) -> Step:
    """Queue a mail: it is sent if, and only if, the transaction commits."""
    return step(OUTBOX_INSERT, **outbox_values(mail))


# ---- sending ---------------------------------------------------------------------------------------------------------


def _due(priority: MailPriority) -> ColumnElement[bool]:
    # one class at a time: the index is (priority, due_at), so rows of a class that are not due are never read
    now = bindparam("now", type_=Instant)
    return (outbox.c.priority == literal_column(str(int(priority)))) & (outbox.c.due_at <= now)


def _has_work(priority: MailPriority) -> Select[Any]:
    # ordered and limited, so that the index is the only cheap plan: an EXISTS alone was seen to read the whole table
    first = select(outbox.c.id).where(_due(priority)).order_by(outbox.c.due_at).limit(literal_column("1")).subquery()
    return select(literal_column(str(int(priority)), Integer).label("priority")).select_from(first)


_CLASSES_WITH_WORK = union_all(*(_has_work(priority) for priority in MailPriority))
# During an upgrade a newer server may queue mails of a kind unknown to this worker. A newer worker sends them.
_KNOWN_KINDS = frozenset(kind.value for kind in MailKind)
_CLAIMED = (
    outbox.c.id,
    outbox.c.kind,
    outbox.c.subject_id,
    outbox.c.generation,
    outbox.c.locale,
    outbox.c.state,
    outbox.c.attempts,
)


def _claim(priority: MailPriority, dialect_name: str) -> Executable:
    """Claim the oldest due rows of a class. The array is computed once, so a re-planned join cannot claim more."""
    limit = bindparam("limit", type_=Integer)
    oldest = select(outbox.c.id).where(_due(priority)).order_by(outbox.c.due_at).limit(limit)
    if dialect_name == "postgresql":
        chosen = func.array(oldest.with_for_update(skip_locked=True).scalar_subquery(), type_=ARRAY(Id))
        is_chosen: ColumnElement[bool] = outbox.c.id == any_(chosen)
    else:
        is_chosen = outbox.c.id.in_(oldest.scalar_subquery())  # no lock clause: SQLite has one writer at a time
    until, owner = bindparam("until", type_=Instant), bindparam("owner", type_=Id)
    return update(outbox).where(is_chosen).values(due_at=until, lease_owner=owner).returning(*_CLAIMED)


_CLAIM = {name: {p: _claim(p, name) for p in MailPriority} for name in ("postgresql", "sqlite")}
_IS_OWNED = outbox.c.lease_owner == bindparam("owner", type_=Id)
_RENEW = (
    update(outbox)
    .where(any_of(outbox.c.id, "ids"), _IS_OWNED)
    .values(due_at=bindparam("until", type_=Instant))
    .returning(outbox.c.id)
)
_RELEASE = (
    update(outbox)
    .where(any_of(outbox.c.id, "ids"), _IS_OWNED)
    .values(due_at=bindparam("again_at", type_=Instant), lease_owner=null())
    .returning(outbox.c.id)
)
_FINISH = (
    update(outbox)
    .where(outbox.c.id == bindparam("row_id", type_=Id), _IS_OWNED)
    .values(
        state=bindparam("new_state", type_=outbox.c.state.type),
        reason=bindparam("new_reason", type_=outbox.c.reason.type),
        due_at=bindparam("again_at", type_=Instant),
        attempts=outbox.c.attempts + bindparam("counted", type_=Integer),
        last_at=func.coalesce(bindparam("tried_at", type_=Instant), outbox.c.last_at),
        last_reply=bindparam("reply", type_=outbox.c.last_reply.type),
        lease_owner=null(),
    )
    .returning(*FINISHED_COLUMNS)
)
_FINISH_TRIED = with_attempt(_FINISH)  # PostgreSQL


async def claim_mails(
    db: Database, owner: UUID, *, limit: int, reserve: int = 0, now: datetime, until: datetime
) -> list[OutboxRow]:
    """Claim up to `limit` due mails until `until`: urgent mails first, within a class the longest due first.

    reserve: how many of the limit are for urgent mails only.
    """
    mails: list[OutboxRow] = []
    for due_class in sorted(await db.fetch(_CLASSES_WITH_WORK, now=now), key=lambda row: row.priority):
        free = limit - len(mails) - (0 if due_class.priority == MailPriority.URGENT else reserve)
        if free <= 0:
            break
        statement = _CLAIM[db.dialect_name][MailPriority(due_class.priority)]
        try:
            rows = await db.write(statement, owner=owner, limit=free, now=now, until=until)
        except (StorageBusy, StorageUnreachable):
            if mails:
                break  # mails already claimed must not wait for their lease to expire
            raise
        mails += [_outbox_row(row) for row in sorted(rows, key=lambda row: row.id) if row.kind in _KNOWN_KINDS]
    return mails


async def renew_leases(db: Database, owner: UUID, ids: Sequence[UUID], *, until: datetime) -> set[UUID]:
    """Renew the leases of these mails. Returns the ids that the owner still holds."""
    rows = await db.write(_RENEW, owner=owner, ids=ids, until=until)
    return {row.id for row in rows}


async def release_mails(db: Database, owner: UUID, ids: Sequence[UUID], *, again_at: datetime) -> None:
    """Release mails that were not attempted. Only the time when they are due changes."""
    await db.write(_RELEASE, owner=owner, ids=ids, again_at=again_at)


async def finish_mail(
    db: Database, owner: UUID, mail_id: UUID, outcome: Delivery, *, again_at: datetime | None = None
) -> bool:
    """Store the delivery result of a mail, and the attempt if there was one.

    Returns False, and writes nothing, when another worker has taken the mail over. outcome.attempts: how many attempts
    to add. again_at: when to try again; None when nothing remains to be done.
    """
    values = {
        "owner": owner,
        "row_id": mail_id,
        "new_state": outcome.state.value,
        "new_reason": outcome.reason.value if outcome.reason else None,
        "again_at": again_at,
        "counted": outcome.attempts,
        "tried_at": outcome.last_attempt_at,
        "reply": outcome.last_reply,
    }
    if not outcome.attempts or outcome.last_attempt_at is None:
        return bool(await db.write(_FINISH, **values))
    attempt_id = new_id(outcome.last_attempt_at)
    if db.dialect_name == "postgresql":
        return bool(await db.write(_FINISH_TRIED, attempt_id=attempt_id, **values))
    return bool(await db.transact(lambda: finish_with_attempt(step(_FINISH, **values), attempt_id)))


def _outbox_row(row: Row) -> OutboxRow:
    state = DeliveryState(row.state)
    return OutboxRow(row.id, MailKind(row.kind), row.subject_id, row.generation, row.locale, state, row.attempts)


# ---- delivery results ------------------------------------------------------------------------------------------------

_INVITATION: ColumnElement[str] = literal_column("'invitation'")

# Queries that show an invitation select these; `read_delivery` reads them from the row.
DELIVERY_COLUMNS: tuple[ColumnElement[Any], ...] = (
    outbox.c.state.label("delivery_state"),
    outbox.c.reason.label("delivery_reason"),
    outbox.c.attempts.label("delivery_attempts"),
    outbox.c.last_at.label("delivery_last_at"),
    outbox.c.last_reply.label("delivery_last_reply"),
)


def newest_invitation_mail(subject_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Select the id of the newest mail with the invitation's link: `outerjoin(outbox, outbox.c.id == …)`.

    Notices about an invitation have the same subject and do not count. One index lookup per row. The correlation is
    explicit: SQLAlchemy's automatic one covers one level only, and deeper this would be the newest of all mails.
    """
    mail = outbox.alias("mail")
    newest = select(mail.c.id).where(mail.c.subject_id == subject_id, mail.c.kind == _INVITATION).correlate_except(mail)
    return newest.order_by(mail.c.id.desc()).limit(1).scalar_subquery()


_ERASE_REPLIES = update(outbox).where(any_of(outbox.c.subject_id, "subject_ids")).values(last_reply=null())


def read_delivery(row: Row) -> Delivery | None:
    """Return the delivery of a row with DELIVERY_COLUMNS; None if there never was a mail."""
    if row.delivery_state is None:
        return None
    return Delivery(
        DeliveryState(row.delivery_state),
        SuppressionReason(row.delivery_reason) if row.delivery_reason else None,
        row.delivery_attempts,
        row.delivery_last_at,
        row.delivery_last_reply,
    )


def erase_replies(subject_ids: Sequence[UUID]) -> Work[None]:
    """Erase the mail servers' replies about these invitations or people: they often repeat the address."""
    yield step(_ERASE_REPLIES, subject_ids=subject_ids)
    yield erase_attempt_replies(subject_ids)


# ---- deletion --------------------------------------------------------------------------------------------------------

_DELETE_MAILS = delete(outbox).where(any_of(outbox.c.subject_id, "subject_ids"))
_OLD = (
    select(
        outbox.c.id,
        outbox.c.subject_id,
        ((outbox.c.kind != _INVITATION) & outbox.c.due_at.is_(None)).label("is_over"),
    )
    .where(outbox.c.id > bindparam("after", type_=Id), outbox.c.id < bindparam("before", type_=Id))
    .order_by(outbox.c.id)
    .limit(literal_column(str(BATCH)))
)
_PURGE = delete(outbox).where(any_of(outbox.c.id, "ids"))


def delete_mails(subject_ids: Sequence[UUID]) -> Work[None]:
    """Delete every mail of these subjects and its attempts, when the subjects themselves are deleted."""
    yield delete_attempts(subject_ids)
    yield step(_DELETE_MAILS, subject_ids=subject_ids)


async def purge_notices(db: Database, *, after: UUID, before: datetime) -> UUID | None:
    """Delete finished mails other than invitations that are older than `before`, in one batch after `after`.

    Returns the start of the next batch, None at the end. Mails of invitations are delivery records and are deleted with
    the invitation.
    """
    rows = await db.fetch(_OLD, after=after, before=first_id_at(before))
    ended = [row for row in rows if row.is_over]
    ids, subject_ids = [row.id for row in ended], [row.subject_id for row in ended]

    def work() -> Work[None]:
        yield delete_attempts_of(ids, subject_ids)
        yield step(_PURGE, ids=ids)

    if ended:
        await db.transact(work)
    return rows[-1].id if len(rows) == BATCH else None
