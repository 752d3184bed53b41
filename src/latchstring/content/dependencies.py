"""Dependencies of the content services."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from latchstring.domain.access import PendingInvitation
from latchstring.domain.clock import Clock
from latchstring.domain.principal import permits
from latchstring.domain.settings import ContentRules, Roles
from latchstring.storage.engine.database import Database

READ = "content:read"
WRITE = "content:write"

FindPendingInvitations = Callable[[UUID], Awaitable[Sequence[PendingInvitation]]]


async def find_no_invitations(_content_id: UUID) -> Sequence[PendingInvitation]:
    """Return nothing: for installations without invitations to content."""
    return ()


@dataclass(frozen=True, kw_only=True)
class ContentDependencies:
    """The injected dependencies of each service of content. find_pending: the pending invitations to an object."""

    db: Database
    clock: Clock
    rules: ContentRules
    roles: Roles
    find_pending: FindPendingInvitations = find_no_invitations

    @cached_property
    def reading_roles(self) -> list[str]:
        """The roles that may view every object."""
        return [key for key, role in self.roles.items() if permits(role.permissions, READ)]

    @cached_property
    def writing_roles(self) -> list[str]:
        """The roles that may change every object."""
        return [key for key, role in self.roles.items() if permits(role.permissions, WRITE)]
