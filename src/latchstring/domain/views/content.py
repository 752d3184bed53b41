"""Content objects and their grants, for lists of the panel."""

from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.access import ContentObject, SubjectKind
from latchstring.domain.grant import ContentRole


@dataclass(frozen=True, slots=True)
class GrantedObject:
    """An object with the role granted on it; None for its owner."""

    object: ContentObject
    role: ContentRole | None


@dataclass(frozen=True, slots=True)
class Holder:
    """A user or group that an object is shared with. email: of a user; key: of a group."""

    id: UUID
    kind: SubjectKind
    role: ContentRole
    name: str
    email: str = ""
    key: str = ""
