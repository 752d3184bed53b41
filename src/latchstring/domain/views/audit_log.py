"""Looking into history: which entries somebody asks for, and what they are about."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.actor import ActorType
from latchstring.domain.event import RecordedEvent


class Noun(StrEnum):
    """What an id can stand for."""

    INVITATION = "invitation"
    USER = "user"
    ADMIN = "admin"
    API_KEY = "api_key"
    GROUP = "group"
    CONTENT = "content"
    TEMPLATE = "invitation_template"


@dataclass(frozen=True, slots=True)
class Named:
    """What an id stands for, as it is called now. key: how its page is found, where that is not the id."""

    noun: Noun
    label: str
    email: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None and empty mean all.

    action: the name of an event. actors, objects: ids; an empty tuple that was asked for is None's opposite, nothing.
    since, until: from the one on, up to but without the other.
    """

    actor_type: ActorType | None = None
    actors: tuple[UUID, ...] | None = None
    action: str | None = None
    objects: tuple[UUID, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry with what it is about. about is None where that has no name any more."""

    recorded: RecordedEvent
    about: Named | None
