"""Who may do what with one content object, as a pure function.

    who                          PRIVATE      SHARED                 PUBLIC
    owner                        OWNER        OWNER                  OWNER
    content:write                MAINTAINER   MAINTAINER             MAINTAINER
    user or group with a grant   –            the greatest grant     the greatest grant
    content:read                 VIEWER       VIEWER                 VIEWER
    anybody, anonymous too       –            –                      VIEWER

The greatest of the rows that apply counts. OWNER can all that MAINTAINER can, and hand the object over, which no
permission allows. SQL says the same table for lists (`storage/content_access.py`); a property test holds both together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from latchstring.domain.grant import ContentRole
from latchstring.domain.mail import Delivery
from latchstring.domain.values import id_instant


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
class Subject:
    """Somebody who asks about objects. user_id is None for anonymous and for API keys."""

    user_id: UUID | None = None
    group_ids: frozenset[UUID] = frozenset()
    reads_all: bool = False
    writes_all: bool = False


ANONYMOUS = Subject()


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
    return max(_levels(subject, access))


def _levels(subject: Subject, access: Access) -> Iterable[Level]:
    yield Level.NONE
    if subject.user_id is not None and subject.user_id == access.owner_id:
        yield Level.OWNER
    if subject.writes_all:
        yield Level.MAINTAINER
    if subject.reads_all or access.visibility is Visibility.PUBLIC:
        yield Level.VIEWER
    if access.visibility is not Visibility.PRIVATE:
        for holder in (subject.user_id, *subject.group_ids):
            if holder is not None and holder in access.grants:
                yield Level(access.grants[holder])
