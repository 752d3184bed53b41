"""What inviters may hand out, and who has it already: the questions that need the database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.access import ContentObject, Level
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import GrantNotAllowed
from latchstring.domain.grant import Bundle, ContentRole
from latchstring.domain.invitation import Invitation
from latchstring.domain.mail import Delivery
from latchstring.domain.principal import Principal, can_grant_content
from latchstring.invitations.build import ObjectName, first_delivery, requires_existing_account
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.storage.content.objects import find_levels, find_objects, has_own_access
from latchstring.storage.users.users import find_user_by_email_key
from latchstring.users.grant_limits import check_grant


@dataclass(frozen=True, slots=True)
class GrantChecks:
    """Answers questions about the grants of an invitation."""

    deps: InvitationDependencies

    async def look_up(
        self, names: Iterable[ObjectName], by: Principal
    ) -> tuple[Mapping[ObjectName, ContentObject], Mapping[UUID, Level]]:
        """Those of the named that are objects, and what a principal holds on them."""
        objects = await find_objects(self.deps.db, names)
        return objects, await self.levels_of(by, [one.id for one in objects.values()]) if objects else {}

    async def levels_of(self, by: Principal, ids: Iterable[UUID]) -> Mapping[UUID, Level]:
        """What a principal holds on objects as a user; permissions are asked apart."""
        return await find_levels(self.deps.db, by.id if by.type is ActorType.USER else None, ids)

    async def check_ceiling(self, by: Principal, bundle: Bundle) -> None:
        """Raise GrantNotAllowed unless the principal may hand out everything that is live in the bundle."""
        check_grant(by, self.deps.roles, role=bundle.role, groups=bundle.live_groups)
        if not bundle.content or by.can("content:write"):
            return
        levels = await self.levels_of(by, [grant.target_id for grant in bundle.content])
        if not can_grant_content(by, bundle, levels):
            raise GrantNotAllowed("Only maintainers of an object may invite to it.")

    async def first_delivery(self, invitation: Invitation) -> Delivery:
        """The state the mail of an invitation begins with."""
        is_asked = requires_existing_account(invitation.bundle, self.deps.content_rules)
        is_registered = is_asked and await self.is_registered(invitation.email_key)
        return first_delivery(invitation.bundle, is_registered=is_registered, deps=self.deps)

    async def is_registered(self, email_key: str) -> bool:
        """Whether somebody has proved to own this address."""
        user = await find_user_by_email_key(self.deps.db, email_key)
        return user is not None and user.email_verified

    async def has_all_content(self, email_key: str, bundle: Bundle) -> bool:
        """Whether the person of this address holds every right on objects in the bundle already.

        Where addresses must not be probed, only what stands in an object's own access list counts.
        """
        user = await find_user_by_email_key(self.deps.db, email_key)
        if user is None or not user.email_verified:
            return False
        ids = [grant.target_id for grant in bundle.content]
        is_probing_safe = self.deps.content_rules.allow_unregistered_users
        if not is_probing_safe and not await has_own_access(self.deps.db, user.id, ids):
            return False
        levels = await find_levels(self.deps.db, user.id, ids)
        return all(levels.get(g.target_id, Level.NONE) >= Level(g.role or ContentRole.VIEWER) for g in bundle.content)
