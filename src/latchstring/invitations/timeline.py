"""The timeline of an invitation."""

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
    """An invitation with its timeline. accepted_by_name: None if not accepted, or if the account was erased."""

    details: InvitationDetails
    timeline: Timeline
    accepted_by_name: str | None = None

    def name_of(self, actor: Actor) -> str | None:
        """The name of an actor of this invitation, as administrators see it; None if unknown."""
        names = {entry.actor: entry.actor_name for entry in self.timeline.entries if entry.actor is not None}
        public = self.details.inviter_name if actor == self.details.invitation.inviter else self.details.sponsor_name
        return names.get(actor) or public or None


@dataclass(frozen=True, slots=True)
class Timelines:
    """Reads timelines, with at most six short queries each."""

    deps: InvitationDependencies
    reader: InvitationReader

    async def get(self, invitation_id: UUID, *, by: Principal) -> InvitationHistory:
        """An invitation with its events, the delivery of each mail, and what happens next.

        Mails are left out where the caller may not learn whether an address has an account. Raises NotAllowed,
        InvitationNotFound.
        """
        details = await self.reader.get(invitation_id, by=by)
        invitation = details.invitation
        records = await find_records(self.deps.db, invitation_id, with_delivery=details.delivery is not None)
        timeline = build_timeline(invitation, records, now=self.deps.clock())
        name = await name_of_user(self.deps.db, invitation.accepted_by) if invitation.accepted_by else None
        return InvitationHistory(details, timeline, name)
