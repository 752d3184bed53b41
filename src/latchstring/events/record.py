"""Recording what happened, in the transaction of the change itself."""

from latchstring.domain.event import Event
from latchstring.events.catalogue import CATALOGUE
from latchstring.storage.engine.database import Step
from latchstring.storage.events.record import insert_event


def record(event: Event) -> Step:
    """The step that keeps an event. Only names of the catalogue can be recorded."""
    if event.type not in CATALOGUE:
        raise ValueError(f"the catalogue has no event {event.type}")
    return insert_event(event)
