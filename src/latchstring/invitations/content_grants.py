"""Content objects in invitations: which are meant, who may hand them out, who has them already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.access import ContentObject, Level
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import GrantNotAllowed
from latchstring.domain.grant import Bundle, ContentRole
from latchstring.domain.principal import Principal, maintains_all
from latchstring.domain.settings import ContentRules
from latchstring.invitations.build import ObjectName
from latchstring.storage.content.objects import find_levels, find_objects, has_own_access
from latchstring.storage.engine.database import Database
from latchstring.storage.users.users import find_user_by_email_key

Found = Mapping[ObjectName, ContentObject]


@dataclass(frozen=True, slots=True)
class Objects:
    """Answers questions about the objects of an invitation."""

    db: Database
    rules: ContentRules

    async def look_up(self, names: Iterable[ObjectName], by: Principal) -> tuple[Found, Mapping[UUID, Level]]:
        """Those of the named that are objects, and what a principal holds on them."""
        found = await find_objects(self.db, names)
        return found, await self.levels_of(by, [one.id for one in found.values()]) if found else {}

    async def levels_of(self, by: Principal, ids: Iterable[UUID]) -> Mapping[UUID, Level]:
        """What a principal holds on objects as a user; permissions are asked apart."""
        return await find_levels(self.db, by.id if by.type is ActorType.USER else None, ids)

    async def check_ceiling(self, by: Principal, bundle: Bundle) -> None:
        """Raise GrantNotAllowed unless the principal maintains every object that is live in the bundle."""
        levels = await self.levels_of(by, [grant.target_id for grant in bundle.content])
        if not maintains_all(by, bundle, levels):
            raise GrantNotAllowed("Only maintainers of an object may invite to it.")

    async def is_registered(self, email_key: str) -> bool:
        """Whether somebody has proved to be at this address."""
        user = await find_user_by_email_key(self.db, email_key)
        return user is not None and user.email_verified

    async def has_all(self, email_key: str, bundle: Bundle) -> bool:
        """Whether the person of this address holds every right of the bundle already.

        Where addresses must not be probed, only what stands in an object's own access list counts.
        """
        user = await find_user_by_email_key(self.db, email_key)
        if user is None or not user.email_verified:
            return False
        ids = [grant.target_id for grant in bundle.content]
        if not self.rules.allow_unregistered_users and not await has_own_access(self.db, user.id, ids):
            return False
        levels = await find_levels(self.db, user.id, ids)
        return all(levels.get(g.target_id, Level.NONE) >= Level(g.role or ContentRole.VIEWER) for g in bundle.content)
