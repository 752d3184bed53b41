"""The outbox as an operator sees it: what waits, what fails, what left, and two ways to interfere.

Retrying and dropping are conditional updates that leave a mail alone while a worker holds it. A worker claims by a
conditional update, too, so of both at once one wins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, literal_column, null, or_, select, union_all, update
from sqlalchemy.sql import Executable

from latchstring.domain.mail import DeliveryState, MailKind, SuppressionReason
from latchstring.domain.views.mail_queue import DROPPABLE, RETRIABLE, QueuedMail, QueuePage
from latchstring.domain.views.timeline import Attempt
from latchstring.storage.engine.database import Database, Row, Work, step
from latchstring.storage.engine.tables import IN_TROUBLE, delivery_attempts, outbox
from latchstring.storage.engine.types import Id, Instant
from latchstring.storage.events.actor_names import find_named
from latchstring.storage.outbox.outbox import OutboxRow

WALK = 5000  # rows a page looks at where no index knows the state
COUNTED = 1000
MOST_ATTEMPTS = 100
LATEST = UUID(int=(1 << 128) - 1)

_o = outbox.c
_BEFORE, _NOW = bindparam("before", type_=Id), bindparam("now", type_=Instant)


def _is(state: DeliveryState) -> ColumnElement[bool]:
    return _o.state == literal_column(f"'{state.value}'")


def _literal(number: int) -> ColumnElement[int]:
    return literal_column(str(number))


def _all(limit: int) -> Select[Any]:
    return select(outbox).where(_o.id < _BEFORE).order_by(_o.id.desc()).limit(_literal(limit))


@cache
def _list(state: DeliveryState | None, limit: int) -> Executable:
    """Each state by the index that knows it; a walk back in time, of bounded length, for those that none knows."""
    if state is None:
        return _all(limit)
    if state in RETRIABLE:  # word by word the condition of the index, for SQLite
        found = select(outbox).where(IN_TROUBLE, _is(state), _o.id < _BEFORE)
        return found.order_by(_o.id.desc()).limit(_literal(limit))
    if state is DeliveryState.QUEUED:
        by_due = select(outbox).where(_o.due_at.is_not(None)).order_by(_o.priority, _o.due_at)
        walked = by_due.limit(_literal(WALK)).subquery("walked")
    else:
        walked = _all(WALK).subquery("walked")
    kept = walked.c.state == literal_column(f"'{state.value}'"), walked.c.id < _BEFORE
    return select(walked).where(*kept).order_by(walked.c.id.desc()).limit(_literal(limit))


_END_OF_WALK = _all(WALK).with_only_columns(_o.id).offset(_literal(WALK - 1)).limit(_literal(1))
_OF_SUBJECT = (
    select(outbox)
    .where(_o.subject_id == bindparam("subject_id", type_=Id), _o.id < _BEFORE)
    .order_by(_o.id.desc())
    .limit(_literal(200))
)
_a = delivery_attempts.c
_ATTEMPTS = (
    select(delivery_attempts)
    .where(_a.subject_id == bindparam("subject_id", type_=Id), _a.mail_id == bindparam("mail_id", type_=Id))
    .order_by(_a.id.desc())
    .limit(_literal(MOST_ATTEMPTS))
)
_FIND = select(outbox).where(_o.id == bindparam("mail_id", type_=Id))


async def list_mails(
    db: Database, state: DeliveryState | None, *, before: UUID | None = None, limit: int, now: datetime
) -> QueuePage:
    """A page of the mails in a state, or of all."""
    start = before or LATEST
    rows = await db.fetch(_list(state, limit + 1), before=start)
    older = rows[limit - 1].id if len(rows) > limit else None
    if older is None and state in {DeliveryState.SENT, DeliveryState.SUPPRESSED}:
        end = await db.fetch(_END_OF_WALK, before=start)  # the walk ended, not the outbox
        older = end[0].id if end else None
    return QueuePage(await _with_names(db, rows[:limit], now), older)


async def list_mails_about(db: Database, subject_id: UUID, *, now: datetime) -> QueuePage:
    """The newest mails about one invitation or person."""
    return QueuePage(
        await _with_names(db, await db.fetch(_OF_SUBJECT, subject_id=subject_id, before=LATEST), now), None
    )


async def find_mail(db: Database, mail_id: UUID, *, now: datetime) -> QueuedMail | None:
    """One mail."""
    found = await _with_names(db, await db.fetch(_FIND, mail_id=mail_id), now)
    return found[0] if found else None


async def list_attempts(db: Database, mail: QueuedMail) -> list[Attempt]:
    """Every try at a mail with what the server said, the first try first."""
    rows = await db.fetch(_ATTEMPTS, subject_id=mail.subject_id, mail_id=mail.id)
    return [Attempt(row.id, row.mail_id, DeliveryState(row.state), row.reply) for row in reversed(rows)]


async def _with_names(db: Database, rows: Sequence[Row], now: datetime) -> list[QueuedMail]:
    named = await find_named(db, (row.subject_id for row in rows))
    return [replace(_mail(row, now), about=named.get(row.subject_id)) for row in rows]


def _mail(row: Row, now: datetime) -> QueuedMail:
    return QueuedMail(
        id=row.id,
        kind=MailKind(row.kind) if row.kind in _KNOWN else row.kind,
        subject_id=row.subject_id,
        generation=row.generation,
        locale=row.locale,
        state=DeliveryState(row.state),
        reason=SuppressionReason(row.reason) if row.reason else None,
        attempts=row.attempts,
        due_at=row.due_at,
        is_held=row.lease_owner is not None and row.due_at is not None and row.due_at > now,
        last_at=row.last_at,
        last_reply=row.last_reply,
    )


_KNOWN = frozenset(kind.value for kind in MailKind)


def outbox_row(mail: QueuedMail) -> OutboxRow:
    """The mail as its loader takes it."""
    return OutboxRow(
        mail.id, MailKind(mail.kind), mail.subject_id, mail.generation, mail.locale, mail.state, mail.attempts
    )


# ---- counting --------------------------------------------------------------------------------------------------------


def _count(state: DeliveryState) -> Any:
    condition = _o.due_at.is_not(None) if state is DeliveryState.QUEUED else IN_TROUBLE
    some = select(_o.id).where(condition, _is(state)).limit(_literal(COUNTED + 1)).subquery()
    name: ColumnElement[str] = literal_column(f"'{state.value}'")
    return select(name.label("state"), func.count().label("count")).select_from(some)


_COUNTS = union_all(*(_count(state) for state in (DeliveryState.QUEUED, *RETRIABLE)))


async def count_mails(db: Database) -> Mapping[DeliveryState, int]:
    """How many mails are in each state that somebody may have to look at, at most COUNTED + 1."""
    return {DeliveryState(row.state): row.count for row in await db.fetch(_COUNTS)}


# ---- interfering -----------------------------------------------------------------------------------------------------

_FREE = or_(_o.lease_owner.is_(None), _o.due_at.is_(None), _o.due_at <= _NOW)
_MAIL_ID = bindparam("mail_id", type_=Id)
_RETRY = (
    update(outbox)
    .where(_o.id == _MAIL_ID, _FREE, or_(*(_is(state) for state in RETRIABLE)))
    .values(state=literal_column("'QUEUED'"), reason=null(), due_at=_NOW, lease_owner=null())
    .returning(_o.subject_id, _o.kind)
)
_DROP = (
    update(outbox)
    .where(_o.id == _MAIL_ID, _FREE, or_(*(_is(state) for state in DROPPABLE)), _o.due_at.is_not(None))
    .values(state=literal_column("'SUPPRESSED'"), reason=literal_column("'ENDED'"), due_at=null(), lease_owner=null())
    .returning(_o.subject_id, _o.kind)
)


def retry_mail(mail_id: UUID, *, now: datetime) -> Work[bool]:
    """Make a mail due at once, whatever was said about it. False: it is being sent, has left, or ended meanwhile."""
    return bool((yield step(_RETRY, mail_id=mail_id, now=now)))


def drop_mail(mail_id: UUID, *, now: datetime) -> Work[bool]:
    """End the sending of a mail. False: it is being sent, has left, or ended meanwhile."""
    return bool((yield step(_DROP, mail_id=mail_id, now=now)))
