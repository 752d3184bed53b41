"""The outbox: mail that was promised, who is sending it, and what became of it.

A row with `due_at` is work. Whoever claims it moves `due_at` ahead by a lease and writes its own id into
`lease_owner`; when it dies, the row becomes due by itself. Every later write names the owner, so somebody whose lease
was taken over changes nothing.

Clocks: leases compare the clocks of the machines that send. They may differ by less than a lease (12 s); NTP keeps
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
    FINISHED,
    finish_with_attempt,
    forget_attempt_replies,
    forget_attempts,
    forget_attempts_of,
    with_attempt,
)

BATCH = 1000  # rows a purging statement looks at


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A promised mail as its loader and its sender see it. It holds no address and no link."""

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


# ---- promising -------------------------------------------------------------------------------------------------------

OUTBOX_INSERT = insert(outbox).values({column.name: bindparam(column.name, type_=column.type) for column in outbox.c})


def outbox_values(mail: OutgoingMail) -> dict[str, Any]:
    """The columns of one promised mail."""
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
    """Promise a mail: it is sent if, and only if, the transaction commits."""
    return step(OUTBOX_INSERT, **outbox_values(mail))


# ---- sending ---------------------------------------------------------------------------------------------------------


def _due(priority: MailPriority) -> ColumnElement[bool]:
    # one class at a time: the index is (priority, due_at), so what is not due yet in one class is never walked over
    now = bindparam("now", type_=Instant)
    return (outbox.c.priority == literal_column(str(int(priority)))) & (outbox.c.due_at <= now)


def _has_work(priority: MailPriority) -> Select[Any]:
    # ordered and limited, so that the index is the only cheap way: a bare EXISTS was seen to read the whole table
    first = select(outbox.c.id).where(_due(priority)).order_by(outbox.c.due_at).limit(literal_column("1")).subquery()
    return select(literal_column(str(int(priority)), Integer).label("priority")).select_from(first)


_CLASSES_WITH_WORK = union_all(*(_has_work(priority) for priority in MailPriority))
# During an upgrade a newer server may promise mails of a kind this worker has never heard of: a newer worker's work.
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
    """Take the oldest due rows of a class. The array is computed once, so a re-planned join cannot take more."""
    limit = bindparam("limit", type_=Integer)
    oldest = select(outbox.c.id).where(_due(priority)).order_by(outbox.c.due_at).limit(limit)
    if dialect_name == "postgresql":
        chosen = func.array(oldest.with_for_update(skip_locked=True).scalar_subquery(), type_=ARRAY(Id))
        mine: ColumnElement[bool] = outbox.c.id == any_(chosen)
    else:
        mine = outbox.c.id.in_(oldest.scalar_subquery())  # no lock clause: writers take turns there
    until, owner = bindparam("until", type_=Instant), bindparam("owner", type_=Id)
    return update(outbox).where(mine).values(due_at=until, lease_owner=owner).returning(*_CLAIMED)


_CLAIM = {name: {p: _claim(p, name) for p in MailPriority} for name in ("postgresql", "sqlite")}
_MINE = outbox.c.lease_owner == bindparam("owner", type_=Id)
_RENEW = (
    update(outbox)
    .where(any_of(outbox.c.id, "ids"), _MINE)
    .values(due_at=bindparam("until", type_=Instant))
    .returning(outbox.c.id)
)
_HAND_BACK = (
    update(outbox)
    .where(any_of(outbox.c.id, "ids"), _MINE)
    .values(due_at=bindparam("again_at", type_=Instant), lease_owner=null())
    .returning(outbox.c.id)
)
_FINISH = (
    update(outbox)
    .where(outbox.c.id == bindparam("row_id", type_=Id), _MINE)
    .values(
        state=bindparam("new_state", type_=outbox.c.state.type),
        reason=bindparam("new_reason", type_=outbox.c.reason.type),
        due_at=bindparam("again_at", type_=Instant),
        attempts=outbox.c.attempts + bindparam("counted", type_=Integer),
        last_at=func.coalesce(bindparam("tried_at", type_=Instant), outbox.c.last_at),
        last_reply=bindparam("reply", type_=outbox.c.last_reply.type),
        lease_owner=null(),
    )
    .returning(*FINISHED)
)
_FINISH_TRIED = with_attempt(_FINISH)  # PostgreSQL


async def claim_mails(
    db: Database, owner: UUID, *, limit: int, reserve: int = 0, now: datetime, until: datetime
) -> list[OutboxRow]:
    """Take up to `limit` due mails until `until`, urgent ones first and the longest due first within a class.

    reserve: how many of the limit only urgent mails may fill.
    """
    found: list[OutboxRow] = []
    for work in sorted(await db.fetch(_CLASSES_WITH_WORK, now=now), key=lambda row: row.priority):
        room = limit - len(found) - (0 if work.priority == MailPriority.URGENT else reserve)
        if room <= 0:
            break
        statement = _CLAIM[db.dialect_name][MailPriority(work.priority)]
        try:
            rows = await db.write(statement, owner=owner, limit=room, now=now, until=until)
        except (StorageBusy, StorageUnreachable):
            if found:
                break  # what is claimed already must not wait for its lease to run out
            raise
        found += [_outbox_row(row) for row in sorted(rows, key=lambda row: row.id) if row.kind in _KNOWN_KINDS]
    return found


async def renew_leases(db: Database, owner: UUID, ids: Sequence[UUID], *, until: datetime) -> set[UUID]:
    """Hold these mails longer. Those missing from the answer belong to somebody else by now."""
    rows = await db.write(_RENEW, owner=owner, ids=ids, until=until)
    return {row.id for row in rows}


async def hand_back_mails(db: Database, owner: UUID, ids: Sequence[UUID], *, again_at: datetime) -> None:
    """Give mails back that were not tried: nothing about them changes but when they are due."""
    await db.write(_HAND_BACK, owner=owner, ids=ids, again_at=again_at)


async def finish_mail(
    db: Database, owner: UUID, mail_id: UUID, outcome: Delivery, *, again_at: datetime | None = None
) -> bool:
    """Write down how a mail fared, and the try if there was one. False: somebody else has taken it over, and nothing
    was written.

    outcome.attempts: how many attempts to add. again_at: when to try again; None ends the work.
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


# ---- what became of it -----------------------------------------------------------------------------------------------

_INVITATION: ColumnElement[str] = literal_column("'invitation'")

# Join them under these names where an invitation is shown: `read_delivery` takes them from the row.
DELIVERY_COLUMNS: tuple[ColumnElement[Any], ...] = (
    outbox.c.state.label("delivery_state"),
    outbox.c.reason.label("delivery_reason"),
    outbox.c.attempts.label("delivery_attempts"),
    outbox.c.last_at.label("delivery_last_at"),
    outbox.c.last_reply.label("delivery_last_reply"),
)


def newest_invitation_mail(subject_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The id of the newest mail that carried the invitation's link: `outerjoin(outbox, outbox.c.id == …)`.

    Notices about an invitation share its subject and do not count. One index lookup a row. Correlated by hand: by
    itself SQLAlchemy correlates one level up only, and deeper down this would be the newest mail of all.
    """
    mail = outbox.alias("mail")
    newest = select(mail.c.id).where(mail.c.subject_id == subject_id, mail.c.kind == _INVITATION).correlate_except(mail)
    return newest.order_by(mail.c.id.desc()).limit(1).scalar_subquery()


_FORGET_REPLIES = update(outbox).where(any_of(outbox.c.subject_id, "subject_ids")).values(last_reply=null())


def read_delivery(row: Row) -> Delivery | None:
    """The delivery in a row that carries DELIVERY_COLUMNS; None where there never was a mail."""
    if row.delivery_state is None:
        return None
    return Delivery(
        DeliveryState(row.delivery_state),
        SuppressionReason(row.delivery_reason) if row.delivery_reason else None,
        row.delivery_attempts,
        row.delivery_last_at,
        row.delivery_last_reply,
    )


def forget_replies(subject_ids: Sequence[UUID]) -> Work[None]:
    """Erase what mail servers said about these invitations or people: it often repeats the address."""
    yield step(_FORGET_REPLIES, subject_ids=subject_ids)
    yield forget_attempt_replies(subject_ids)


# ---- forgetting ------------------------------------------------------------------------------------------------------

_FORGET_MAILS = delete(outbox).where(any_of(outbox.c.subject_id, "subject_ids"))
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


def forget_mails(subject_ids: Sequence[UUID]) -> Work[None]:
    """Delete every mail row of these subjects, and its tries: for the day the subject itself is deleted."""
    yield forget_attempts(subject_ids)
    yield step(_FORGET_MAILS, subject_ids=subject_ids)


async def purge_notices(db: Database, *, after: UUID, before: datetime) -> UUID | None:
    """Delete finished mails other than invitations that are older than `before`, looking at one batch after `after`.

    Returns where the next batch begins, None at the end. Invitations' rows are their delivery record and go with them.
    """
    rows = await db.fetch(_OLD, after=after, before=first_id_at(before))
    ended = [row for row in rows if row.is_over]
    ids, subject_ids = [row.id for row in ended], [row.subject_id for row in ended]

    def work() -> Work[None]:
        yield forget_attempts_of(ids, subject_ids)
        yield step(_PURGE, ids=ids)

    if ended:
        await db.transact(work)
    return rows[-1].id if len(rows) == BATCH else None
