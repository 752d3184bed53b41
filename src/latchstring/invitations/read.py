"""Read invitations: all for callers with `invitations:read`, only their own for others."""

from dataclasses import dataclass, replace
from uuid import UUID

from latchstring.domain.actor import ActorType
from latchstring.domain.errors import InvitationNotFound, NotAllowed
from latchstring.domain.event import RecordedEvent
from latchstring.domain.ids import NIL_ID
from latchstring.domain.invitation import InvitationDetails
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.settings import ContentRules
from latchstring.invitations.build import requires_existing_account
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.permissions import READ, REVEAL, WRITE
from latchstring.storage.events.subject_history import list_events
from latchstring.storage.invitations.lists import NEWEST_FIRST, list_invitations
from latchstring.storage.invitations.read import find_invitation


@dataclass(frozen=True, slots=True)
class InvitationReader:
    """Reads invitations. Every method returns only what its caller may see."""

    deps: InvitationDependencies

    async def get(self, invitation_id: UUID, *, by: Principal) -> InvitationDetails:
        """An invitation that the caller may see. Raises NotAllowed, InvitationNotFound."""
        _require_any_permission(by)
        details = await find_invitation(self.deps.db, invitation_id)
        if details is None:
            raise InvitationNotFound("There is no such invitation.")
        inviter = details.invitation.inviter
        is_own = by.type is not ActorType.OPERATOR and by.actor == inviter
        if not is_own and not by.can(READ):
            raise InvitationNotFound("There is no such invitation.")
        return self.redact_for(details, by)

    async def list(
        self,
        filter_: InvitationFilter,
        *,
        by: Principal,
        order: SortOrder = NEWEST_FIRST,
        cursor: Cursor | None = None,
        limit: int,
    ) -> Page[InvitationDetails]:
        """A page of the invitations that the caller may see. Raises NotAllowed."""
        page = await list_invitations(
            self.deps.db,
            self.restrict_to_visible(filter_, by),
            order=order,
            cursor=cursor,
            limit=limit,
            now=self.deps.clock(),
        )
        return page.map(lambda details: self.redact_for(details, by))

    async def events(
        self, invitation_id: UUID, *, by: Principal, cursor: Cursor | None = None, limit: int
    ) -> Page[RecordedEvent]:
        """The events of an invitation, oldest first. Raises NotAllowed, InvitationNotFound."""
        await self.get(invitation_id, by=by)
        return await list_events(self.deps.db, invitation_id, cursor=cursor, limit=limit)

    def restrict_to_visible(self, filter_: InvitationFilter, by: Principal) -> InvitationFilter:
        """The filter, narrowed to what the caller may list. Raises NotAllowed."""
        _require_any_permission(by)
        if filter_.deliveries and not self.deps.content_rules.allow_unregistered_users:
            by.require("users:read")  # a filter would reveal what `redact_for` leaves out
        return filter_ if by.can(READ) else replace(filter_, only_inviter_id=by.id or NIL_ID)

    def redact_for(self, details: InvitationDetails, by: Principal) -> InvitationDetails:
        return redact_for(details, by, self.deps.content_rules)


def redact_for(details: InvitationDetails, by: Principal, rules: ContentRules) -> InvitationDetails:
    """Remove what reveals whether an address has an account, for callers without `users:read`."""
    if by.can("users:read") or not requires_existing_account(details.invitation.bundle, rules):
        return details
    return replace(details, delivery=None)


def _require_any_permission(by: Principal) -> None:
    if not any(by.can(permission) for permission in (READ, WRITE, REVEAL)):
        raise NotAllowed(READ)
