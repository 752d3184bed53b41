"""Results of the invitation services."""

from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.access import ObjectWithAccess
from latchstring.domain.account import User
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Invitation
from latchstring.users.sessions import SessionTokens


@dataclass(frozen=True, slots=True)
class Applied:
    """What an acceptance granted: the present role if one was offered, the groups, the objects as they are now.

    kept_role: the previous role, when the offered one would have taken rights away.
    """

    role: str | None
    groups: tuple[str, ...]
    offered_role: str | None = None
    content: tuple[ObjectWithAccess, ...] = ()

    @property
    def kept_role(self) -> str | None:
        return self.role if self.offered_role is not None and self.offered_role != self.role else None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An acceptance. tokens: only for the browser of a new account; None otherwise."""

    user: User
    is_new: bool
    applied: Applied
    invitation: Invitation
    tokens: SessionTokens | None


@dataclass(frozen=True, slots=True)
class OfferedObject:
    """A content object that the link grants, with the role on it."""

    id: UUID
    type: str
    key: str
    title: str
    url: str | None
    role: ContentRole


@dataclass(frozen=True, slots=True)
class InvitationPreview:
    """What an invitee sees before answering. inviter_name: None unless a user or an administrator invites."""

    invitation: Invitation
    inviter_name: str | None
    role_name: str | None
    groups: tuple[tuple[str, str], ...]  # key, name in the reader's language
    account_exists: bool
    locale: str
    objects: tuple[OfferedObject, ...] = ()
