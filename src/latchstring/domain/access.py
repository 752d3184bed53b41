"""Who may do what with one content object, as a pure function.

    who                          PRIVATE      SHARED                 PUBLIC
    owner                        OWNER        OWNER                  OWNER
    content:write                MAINTAINER   MAINTAINER             MAINTAINER
    user or group with a grant   –            the greatest grant     the greatest grant
    content:read                 VIEWER       VIEWER                 VIEWER
    anybody, anonymous too       –            –                      VIEWER

The greatest of the rows that apply counts. OWNER can all that MAINTAINER can, and hand the object over, which no
permission allows. SQL says the same table for lists (`storage/content/access.py`); a property test holds both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import id_instant
from latchstring.domain.mail import Delivery


class Visibility(IntEnum):
    """Who may see an object at all. The numbers are stored."""

    PRIVATE = 0
    SHARED = 1
    PUBLIC = 2


class SubjectKind(IntEnum):
    """Who may hold a grant. The numbers are stored."""

    USER = 1
    GROUP = 2


class Level(IntEnum):
    """What somebody may do with an object; a greater one includes the smaller. 1 to 3 are ContentRole's."""

    NONE = 0
    VIEWER = 1
    EDITOR = 2
    MAINTAINER = 3
    OWNER = 4


@dataclass(frozen=True, slots=True)
class ContentObject:
    """One object: its words and data, its owner, who may see it."""

    id: UUID
    type: str
    key: str
    owner_id: UUID
    visibility: Visibility
    title: str
    url: str | None
    data: Mapping[str, object] | None
    version: int
    updated_at: datetime

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)


@dataclass(frozen=True, slots=True)
class ObjectWithAccess:
    """An object with what the asker may do with it."""

    object: ContentObject
    level: Level


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who asks about objects. user_id is None for anonymous and for API keys.

    group_ids are for `level_of`; SQL reads memberships itself, so that a change counts at once.
    """

    user_id: UUID | None = None
    group_ids: frozenset[UUID] = frozenset()
    reads_all: bool = False
    writes_all: bool = False
    is_known: bool = True


ANONYMOUS = Subject(is_known=False)


@dataclass(frozen=True, slots=True)
class Access:
    """An object's owner, visibility and grants by user or group id."""

    owner_id: UUID
    visibility: Visibility
    grants: Mapping[UUID, ContentRole] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserAccess:
    """Somebody an object is shared with, as a maintainer sees him."""

    user_id: UUID
    name: str
    email: str
    role: ContentRole


@dataclass(frozen=True, slots=True)
class Holders:
    """Everybody an object is shared with; groups by key."""

    users: tuple[UserAccess, ...]
    groups: Mapping[str, ContentRole]


@dataclass(frozen=True, slots=True)
class PendingInvitation:
    """An open invitation to an object, as its maintainers see it. delivery: None where it would give addresses away."""

    id: UUID
    email: str
    role: ContentRole
    issued_at: datetime
    expires_at: datetime
    delivery: Delivery | None


def level_of(subject: Subject, access: Access) -> Level:
    """What the subject may do with the object."""
    return level_with(subject, access.visibility, _held(subject, access))


def level_with(subject: Subject, visibility: Visibility, held: Level) -> Level:
    """What the subject may do who holds this much as owner or by grants."""
    if subject.writes_all:
        return max(held, Level.MAINTAINER)
    if subject.reads_all or visibility is Visibility.PUBLIC:
        return max(held, Level.VIEWER)
    return held


def _held(subject: Subject, access: Access) -> Level:
    if subject.user_id is not None and subject.user_id == access.owner_id:
        return Level.OWNER
    if access.visibility is Visibility.PRIVATE:
        return Level.NONE
    holders = subject.group_ids if subject.user_id is None else {subject.user_id, *subject.group_ids}
    return max((Level(access.grants[one]) for one in holders if one in access.grants), default=Level.NONE)
