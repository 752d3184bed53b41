"""The outbox for operators: lists of queued, failed and sent mails, and actions to retry or drop a mail.

Retrying and dropping are conditional updates that do not change a mail while a worker has its lease. A worker claims by
a conditional update, too, so one of two concurrent updates wins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func, literal_column, null, or_, select, union_all, update

from latchstring.domain.mail import DeliveryState, MailKind, SuppressionReason
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.views.mail_queue import DROPPABLE, RETRIABLE, QueuedMail
from latchstring.domain.views.timeline import Attempt
from latchstring.storage.engine.database import Database, Row, Work, step
from latchstring.storage.engine.tables import IN_TROUBLE, delivery_attempts, outbox
from latchstring.storage.engine.types import Id, Instant
from latchstring.storage.events.actor_names import find_named
from latchstring.storage.lists.declaration import Columns, Filter, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import COUNTED_UP_TO, IndexScan, as_indexed, literal_number
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.outbox.outbox import OutboxRow

COUNT_LIMIT = 1000
MAX_ATTEMPTS = 100
MAX_MAILS_ABOUT = 200  # mails about one invitation or person
NEWEST_FIRST = SortOrder("createdAt", descending=True)

_o = outbox.c
_NOW = bindparam("now", type_=Instant)
_STATE = bindparam("state", type_=_o.state.type)


def _is(state: DeliveryState, o: Columns = _o) -> ColumnElement[bool]:
    return o.state == literal_column(f"'{state.value}'")  # type: ignore[no-any-return]


def _due() -> IndexScan:
    """Return a scan of the queued mails that are due first, as many as any list counts, sorted by id."""
    due = select(_o.id, _o.state).where(_o.due_at.is_not(None)).order_by(_o.priority, _o.due_at)
    first = due.limit(literal_number(COUNTED_UP_TO)).subquery("due")
    return IndexScan([first.c.id], where=[_is(DeliveryState.QUEUED, first.c)])


# There is no index for sent mails, which are nearly all.
_LIST: KeysetList[Row] = KeysetList(
    ListDeclaration(
        table=outbox,
        columns=tuple(_o),
        id_=_o.id,
        read=lambda row: row,
        orders={"createdAt": lambda o: [o.id]},
        scans=lambda _: {
            "all": IndexScan([_o.id]),
            "queued": _due(),
            "trouble": IndexScan([_o.id], prefix=[(_o.state, _STATE)], where=[as_indexed(IN_TROUBLE)]),
            "suppressed": IndexScan([_o.id], where=[_is(DeliveryState.SUPPRESSED)]),
            "subject": IndexScan([_o.id], prefix=[(_o.subject_id, bindparam("subject_id", type_=Id))]),
        },
        filters={"sent": Filter(lambda o: _is(DeliveryState.SENT, o))},
    )
)


_SCAN_OF: dict[DeliveryState | None, str] = {DeliveryState.QUEUED: "queued", DeliveryState.SUPPRESSED: "suppressed"}


def _query(state: DeliveryState | None) -> KeysetQuery:
    is_sent = state is DeliveryState.SENT
    name = "trouble" if state in RETRIABLE else _SCAN_OF.get(state, "all")
    scan = Scan(name, is_exact=not is_sent)
    values = {"state": state and state.value, "any_sent": not is_sent}
    return KeysetQuery(["sent"] if is_sent else [], values, [scan], is_counted=False)


_a = delivery_attempts.c
_ATTEMPTS = (
    select(delivery_attempts)
    .where(_a.subject_id == bindparam("subject_id", type_=Id), _a.mail_id == bindparam("mail_id", type_=Id))
    .order_by(_a.id.desc())
    .limit(literal_number(MAX_ATTEMPTS))
)
_FIND = select(outbox).where(_o.id == bindparam("mail_id", type_=Id))


async def list_mails(
    db: Database, state: DeliveryState | None, *, cursor: Cursor | None = None, limit: int, now: datetime
) -> Page[QueuedMail]:
    """Return a page of the mails in a state, or of all mails, newest first."""
    page = await _LIST.page(db, _query(state), order=NEWEST_FIRST, cursor=cursor, limit=limit)
    return page.with_items(await _with_names(db, page.items, now))


async def list_mails_about(db: Database, subject_id: UUID, *, now: datetime) -> Page[QueuedMail]:
    """Return the newest mails about an invitation or a person."""
    query = KeysetQuery((), {"subject_id": subject_id}, [Scan("subject", is_exact=True)], is_counted=False)
    page = await _LIST.page(db, query, order=NEWEST_FIRST, limit=MAX_MAILS_ABOUT)
    return Page(await _with_names(db, page.items, now))


async def find_mail(db: Database, mail_id: UUID, *, now: datetime) -> QueuedMail | None:
    mails = await _with_names(db, await db.fetch(_FIND, mail_id=mail_id), now)
    return mails[0] if mails else None


async def list_attempts(db: Database, mail: QueuedMail) -> list[Attempt]:
    """Return the delivery attempts of a mail with the server's replies, oldest first."""
    rows = await db.fetch(_ATTEMPTS, subject_id=mail.subject_id, mail_id=mail.id)
    return [Attempt(row.id, row.mail_id, DeliveryState(row.state), row.reply) for row in reversed(rows)]


async def _with_names(db: Database, rows: Sequence[Row], now: datetime) -> list[QueuedMail]:
    named = await find_named(db, (row.subject_id for row in rows))
    return [replace(_mail(row, now), about=named.get(row.subject_id)) for row in rows]


def _mail(row: Row, now: datetime) -> QueuedMail:
    return QueuedMail(
        id=row.id,
        kind=MailKind(row.kind) if row.kind in _KNOWN_KINDS else row.kind,
        subject_id=row.subject_id,
        generation=row.generation,
        locale=row.locale,
        state=DeliveryState(row.state),
        reason=SuppressionReason(row.reason) if row.reason else None,
        attempts=row.attempts,
        due_at=row.due_at,
        is_leased=row.lease_owner is not None and row.due_at is not None and row.due_at > now,
        last_at=row.last_at,
        last_reply=row.last_reply,
    )


_KNOWN_KINDS = frozenset(kind.value for kind in MailKind)


def outbox_row(mail: QueuedMail) -> OutboxRow:
    """Convert a mail to the form that its loader takes."""
    return OutboxRow(
        mail.id, MailKind(mail.kind), mail.subject_id, mail.generation, mail.locale, mail.state, mail.attempts
    )


# ---- counting --------------------------------------------------------------------------------------------------------


def _count(state: DeliveryState) -> Any:
    condition = _o.due_at.is_not(None) if state is DeliveryState.QUEUED else IN_TROUBLE
    limited = select(_o.id).where(condition, _is(state)).limit(literal_number(COUNT_LIMIT + 1)).subquery()
    name: ColumnElement[str] = literal_column(f"'{state.value}'")
    return select(name.label("state"), func.count().label("count")).select_from(limited)


_COUNTS = union_all(*(_count(state) for state in (DeliveryState.QUEUED, *RETRIABLE)))


async def count_mails(db: Database) -> Mapping[DeliveryState, int]:
    """Count the mails in each state that may need attention, up to COUNT_LIMIT + 1."""
    return {DeliveryState(row.state): row.count for row in await db.fetch(_COUNTS)}


# ---- actions ---------------------------------------------------------------------------------------------------------

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
    """Make a failed mail due now. Returns False when it is being sent, was sent, or ended meanwhile."""
    return bool((yield step(_RETRY, mail_id=mail_id, now=now)))


def drop_mail(mail_id: UUID, *, now: datetime) -> Work[bool]:
    """Cancel a mail. Returns False when it is being sent, was sent, or ended meanwhile."""
    return bool((yield step(_DROP, mail_id=mail_id, now=now)))
