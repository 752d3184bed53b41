"""What happened to an invitation, for those who may see it."""

from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.invitation import InvitationDetails
from latchstring.domain.principal import Principal
from latchstring.domain.views.timeline import Timeline, build_timeline
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.read import InvitationReader
from latchstring.storage.events.actor_names import name_of_user
from latchstring.storage.events.invitation_timeline import find_records


@dataclass(frozen=True, slots=True)
class InvitationHistory:
    """An invitation with its timeline. accepted_by_name: None where nobody has, or the person is gone."""

    standing: InvitationDetails
    timeline: Timeline
    accepted_by_name: str | None = None

    def name_of(self, actor: Actor) -> str | None:
        """What administrators call somebody who acted on it; None where there is nothing to call him by."""
        called = {knot.actor: knot.actor_name for knot in self.timeline.entries if knot.actor is not None}
        public = self.standing.inviter_name if actor == self.standing.invitation.inviter else self.standing.sponsor_name
        return called.get(actor) or public or None


@dataclass(frozen=True, slots=True)
class Timelines:
    """Reads timelines. Six short reads at most, however much there is."""

    deps: InvitationDependencies
    reader: InvitationReader

    async def get(self, invitation_id: UUID, *, by: Principal) -> InvitationHistory:
        """An invitation with all that happened to it, what became of each mail, and what is awaited next.

        Where the caller may not know whether an address has an account, nothing is said of mails. Raises NotAllowed,
        InvitationNotFound.
        """
        standing = await self.reader.get(invitation_id, by=by)
        invitation = standing.invitation
        records = await find_records(self.deps.db, invitation_id, with_delivery=standing.delivery is not None)
        timeline = build_timeline(invitation, records, now=self.deps.clock())
        name = await name_of_user(self.deps.db, invitation.accepted_by) if invitation.accepted_by else None
        return InvitationHistory(standing, timeline, name)
