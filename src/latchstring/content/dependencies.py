"""Dependencies of the content services."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from latchstring.domain.access import PendingInvitation
from latchstring.domain.clock import Clock
from latchstring.domain.errors import ContentNotFound
from latchstring.domain.principal import permits
from latchstring.domain.settings import ContentRules, ContentType, Roles
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

    def find_type(self, name: str) -> ContentType | None:
        """The declared type of this name or singular."""
        return self._types.get(name)

    def get_type(self, name: str) -> ContentType:
        """The declared type of this name or singular. Raises ContentNotFound."""
        declared = self.find_type(name)
        if declared is None:
            raise ContentNotFound("There is no such content type.")
        return declared

    @cached_property
    def _types(self) -> dict[str, ContentType]:
        return {
            name: declared
            for declared in self.rules.types.values()
            for name in (declared.key, declared.singular)
            if name
        }

    @cached_property
    def reading_roles(self) -> list[str]:
        """The roles that may view every object."""
        return [key for key, role in self.roles.items() if permits(role.permissions, READ)]

    @cached_property
    def writing_roles(self) -> list[str]:
        """The roles that may change every object."""
        return [key for key, role in self.roles.items() if permits(role.permissions, WRITE)]
