"""What happened to one subject, newest first."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Integer, bindparam, literal_column, select

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import Event, RecordedEvent
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import events
from latchstring.storage.engine.types import Id
from latchstring.storage.events.actor_names import name_of

AT_ONCE = 30
LAST = UUID(int=2**128 - 1)
_NEWEST = (
    select(events, name_of(events.c.actor_type, events.c.actor_id).label("actor_name"))
    .where(events.c.subject_id == bindparam("subject_id", type_=Id), events.c.id < bindparam("before", type_=Id))
    .order_by(events.c.id.desc())
    .limit(literal_column(str(AT_ONCE + 1), Integer))
)


async def list_history(
    db: Database, subject_id: UUID, *, before: UUID | None = None
) -> tuple[Sequence[RecordedEvent], UUID | None]:
    """What happened to a subject before an event, newest first, and the event to go on from."""
    rows = await db.fetch(_NEWEST, subject_id=subject_id, before=before or LAST)
    found = [
        RecordedEvent(
            Event(row.id, row.subject_id, row.type, Actor(ActorType(row.actor_type), row.actor_id), row.data),
            row.actor_name,
        )
        for row in rows[:AT_ONCE]
    ]
    return found, found[-1].event.id if len(rows) > AT_ONCE else None
