"""Checks of grants that need the database: what an inviter may grant, and what an invitee holds already."""

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
from latchstring.storage.content.grants import has_own_access
from latchstring.storage.content.objects import find_levels, find_objects
from latchstring.storage.users.users import find_user_by_email_key
from latchstring.users.grant_limits import check_grant


@dataclass(frozen=True, slots=True)
class GrantChecks:
    """Checks the grants of an invitation."""

    deps: InvitationDependencies

    async def look_up(
        self, names: Iterable[ObjectName], by: Principal
    ) -> tuple[Mapping[ObjectName, ContentObject], Mapping[UUID, Level]]:
        """The objects of these names that exist, and the principal's level on each."""
        objects = await find_objects(self.deps.db, names)
        return objects, await self.levels_of(by, [content.id for content in objects.values()]) if objects else {}

    async def levels_of(self, by: Principal, ids: Iterable[UUID]) -> Mapping[UUID, Level]:
        """The levels of a principal on objects by its own grants. Permissions do not count here."""
        return await find_levels(self.deps.db, by.id if by.type is ActorType.USER else None, ids)

    async def check_ceiling(self, by: Principal, bundle: Bundle) -> None:
        """Raise GrantNotAllowed unless the principal may grant everything in the bundle that has not ended."""
        check_grant(by, self.deps.roles, role=bundle.role, groups=bundle.live_groups)
        if not bundle.content or by.can_grant_all_content:
            return
        levels = await self.levels_of(by, [grant.target_id for grant in bundle.content])
        if not can_grant_content(by, bundle, levels):
            raise GrantNotAllowed("Only maintainers of an object may invite to it.")

    async def first_delivery(self, invitation: Invitation) -> Delivery:
        """The initial delivery state of the mail of an invitation."""
        must_be_registered = requires_existing_account(invitation.bundle, self.deps.content_rules)
        is_registered = must_be_registered and await self.is_registered(invitation.email_key)
        return first_delivery(invitation.bundle, is_registered=is_registered, deps=self.deps)

    async def is_registered(self, email_key: str) -> bool:
        """Whether an account with this verified address exists."""
        user = await find_user_by_email_key(self.deps.db, email_key)
        return user is not None and user.email_verified

    async def has_all_content(self, email_key: str, bundle: Bundle) -> bool:
        """Whether the user of this address already holds every grant on objects in the bundle.

        Where inviters must not learn which addresses have accounts, only grants in the objects' access lists count:
        maintainers can see those anyway.
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
