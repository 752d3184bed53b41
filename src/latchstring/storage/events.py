"""History: one row an event."""

from sqlalchemy import bindparam, insert

from latchstring.domain.event import Event
from latchstring.storage.engine import Step, step
from latchstring.storage.tables import events

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
