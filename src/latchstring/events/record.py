"""Recording of events in the transaction of the change."""

from latchstring.domain.event import Event
from latchstring.events.catalogue import CATALOGUE
from latchstring.storage.engine.database import Step
from latchstring.storage.events.record import insert_event


def record(event: Event) -> Step:
    """Return the step that stores an event. Raises ValueError for a type that is not in the catalogue."""
    if event.type not in CATALOGUE:
        raise ValueError(f"the catalogue has no event {event.type}")
    return insert_event(event)
