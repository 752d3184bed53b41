"""All records of an invitation, in four bounded reads."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import Event, RecordedEvent
from latchstring.domain.mail import DeliveryState, MailKind, SuppressionReason
from latchstring.domain.views.timeline import Attempt, InvitationRecords, TimelineMail
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import delivery_attempts, events, outbox
from latchstring.storage.engine.types import Id
from latchstring.storage.events.actor_names import name_of
from latchstring.storage.invitations.link_views import list_link_views

MAX_ENTRIES = 200  # of each kind; an invitation that is resent every day has more, and the newest matter most


def _newest(query: Select[Any], subject_id: ColumnElement[Any], id_: ColumnElement[Any]) -> Select[Any]:
    of_subject = query.where(subject_id == bindparam("subject_id", type_=Id))
    return of_subject.order_by(id_.desc()).limit(literal_column(str(MAX_ENTRIES + 1)))


_EVENTS = _newest(
    select(events, name_of(events.c.actor_type, events.c.actor_id, among_administrators=True).label("actor_name")),
    events.c.subject_id,
    events.c.id,
)
_MAILS = _newest(
    select(
        outbox.c.id,
        outbox.c.kind,
        outbox.c.generation,
        outbox.c.state,
        outbox.c.reason,
        outbox.c.due_at,
        outbox.c.attempts,
    ),
    outbox.c.subject_id,
    outbox.c.id,
)
_ATTEMPTS = _newest(select(delivery_attempts), delivery_attempts.c.subject_id, delivery_attempts.c.id)


async def find_records(db: Database, invitation_id: UUID, *, with_delivery: bool = True) -> InvitationRecords:
    """Return the newest records of an invitation. with_delivery: include its mails and attempts."""
    event_rows = await db.fetch(_EVENTS, subject_id=invitation_id)
    mails = await db.fetch(_MAILS, subject_id=invitation_id) if with_delivery else []
    attempts = await db.fetch(_ATTEMPTS, subject_id=invitation_id) if with_delivery else []
    return InvitationRecords(
        events=[_event(row) for row in event_rows[:MAX_ENTRIES]],
        mails=_mails(mails[:MAX_ENTRIES]),
        attempts=[Attempt(row.id, row.mail_id, DeliveryState(row.state), row.reply) for row in attempts[:MAX_ENTRIES]],
        link_views=await list_link_views(db, invitation_id),
        is_truncated=max(map(len, (event_rows, mails, attempts))) > MAX_ENTRIES,
    )


def _event(row: Row) -> RecordedEvent:
    actor = Actor(ActorType(row.actor_type), row.actor_id)
    return RecordedEvent(Event(row.id, row.subject_id, row.type, actor, row.data), row.actor_name)


_KNOWN_KINDS = frozenset(kind.value for kind in MailKind)


def _mails(rows: Sequence[Row]) -> list[TimelineMail]:
    """Convert rows of known kinds. During an upgrade a newer server may have queued mails of unknown kinds."""
    return [
        TimelineMail(
            row.id,
            MailKind(row.kind),
            row.generation,
            DeliveryState(row.state),
            SuppressionReason(row.reason) if row.reason else None,
            row.due_at,
            row.attempts,
        )
        for row in rows
        if row.kind in _KNOWN_KINDS
    ]
