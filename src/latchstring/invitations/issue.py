"""Making, sending, showing and withdrawing invitations: what an inviter does."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from latchstring.domain import invitation as rules_of
from latchstring.domain.access import Level
from latchstring.domain.actor import ActorType
from latchstring.domain.draft import Draft
from latchstring.domain.errors import (
    ChangedMeanwhile,
    FieldProblem,
    InvalidFields,
    InvitationNotFound,
    MailDisabled,
    NotAllowed,
    NotFound,
    StorageBusy,
)
from latchstring.domain.event import Event, RecordedEvent, happened
from latchstring.domain.grant import Bundle, terms_digest
from latchstring.domain.idempotency import Once
from latchstring.domain.invitation import Channel, Invitation, Standing, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.mail import Delivery
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.invitations.build import (
    Targets,
    bundle_of,
    check_named,
    compose,
    created_event,
    first_delivery,
    is_closed_to_strangers,
    judge_draft,
    mail_for,
    names_of,
)
from latchstring.invitations.content_grants import Objects
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.links import Links
from latchstring.invitations.templates import Templates
from latchstring.invitations.validate import check_ceiling
from latchstring.storage.content.invitations import withdraw_grants
from latchstring.storage.content.objects import hold_objects
from latchstring.storage.engine.database import ATTEMPTS, UniqueViolation, Work
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.events.subject_history import list_events
from latchstring.storage.groups.groups import find_groups
from latchstring.storage.invitations.create import NewInvitation, insert_invitation
from latchstring.storage.invitations.lists import NEWEST_FIRST, list_invitations
from latchstring.storage.invitations.read import find_invitation
from latchstring.storage.invitations.transitions import PENDING_TERMS, Lost, make_way, replace_link, revoke_invitation
from latchstring.storage.outbox.outbox import queue_mail

READ = "invitations:read"
WRITE = "invitations:write"
REVEAL = "invitations:reveal"
MOST_GROUPS_REMEMBERED = 10_000
ANY = (READ, WRITE, REVEAL)


@dataclass(frozen=True, slots=True)
class Issuing:
    """What an inviter may do. Every method takes who asks and checks what he may."""

    deps: InvitationDependencies
    links: Links
    objects: Objects
    templates: Templates
    # Ids of groups by key, as last read: only believed by the create that checks that they still are.
    group_ids: dict[str, UUID] = field(default_factory=dict)

    # ---- create --------------------------------------------------------------------------------------------------

    async def create(
        self,
        draft: Draft,
        *,
        by: Principal,
        once: Once | None = None,
        problems: tuple[FieldProblem, ...] = (),
        as_maintainer: bool = False,
    ) -> Standing:
        """Store an invitation and promise its mail.

        problems: what is wrong with fields already, to be told together with the rules broken here. as_maintainer:
        maintaining the objects is enough, no permission is needed. Raises
        NotAllowed, InvalidFields, GrantNotAllowed, GroupNotFound, ContentNotFound, MailDisabled, AlreadyInvited,
        AlreadyMember, AnswerStored.
        """
        if not as_maintainer:
            by.require(WRITE)
        deps = self.deps
        draft, unknown = await self.templates.expand(draft)
        problems = (*problems, *unknown)
        found = judge_draft(draft, problems, deps)
        if found:
            raise InvalidFields(found)
        self.require_a_way(by)
        try:
            new = await self._store(draft, by=by, once=once)
        except NotFound:
            if not self.group_ids.keys() & set(draft.groups):
                raise
            self.group_ids.clear()  # a group was removed, and perhaps made again under its key
            new = await self._store(draft, by=by, once=once)
        deps.wake_worker()
        return self._standing_of(new, by)

    async def _store(self, draft: Draft, *, by: Principal, once: Once | None) -> NewInvitation:
        at = self.deps.clock()
        invitation = compose(draft, await self._bundle_of(draft, by), by=by, deps=self.deps, at=at)
        new = await self._with_consequences(invitation, by=by, at=at, once=once)
        await insert_invitation(self.deps.db, new, at=at)
        return new

    async def _bundle_of(self, draft: Draft, by: Principal) -> Bundle:
        check_named(draft, by)
        rules = self.deps.content_rules
        await self._remember_groups(draft.groups)
        objects, levels = await self.objects.look_up(names_of(draft, rules), by)
        return bundle_of(draft, Targets(self.group_ids, objects, levels), by=by, rules=rules)

    async def _remember_groups(self, keys: Sequence[str]) -> None:
        if any(key not in self.group_ids for key in keys):
            if len(self.group_ids) > MOST_GROUPS_REMEMBERED:
                self.group_ids.clear()
            found = await find_groups(self.deps.db, keys)
            self.group_ids.update({key: group.id for key, group in found.items()})

    async def _with_consequences(
        self, invitation: Invitation, *, by: Principal, at: datetime, once: Once | None
    ) -> NewInvitation:
        bundle = invitation.bundle
        may_list = by.can(READ) or bundle.is_content_only  # whoever maintains an object sees who is on the way to it
        has_objects = not bundle.content or await self.objects.has_all(invitation.email_key, bundle)
        new = NewInvitation(
            invitation,
            created_event(invitation, at=at),
            mail_for(invitation, at=at, delivery=await self._delivery_at_first(invitation)),
            told_members=may_list and has_objects,
            told_invitations=may_list,
        )
        if once is None:
            return new
        return replace(new, kept=(once.claim, once.answer(self._standing_of(new, by))))

    def require_a_way(self, by: Principal) -> None:
        """Without mail a link reaches nobody unless the caller may see it."""
        if self.deps.mail_rules.transport == "off" and not by.can(REVEAL):
            raise MailDisabled("Mail is switched off here, and you may not hand over a link by other means.")

    async def _delivery_at_first(self, invitation: Invitation) -> Delivery:
        bundle = invitation.bundle
        asks = is_closed_to_strangers(bundle, self.deps.content_rules)
        is_registered = asks and await self.objects.is_registered(invitation.email_key)
        return first_delivery(bundle, is_registered=is_registered, deps=self.deps)

    def is_closed_to_strangers(self, invitation: Invitation) -> bool:
        """Whether only people with an account may come in by this invitation."""
        return is_closed_to_strangers(invitation.bundle, self.deps.content_rules)

    def _standing_of(self, new: NewInvitation, by: Principal) -> Standing:
        """How the invitation will be read: known before it is stored, so that the answer can be stored with it."""
        made = Standing(new.invitation, Delivery(new.mail.state, new.mail.reason), by.name, by.name)
        return self.veiled(made, by)

    # ---- read ----------------------------------------------------------------------------------------------------

    async def get(self, invitation_id: UUID, *, by: Principal) -> Standing:
        """One invitation the caller may see. Raises NotAllowed, InvitationNotFound."""
        _require_any(by)
        standing = await find_invitation(self.deps.db, invitation_id)
        if standing is None or not _may_see(by, standing.invitation):
            raise InvitationNotFound("There is no such invitation.")
        return self.veiled(standing, by)

    def veiled(self, standing: Standing, by: Principal) -> Standing:
        """Without what would say whether an address has an account, to who may not look at accounts."""
        if by.can("users:read") or not self.is_closed_to_strangers(standing.invitation):
            return standing
        return replace(standing, delivery=None)

    async def list(
        self,
        filter_: InvitationFilter,
        *,
        by: Principal,
        order: SortOrder = NEWEST_FIRST,
        cursor: Cursor | None = None,
        limit: int,
    ) -> Page[Standing]:
        """A page of what the caller may see: everything, or what he sent himself. Raises NotAllowed."""
        page = await list_invitations(
            self.deps.db,
            self.within_sight(filter_, by),
            order=order,
            cursor=cursor,
            limit=limit,
            at=self.deps.clock(),
        )
        return page.map(lambda standing: self.veiled(standing, by))

    def within_sight(self, filter_: InvitationFilter, by: Principal) -> InvitationFilter:
        """The filter, narrowed to what the caller may list. Raises NotAllowed."""
        _require_any(by)
        if filter_.deliveries and not self.deps.content_rules.allow_unregistered_users:
            by.require("users:read")
        return filter_ if by.can(READ) else replace(filter_, only_inviter_id=by.id or _NOWHERE)

    async def events(
        self, invitation_id: UUID, *, by: Principal, cursor: Cursor | None = None, limit: int
    ) -> Page[RecordedEvent]:
        """What happened to an invitation, oldest first. Raises NotAllowed, InvitationNotFound."""
        await self.get(invitation_id, by=by)
        return await list_events(self.deps.db, invitation_id, cursor=cursor, limit=limit)

    # ---- resend, reveal, revoke ----------------------------------------------------------------------------------

    async def resend(
        self, invitation_id: UUID, *, by: Principal, once: Once | None = None, generation: int | None = None
    ) -> Standing:
        """Make and mail the next link; the old one is dead, and the caller stands for the new one.

        generation: of the link the caller has seen, when another one is not to be replaced. Raises NotAllowed,
        InvitationNotFound, InvitationNotPending, GrantNotAllowed, MailDisabled, AlreadyInvited, ChangedMeanwhile.
        """
        for _ in range(ATTEMPTS):
            standing = await self.get(invitation_id, by=by)
            by.require(WRITE)
            at = self.deps.clock()
            before = standing.invitation
            if generation not in (None, before.link.generation):
                raise ChangedMeanwhile("It was sent again a moment ago.")
            key_id = self.deps.keyring.current.id
            after = rules_of.resend(before, sponsor=by.actor, master_key_id=key_id, at=at)
            check_ceiling(by, before.bundle)
            await self.objects.check_ceiling(by, before.bundle)
            self.require_a_way(by)
            delivery = await self._delivery_at_first(after)
            sent = replace(standing, invitation=after, delivery=delivery, sponsor_name=by.name)
            shown = self.veiled(sent, by)
            if await self._replace(before, shown, delivery, by=by, at=at, once=once):
                return shown
        raise StorageBusy("This invitation is being changed by many at once.")

    async def _replace(
        self,
        before: Invitation,
        shown: Standing,
        delivery: Delivery,
        *,
        by: Principal,
        at: datetime,
        once: Once | None,
    ) -> bool:
        after = shown.invitation
        mail = mail_for(after, at=at, delivery=delivery)
        event = happened("invitation.resent", after.id, by=by.actor, at=at, generation=after.link.generation)

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(shown)
                yield from store_answer(self.deps.db.dialect_name, once.claim, answer, subject_id=after.id, at=at)
            yield from replace_link(before, after, renewals=0, renewed_at=None)
            yield record(event)
            yield queue_mail(mail)

        try:
            await self.deps.db.transact(work)
        except Lost:
            return False
        except UniqueViolation as violation:
            if violation.constraint != PENDING_TERMS:
                raise
            terms_key = terms_digest(after.email_key, after.bundle)
            await make_way(self.deps.db, terms_key, at=at, told=by.can(READ), viewer=by.actor)
            return False
        self.deps.wake_worker()
        return True

    async def reveal(self, invitation_id: UUID, *, by: Principal) -> str:
        """A link of the current generation to hand over by other means. It says that it was revealed.

        Whoever sees a link could use it himself, so the ceiling holds as when sending one. Raises NotAllowed,
        InvitationNotFound, InvitationNotPending, GrantNotAllowed.
        """
        by.require(REVEAL)
        standing = await self.get(invitation_id, by=by)
        at = self.deps.clock()
        rules_of.check_revealable(standing.invitation, at=at)
        check_ceiling(by, standing.invitation.bundle)
        await self.objects.check_ceiling(by, standing.invitation.bundle)
        event = happened(
            "invitation.revealed", invitation_id, by=by.actor, at=at, generation=standing.invitation.link.generation
        )
        await self.deps.db.transact(lambda: _just(event))
        return self.links.url_of(standing.invitation, Channel.REVEALED)

    async def revoke(self, invitation_id: UUID, *, by: Principal, cause: str = "revoked") -> None:
        """Withdraw an open invitation. cause: as history tells it.

        Raises NotAllowed, InvitationNotFound, InvitationNotPending.
        """
        for _ in range(ATTEMPTS):
            standing = await self.get(invitation_id, by=by)
            by.require(WRITE)
            at = self.deps.clock()
            rules_of.revoke(standing.invitation, at=at)
            event = happened("invitation.revoked", invitation_id, by=by.actor, at=at, cause=cause)
            try:
                await self.deps.db.transact(lambda: revoke_invitation(invitation_id, event, at=at))  # noqa: B023
            except Lost:
                continue
            return
        raise StorageBusy("This invitation is being changed by many at once.")

    # ---- from the side of an object ------------------------------------------------------------------------------

    async def withdraw(self, invitation_id: UUID, *, by: Principal) -> None:
        """End the grants of a pending invitation on the objects that the caller maintains; with the last one it is
        revoked. Raises InvitationNotFound for everything else alike.
        """
        unknown = InvitationNotFound("There is no such invitation.")
        standing = await find_invitation(self.deps.db, invitation_id)
        at = self.deps.clock()
        if standing is None or standing.invitation.state_at(at) is not State.PENDING:
            raise unknown
        ids = [grant.target_id for grant in standing.invitation.bundle.content if not grant.void]
        levels = await self.objects.levels_of(by, ids)
        mine = [id_ for id_ in ids if by.can("content:write") or levels.get(id_, Level.NONE) >= Level.MAINTAINER]
        if not mine or not await self.deps.db.transact(lambda: _withdraw(invitation_id, mine, by=by, at=at)):
            raise unknown


def _withdraw(invitation_id: UUID, target_ids: list[UUID], *, by: Principal, at: datetime) -> Work[bool]:
    yield from hold_objects(target_ids)
    ended, is_revoked = yield from withdraw_grants(invitation_id, target_ids, at=at)
    if is_revoked:
        yield record(happened("invitation.revoked", invitation_id, by=by.actor, at=at, cause="withdrawn-by-maintainer"))
    elif ended:
        objects = sorted(str(id_) for id_ in ended)
        yield record(happened("invitation.reduced", invitation_id, by=by.actor, at=at, objects=objects))
    return bool(ended)


_NOWHERE = UUID(int=0)


def _just(event: Event) -> Work[None]:
    yield record(event)


def _require_any(by: Principal) -> None:
    if not any(by.can(permission) for permission in ANY):
        raise NotAllowed(READ)


def _may_see(by: Principal, invitation: Invitation) -> bool:
    sent = by.type is invitation.inviter.type and by.id == invitation.inviter.id
    return by.can(READ) or (sent and by.type is not ActorType.OPERATOR)
