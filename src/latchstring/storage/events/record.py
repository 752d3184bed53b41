"""History: one row an event."""

from uuid import UUID

from sqlalchemy import Integer, bindparam, func, insert, literal_column, select

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import Event, RecordedEvent
from latchstring.storage.engine.database import Database, Row, Step, step
from latchstring.storage.engine.tables import events
from latchstring.storage.engine.types import Id
from latchstring.storage.events.actor_names import name_of
from latchstring.storage.lists.by_id import COUNTED_UP_TO, Page, page_of

INSERT_EVENT = insert(events).values(
    {column.name: bindparam(column.name, type_=column.type) for column in events.columns}
)


def event_values(event: Event) -> dict[str, object]:
    """The columns of one event."""
    return {
        "id": event.id,
        "subject_id": event.subject_id,
        "type": event.type,
        "actor_type": event.actor.type.value,
        "actor_id": event.actor.id,
        "data": dict(event.data),
    }


def insert_event(event: Event) -> Step:
    """Keep one event."""
    return step(INSERT_EVENT, **event_values(event))


_IS_SUBJECT = events.c.subject_id == bindparam("subject_id", type_=Id)
_AFTER = bindparam("after_id", type_=Id)
_LIST = (
    select(events, name_of(events.c.actor_type, events.c.actor_id).label("actor_name"))
    .where(_IS_SUBJECT, events.c.id > _AFTER)
    .order_by(events.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_COUNT = select(func.count()).select_from(
    select(events.c.id)
    .where(events.c.subject_id == bindparam("subject_id", type_=Id))
    .limit(COUNTED_UP_TO + 1)
    .subquery()
)


EventPage = Page[RecordedEvent]


async def list_events(db: Database, subject_id: UUID, *, after: UUID | None, limit: int) -> EventPage:
    """What happened to one subject, oldest first, from behind `after`."""
    rows = await db.fetch(_LIST, subject_id=subject_id, after_id=after or UUID(int=0), limit=limit + 1)
    counted = (await db.fetch(_COUNT, subject_id=subject_id))[0][0]
    return page_of([_recorded(row) for row in rows], limit=limit, counted=counted)


def _recorded(row: Row) -> RecordedEvent:
    actor = Actor(ActorType(row.actor_type), row.actor_id)
    return RecordedEvent(Event(row.id, row.subject_id, row.type, actor, row.data), row.actor_name)


_DECLINED = (
    select(events.c.data)
    .where(_IS_SUBJECT, events.c.type == literal_column("'invitation.declined'"))
    .order_by(events.c.id.desc())
    .limit(1)
)


async def find_decline_reason(db: Database, invitation_id: UUID) -> str | None:
    """What the person said who declined, if anything."""
    rows = await db.fetch(_DECLINED, subject_id=invitation_id)
    reason = rows[0].data.get("reason") if rows else None
    return reason if isinstance(reason, str) else None
