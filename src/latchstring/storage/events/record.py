"""Storage of events."""

from uuid import UUID

from sqlalchemy import bindparam, insert, literal_column, select

from latchstring.domain.event import Event
from latchstring.storage.engine.database import Database, Step, step
from latchstring.storage.engine.tables import events
from latchstring.storage.engine.types import Id

INSERT_EVENT = insert(events).values(
    {column.name: bindparam(column.name, type_=column.type) for column in events.columns}
)


def event_values(event: Event) -> dict[str, object]:
    """Return the column values of an event."""
    return {
        "id": event.id,
        "subject_id": event.subject_id,
        "type": event.type,
        "actor_type": event.actor.type.value,
        "actor_id": event.actor.id,
        "data": dict(event.data),
    }


def insert_event(event: Event) -> Step:
    return step(INSERT_EVENT, **event_values(event))


_IS_SUBJECT = events.c.subject_id == bindparam("subject_id", type_=Id)
_DECLINED = (
    select(events.c.data)
    .where(_IS_SUBJECT, events.c.type == literal_column("'invitation.declined'"))
    .order_by(events.c.id.desc())
    .limit(1)
)


async def find_decline_reason(db: Database, invitation_id: UUID) -> str | None:
    """Return the reason that the invitee gave for declining, if any."""
    rows = await db.fetch(_DECLINED, subject_id=invitation_id)
    reason = rows[0].data.get("reason") if rows else None
    return reason if isinstance(reason, str) else None
