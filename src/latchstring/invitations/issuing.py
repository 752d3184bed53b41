"""Making, sending, showing and withdrawing invitations: what an inviter does."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from latchstring.domain import invitation as rules_of
from latchstring.domain.errors import (
    ContentNotFound,
    FieldProblem,
    GroupNotFound,
    InvalidFields,
    InvitationNotFound,
    MailDisabled,
    NotAllowed,
    StorageBusy,
)
from latchstring.domain.event import Event, happened
from latchstring.domain.grant import Bundle, Grant, GrantKind, terms_digest
from latchstring.domain.group import Group
from latchstring.domain.idempotency import Once
from latchstring.domain.invitation import Channel, Invitation, Link, Standing
from latchstring.domain.listing import InvitationFilter, InvitationPage, Order, Position
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail, SuppressionReason
from latchstring.domain.principal import Principal
from latchstring.domain.values import ActorType, new_id
from latchstring.events.record import record
from latchstring.invitations.drafts import check_ceiling, find_problems
from latchstring.invitations.links import Links
from latchstring.invitations.parts import Draft, Parts
from latchstring.storage.engine import ATTEMPTS, UniqueViolation, Work
from latchstring.storage.events import EventPage, list_events
from latchstring.storage.groups import find_groups
from latchstring.storage.idempotency import store_answer
from latchstring.storage.invitation_changes import PENDING_TERMS, Lost, make_way, replace_link, revoke_invitation
from latchstring.storage.invitation_create import NewInvitation, insert_invitation
from latchstring.storage.invitation_lists import list_invitations
from latchstring.storage.invitations import find_invitation
from latchstring.storage.outbox import queue_mail

READ = "invitations:read"
WRITE = "invitations:write"
REVEAL = "invitations:reveal"
ANY = (READ, WRITE, REVEAL)


@dataclass(frozen=True, slots=True)
class Issuing:
    """What an inviter may do. Every method takes who asks and checks what he may."""

    parts: Parts
    links: Links

    # ---- create --------------------------------------------------------------------------------------------------

    async def create(
        self,
        draft: Draft,
        *,
        by: Principal,
        once: Once | None = None,
        problems: tuple[FieldProblem, ...] = (),
    ) -> Standing:
        """Store an invitation and promise its mail.

        problems: what is wrong with fields already, to be told together with the rules broken here. Raises
        NotAllowed, InvalidFields, GrantNotAllowed, GroupNotFound, ContentNotFound, MailDisabled, AlreadyInvited,
        AlreadyMember, AnswerStored.
        """
        by.require(WRITE)
        parts = self.parts
        found = find_problems(draft, problems, roles=parts.roles, rules=parts.rules, app=parts.app)
        if found:
            raise InvalidFields(found)
        self._require_a_way(by)
        at = parts.clock()
        invitation = await self._invitation_from(draft, by=by, at=at)
        new = self._with_consequences(invitation, by=by, at=at, once=once)
        await insert_invitation(parts.db, new, at=at)
        parts.wake_worker()
        return self._standing_of(new, by)

    async def _invitation_from(self, draft: Draft, *, by: Principal, at: datetime) -> Invitation:
        lifetime = draft.expires_in or self.parts.rules.lifetime
        return Invitation(
            id=new_id(at),
            email=draft.email,
            email_key=draft.email_key,
            bundle=await self._bundle_of(draft, by),
            inviter=by.actor,
            lifetime=lifetime,
            link=Link(1, at, at + lifetime, by.actor, self.parts.keyring.current.id),
            first_name=draft.first_name,
            last_name=draft.last_name,
            message=draft.message,
            locale=draft.locale,
            metadata=draft.metadata,
            redirect_url=draft.redirect_url,
        )

    async def _bundle_of(self, draft: Draft, by: Principal) -> Bundle:
        """The ceiling is judged by keys alone, before looking: refusals tell nobody which groups there are."""
        named = Bundle(draft.role, tuple(Grant(GrantKind.GROUP, _NOWHERE, key) for key in draft.groups))
        check_ceiling(by, named)
        if draft.content:
            type_, key, _role = draft.content[0]
            raise ContentNotFound(f"There is no {type_} {key}.")
        if not draft.groups:
            return named
        found = await find_groups(self.parts.db, draft.groups)
        return Bundle(draft.role, tuple(_group_grant(key, found) for key in sorted(draft.groups)))

    def _with_consequences(
        self, invitation: Invitation, *, by: Principal, at: datetime, once: Once | None
    ) -> NewInvitation:
        sees_all = by.can(READ)
        new = NewInvitation(
            invitation,
            happened("invitation.created", invitation.id, by=by.actor, at=at, **_terms_of(invitation)),
            self._mail_for(invitation, at=at),
            told_members=sees_all,
            told_invitations=sees_all,
        )
        if once is None:
            return new
        return replace(new, kept=(once.claim, once.answer(self._standing_of(new, by))))

    def _require_a_way(self, by: Principal) -> None:
        """Without mail a link reaches nobody unless the caller may see it."""
        if self.parts.mail_rules.transport == "off" and not by.can(REVEAL):
            raise MailDisabled("Mail is switched off here, and you may not hand over a link by other means.")

    def _delivery_at_first(self) -> Delivery:
        if self.parts.mail_rules.transport == "off":
            return Delivery(DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)
        return Delivery(DeliveryState.QUEUED)

    def _mail_for(self, invitation: Invitation, *, at: datetime) -> OutgoingMail:
        delivery = self._delivery_at_first()
        return OutgoingMail(
            id=new_id(at),
            kind=MailKind.INVITATION,
            subject_id=invitation.id,
            generation=invitation.link.generation,
            due_at=at if delivery.state is DeliveryState.QUEUED else None,
            priority=MailPriority.NORMAL,
            state=delivery.state,
            reason=delivery.reason,
            locale=invitation.locale,
        )

    @staticmethod
    def _standing_of(new: NewInvitation, by: Principal) -> Standing:
        """How the invitation will be read: known before it is stored, so that the answer can be stored with it."""
        return Standing(new.invitation, Delivery(new.mail.state, new.mail.reason), by.name, by.name)

    # ---- read ----------------------------------------------------------------------------------------------------

    async def get(self, invitation_id: UUID, *, by: Principal) -> Standing:
        """One invitation the caller may see. Raises NotAllowed, InvitationNotFound."""
        _require_any(by)
        standing = await find_invitation(self.parts.db, invitation_id)
        if standing is None or not _may_see(by, standing.invitation):
            raise InvitationNotFound("There is no such invitation.")
        return standing

    async def list(
        self, filter_: InvitationFilter, *, by: Principal, order: Order, after: Position | None, limit: int
    ) -> InvitationPage:
        """A page of what the caller may see: everything, or what he sent himself. Raises NotAllowed."""
        _require_any(by)
        if not by.can(READ):
            filter_ = replace(filter_, only_inviter_id=by.id or _NOWHERE)
        return await list_invitations(
            self.parts.db, filter_, order=order, after=after, limit=limit, at=self.parts.clock()
        )

    async def events(self, invitation_id: UUID, *, by: Principal, after: UUID | None, limit: int) -> EventPage:
        """What happened to an invitation, oldest first. Raises NotAllowed, InvitationNotFound."""
        await self.get(invitation_id, by=by)
        return await list_events(self.parts.db, invitation_id, after=after, limit=limit)

    # ---- resend, reveal, revoke ----------------------------------------------------------------------------------

    async def resend(self, invitation_id: UUID, *, by: Principal, once: Once | None = None) -> Standing:
        """Make and mail the next link; the old one is dead, and the caller stands for the new one.

        Raises NotAllowed, InvitationNotFound, InvitationNotPending, GrantNotAllowed, MailDisabled, AlreadyInvited.
        """
        for _ in range(ATTEMPTS):
            standing = await self.get(invitation_id, by=by)
            by.require(WRITE)
            at = self.parts.clock()
            before = standing.invitation
            key_id = self.parts.keyring.current.id
            after = rules_of.resend(before, sponsor=by.actor, master_key_id=key_id, at=at)
            check_ceiling(by, before.bundle)
            self._require_a_way(by)
            shown = replace(standing, invitation=after, delivery=self._delivery_at_first(), sponsor_name=by.name)
            if await self._replace(before, shown, by=by, at=at, once=once):
                return shown
        raise StorageBusy("This invitation is being changed by many at once.")

    async def _replace(
        self, before: Invitation, shown: Standing, *, by: Principal, at: datetime, once: Once | None
    ) -> bool:
        after = shown.invitation
        mail = self._mail_for(after, at=at)
        event = happened("invitation.resent", after.id, by=by.actor, at=at, generation=after.link.generation)

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(shown)
                yield from store_answer(self.parts.db.dialect_name, once.claim, answer, subject_id=after.id, at=at)
            yield from replace_link(before, after, renewals=0, renewed_at=None)
            yield record(event)
            yield queue_mail(mail)

        try:
            await self.parts.db.transact(work)
        except Lost:
            return False
        except UniqueViolation as violation:
            if violation.constraint != PENDING_TERMS:
                raise
            terms_key = terms_digest(after.email_key, after.bundle)
            await make_way(self.parts.db, terms_key, at=at, told=by.can(READ))
            return False
        self.parts.wake_worker()
        return True

    async def reveal(self, invitation_id: UUID, *, by: Principal) -> str:
        """A link of the current generation to hand over by other means. It says that it was revealed.

        Raises NotAllowed, InvitationNotFound, InvitationNotPending.
        """
        by.require(REVEAL)
        standing = await self.get(invitation_id, by=by)
        at = self.parts.clock()
        rules_of.check_revealable(standing.invitation, at=at)
        event = happened(
            "invitation.revealed", invitation_id, by=by.actor, at=at, generation=standing.invitation.link.generation
        )
        await self.parts.db.transact(lambda: _just(event))
        return self.links.url_of(standing.invitation, Channel.REVEALED)

    async def revoke(self, invitation_id: UUID, *, by: Principal) -> None:
        """Withdraw an open invitation. Raises NotAllowed, InvitationNotFound, InvitationNotPending."""
        for _ in range(ATTEMPTS):
            standing = await self.get(invitation_id, by=by)
            by.require(WRITE)
            at = self.parts.clock()
            rules_of.revoke(standing.invitation, at=at)
            event = happened("invitation.revoked", invitation_id, by=by.actor, at=at, cause="revoked")
            try:
                await self.parts.db.transact(lambda: revoke_invitation(invitation_id, event, at=at))  # noqa: B023
            except Lost:
                continue
            return
        raise StorageBusy("This invitation is being changed by many at once.")


_NOWHERE = UUID(int=0)


def _just(event: Event) -> Work[None]:
    yield record(event)


def _group_grant(key: str, found: dict[str, Group]) -> Grant:
    if key not in found:
        raise GroupNotFound(f"There is no group {key}.")
    return Grant(GrantKind.GROUP, found[key].id, key)


def _terms_of(invitation: Invitation) -> dict[str, object]:
    """What history says of the terms: keys and times, nothing about the person."""
    return {
        "role": invitation.bundle.role,
        "groups": [grant.target_key for grant in invitation.bundle.groups],
        "expiresAt": invitation.link.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _require_any(by: Principal) -> None:
    if not any(by.can(permission) for permission in ANY):
        raise NotAllowed(READ)


def _may_see(by: Principal, invitation: Invitation) -> bool:
    sent = by.type is invitation.inviter.type and by.id == invitation.inviter.id
    return by.can(READ) or (sent and by.type is not ActorType.OPERATOR)
