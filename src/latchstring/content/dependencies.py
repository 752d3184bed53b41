"""What the services of content are built from."""

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

PendingFinder = Callable[[UUID], Awaitable[Sequence[PendingInvitation]]]


async def find_nobody(_content_id: UUID) -> Sequence[PendingInvitation]:
    """Where there are no invitations to content."""
    return ()


@dataclass(frozen=True, kw_only=True)
class ContentDependencies:
    """The injected dependencies of each service of content. find_pending: the pending invitations to an object."""

    db: Database
    clock: Clock
    rules: ContentRules
    roles: Roles
    find_pending: PendingFinder = find_nobody

    def find_type(self, word: str) -> ContentType | None:
        """The declared type of this name or singular."""
        return self._types.get(word)

    def get_type(self, word: str) -> ContentType:
        """The declared type of this name or singular. Raises ContentNotFound."""
        declared = self.find_type(word)
        if declared is None:
            raise ContentNotFound("There is no such content type.")
        return declared

    @cached_property
    def _types(self) -> dict[str, ContentType]:
        return {
            word: declared
            for declared in self.rules.types.values()
            for word in (declared.key, declared.singular)
            if word
        }

    @cached_property
    def reading_roles(self) -> list[str]:
        """The roles that may view every object."""
        return [key for key, role in self.roles.items() if permits(role.permissions, READ)]

    @cached_property
    def writing_roles(self) -> list[str]:
        """The roles that may change every object."""
        return [key for key, role in self.roles.items() if permits(role.permissions, WRITE)]
