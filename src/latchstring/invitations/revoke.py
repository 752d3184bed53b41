"""Revoke invitations, and withdraw their grants on single objects."""

from dataclasses import dataclass
from uuid import UUID

from latchstring.content.invitation_grants import withdraw_invitation_grants
from latchstring.domain import invitation as rules
from latchstring.domain.access import Level
from latchstring.domain.errors import InvitationNotFound, StorageBusy
from latchstring.domain.event import Event, new_event
from latchstring.domain.invitation import Invitation, State
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.permissions import WRITE
from latchstring.invitations.read import InvitationReader
from latchstring.storage.engine.database import ATTEMPTS, Work
from latchstring.storage.invitations.read import find_invitation
from latchstring.storage.invitations.transitions import TransitionLost, end_invitation


@dataclass(frozen=True, slots=True)
class InvitationRevoker:
    """Revokes invitations."""

    deps: InvitationDependencies
    reader: InvitationReader
    checks: GrantChecks

    async def revoke(self, invitation_id: UUID, *, by: Principal, cause: str = "revoked") -> None:
        """Revoke an open invitation. cause: recorded in the event.

        Raises NotAllowed, InvitationNotFound, InvitationNotPending.
        """
        for _ in range(ATTEMPTS):
            invitation = (await self.reader.get(invitation_id, by=by)).invitation
            by.require(WRITE)
            now = self.deps.clock()
            revoked = rules.revoke(invitation, now=now)
            event = new_event("invitation.revoked", invitation_id, by=by.actor, now=now, cause=cause)
            try:
                await self.deps.db.transact(lambda: _store(revoked, event))  # noqa: B023  # awaited in this round
            except TransitionLost:
                continue
            return
        raise StorageBusy("This invitation is being changed by many at once.")

    async def withdraw(self, invitation_id: UUID, *, by: Principal) -> None:
        """Withdraw the grants of a pending invitation on the objects that the caller maintains.

        An invitation with no other grant is revoked. Raises InvitationNotFound for everything else alike.
        """
        unknown = InvitationNotFound("There is no such invitation.")
        details = await find_invitation(self.deps.db, invitation_id)
        now = self.deps.clock()
        if details is None or details.invitation.state_at(now) is not State.PENDING:
            raise unknown
        ids = [grant.target_id for grant in details.invitation.bundle.content if not grant.is_void]
        levels = await self.checks.levels_of(by, ids)
        maintained = [id_ for id_ in ids if by.can_grant_content_at(levels.get(id_, Level.NONE))]
        if not maintained or not await self.deps.db.transact(
            lambda: withdraw_invitation_grants(invitation_id, maintained, by=by.actor, now=now)
        ):
            raise unknown


def _store(revoked: Invitation, event: Event) -> Work[None]:
    yield from end_invitation(revoked)
    yield record(event)
