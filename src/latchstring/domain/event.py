"""Events: ids and facts without names and addresses, so that erasing a person does not change them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.ids import id_instant, new_id


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a subject, stored in the transaction that makes the change."""

    id: UUID
    subject_id: UUID
    type: str
    actor: Actor
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        return id_instant(self.id)


def new_event(type_: str, subject_id: UUID, *, by: Actor, now: datetime, **data: object) -> Event:
    """Create an event with an id of this instant."""
    return Event(new_id(now), subject_id, type_, by, data)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with the current name of its actor; None when the actor no longer exists."""

    event: Event
    actor_name: str | None
