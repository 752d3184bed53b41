"""What happened, as history keeps it: ids and facts, no names and no addresses, so nothing here needs erasing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.ids import id_instant, new_id


@dataclass(frozen=True, slots=True)
class Event:
    """One change, recorded with the change that caused it."""

    id: UUID
    subject_id: UUID
    type: str
    actor: Actor
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        return id_instant(self.id)


def happened(type_: str, subject_id: UUID, *, by: Actor, now: datetime, **data: object) -> Event:
    """A new event of this instant."""
    return Event(new_id(now), subject_id, type_, by, data)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it is shown: with the present name of who acted, None when there is none any more."""

    event: Event
    actor_name: str | None
