"""Resend invitations, which creates the next link, and reveal current links."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from latchstring.domain import invitation as rules
from latchstring.domain.errors import ChangedMeanwhile, StorageBusy
from latchstring.domain.event import new_event
from latchstring.domain.grant import terms_digest
from latchstring.domain.idempotency import Once
from latchstring.domain.invitation import Channel, Invitation, InvitationDetails
from latchstring.domain.mail import Delivery
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.invitations.build import build_mail
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.links import Links
from latchstring.invitations.permissions import READ, REVEAL, WRITE
from latchstring.invitations.read import InvitationReader
from latchstring.invitations.validate import require_delivery_channel
from latchstring.storage.engine.database import ATTEMPTS, UniqueViolation, Work, single_step
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.invitations.transitions import (
    PENDING_TERMS,
    TransitionLost,
    expire_blocking_invitation,
    replace_link,
)
from latchstring.storage.outbox.outbox import queue_mail


@dataclass(frozen=True, slots=True)
class LinkSender:
    """Sends and reveals links. A link can be used by everyone who has it, so the ceiling applies as at creation."""

    deps: InvitationDependencies
    reader: InvitationReader
    checks: GrantChecks
    links: Links

    async def resend(
        self,
        invitation_id: UUID,
        *,
        by: Principal,
        once: Once | None = None,
        generation: int | None = None,
        is_one_of_many: bool = False,
    ) -> InvitationDetails:
        """Create and mail the next link. The previous one stops working; the caller becomes the sponsor.

        generation: of the link that the caller means to replace; ChangedMeanwhile if it is not the current one.
        is_one_of_many: part of a bulk action, which does not count for the inviter's limit. Raises TooManyRequests,
        NotAllowed, InvitationNotFound, InvitationNotPending, GrantNotAllowed, MailDisabled, AlreadyInvited.
        """
        if not is_one_of_many:
            self.deps.limiter.check_inviter(by.id)
        for attempt in range(ATTEMPTS):
            details = await self.reader.get(invitation_id, by=by)
            before = details.invitation
            if generation not in (None, before.link.generation):
                raise ChangedMeanwhile("A newer link has already been sent.")
            if attempt == 0:
                self.deps.limiter.check_invited(before.email_key, by=by.actor)
            by.require(WRITE)
            now = self.deps.clock()
            key_id = self.deps.keyring.current.id
            after = rules.resend(before, sponsor=by.actor, master_key_id=key_id, now=now)
            await self.checks.check_ceiling(by, before.bundle)
            require_delivery_channel(by, self.deps.mail_rules)
            delivery = await self.checks.first_delivery(after)
            resent = replace(details, invitation=after, delivery=delivery, sponsor_name=by.name)
            resent = self.reader.redact_for(resent, by)
            if await self._store(before, resent, delivery, by=by, now=now, once=once):
                self.deps.wake_worker()
                return resent
        raise StorageBusy("This invitation is being changed by many at once.")

    async def _store(
        self,
        before: Invitation,
        resent: InvitationDetails,
        delivery: Delivery,
        *,
        by: Principal,
        now: datetime,
        once: Once | None,
    ) -> bool:
        """Store the next link with its event and mail. False: it conflicted with another change, read and try again."""
        after = resent.invitation
        event = new_event("invitation.resent", after.id, by=by.actor, now=now, generation=after.link.generation)
        mail = build_mail(after, delivery, now=now)

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(resent)
                yield from store_answer(self.deps.db.dialect_name, once.claim, answer, subject_id=after.id, now=now)
            yield from replace_link(before, after, renewals=0, renewed_at=None)
            yield record(event)
            yield queue_mail(mail)

        try:
            await self.deps.db.transact(work)
        except TransitionLost:
            return False
        except UniqueViolation as violation:
            if violation.constraint != PENDING_TERMS:
                raise
            terms_key = terms_digest(after.email_key, after.bundle)
            await expire_blocking_invitation(
                self.deps.db, terms_key, now=now, may_list_all=by.can(READ), viewer=by.actor
            )
            return False
        return True

    async def reveal(self, invitation_id: UUID, *, by: Principal) -> str:
        """A link of the current generation, to be handed over by other means. Its token says that it was revealed.

        Raises NotAllowed, InvitationNotFound, InvitationNotPending, GrantNotAllowed.
        """
        by.require(REVEAL)
        invitation = (await self.reader.get(invitation_id, by=by)).invitation
        now = self.deps.clock()
        rules.check_revealable(invitation, now=now)
        await self.checks.check_ceiling(by, invitation.bundle)
        event = new_event(
            "invitation.revealed", invitation_id, by=by.actor, now=now, generation=invitation.link.generation
        )
        await self.deps.db.transact(lambda: single_step(record(event)))
        return self.links.url_of(invitation, Channel.REVEALED)
