"""Access levels on one content object, as a pure function.

    subject                      PRIVATE      SHARED                 PUBLIC
    owner                        OWNER        OWNER                  OWNER
    content:write                MAINTAINER   MAINTAINER             MAINTAINER
    user or group with a grant   –            highest granted role   highest granted role
    content:read                 VIEWER       VIEWER                 VIEWER
    everyone, also anonymous     –            –                      VIEWER

The highest level of all rows that apply counts. OWNER includes MAINTAINER, and may also transfer the object, which no
permission allows. `storage/content/access.py` has the same table in SQL for lists; a property test compares the two.
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
    """What a grant is given to. The numbers are stored."""

    USER = 1
    GROUP = 2


class Level(IntEnum):
    """What a subject may do with an object. A higher level includes the lower ones. 1 to 3 equal ContentRole."""

    NONE = 0
    VIEWER = 1
    EDITOR = 2
    MAINTAINER = 3
    OWNER = 4


@dataclass(frozen=True, slots=True)
class ContentObject:
    """A content object: title, data, owner and visibility."""

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
    """An object with the caller's access level."""

    object: ContentObject
    level: Level


@dataclass(frozen=True, slots=True)
class Subject:
    """The caller in access checks. user_id is None for anonymous callers and API keys.

    group_ids: used by `compute_level` only. SQL reads memberships itself, so changes take effect at once.
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
    """A user an object is shared with, as shown to maintainers."""

    user_id: UUID
    name: str
    email: str
    role: ContentRole


@dataclass(frozen=True, slots=True)
class Holders:
    """All users and groups an object is shared with. groups: roles by group key."""

    users: tuple[UserAccess, ...]
    groups: Mapping[str, ContentRole]


@dataclass(frozen=True, slots=True)
class PendingInvitation:
    """A pending invitation to an object, as shown to maintainers.

    delivery: None where it would reveal which addresses have accounts.
    """

    id: UUID
    email: str
    role: ContentRole
    issued_at: datetime
    expires_at: datetime
    delivery: Delivery | None


def compute_level(subject: Subject, access: Access) -> Level:
    """Return the level of the subject on the object."""
    return combine_level(subject, access.visibility, _granted_level(subject, access))


def combine_level(subject: Subject, visibility: Visibility, granted_level: Level) -> Level:
    """Combine the level from ownership and grants with permissions and visibility."""
    if subject.writes_all:
        return max(granted_level, Level.MAINTAINER)
    if subject.reads_all or visibility is Visibility.PUBLIC:
        return max(granted_level, Level.VIEWER)
    return granted_level


def _granted_level(subject: Subject, access: Access) -> Level:
    if subject.user_id is not None and subject.user_id == access.owner_id:
        return Level.OWNER
    if access.visibility is Visibility.PRIVATE:
        return Level.NONE
    ids = subject.group_ids if subject.user_id is None else {subject.user_id, *subject.group_ids}
    return max((Level(access.grants[id_]) for id_ in ids if id_ in access.grants), default=Level.NONE)
