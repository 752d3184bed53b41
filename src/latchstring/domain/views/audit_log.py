"""Entries of the audit log and their filters."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.actor import ActorType
from latchstring.domain.event import RecordedEvent


class SubjectType(StrEnum):
    """The kind of subject that an id identifies."""

    INVITATION = "invitation"
    USER = "user"
    ADMIN = "admin"
    API_KEY = "api_key"
    GROUP = "group"
    CONTENT = "content"
    TEMPLATE = "invitation_template"


@dataclass(frozen=True, slots=True)
class NamedSubject:
    """The current name of a subject. key: identifies its page where the id does not."""

    type: SubjectType
    label: str
    email: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Filters of audit log entries. None matches all.

    action: the name of an event. actors, objects: ids; an empty tuple matches nothing.
    since is included, until excluded.
    """

    actor_type: ActorType | None = None
    actors: tuple[UUID, ...] | None = None
    action: str | None = None
    objects: tuple[UUID, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry with its subject. about is None when the subject no longer has a name."""

    recorded: RecordedEvent
    about: NamedSubject | None
