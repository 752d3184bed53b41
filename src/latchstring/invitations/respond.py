"""What the invited person does with a link: look, decline, ask for a fresh one. Accepting has a page of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from latchstring.crypto.link_tokens import LinkToken
from latchstring.domain import invitation as rules_of
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import (
    AlreadyInvited,
    InvitationRevoked,
    InvitationTokenInvalid,
    StorageBusy,
)
from latchstring.domain.event import Event, happened
from latchstring.domain.grant import Bundle, ContentRole, terms_digest
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.mail import MailKind, MailPriority, OutgoingMail
from latchstring.domain.principal import may_still_grant
from latchstring.domain.settings import Roles
from latchstring.events.record import record
from latchstring.i18n.negotiation import negotiate
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.links import NOT_OURS, Links
from latchstring.invitations.results import OfferedObject, Preview
from latchstring.storage.content.objects import load_levels
from latchstring.storage.engine.database import ATTEMPTS, UniqueViolation, Work
from latchstring.storage.invitations.read import GroupName, LinkView, find_link_view
from latchstring.storage.invitations.sponsors import load_sponsor
from latchstring.storage.invitations.transitions import (
    PENDING_TERMS,
    Lost,
    count_renewal,
    end_invitation,
    replace_link,
    settle_blocker,
)
from latchstring.storage.outbox.outbox import queue_mail
from latchstring.storage.users.users import find_user_by_email_key

INVITEE = Actor(ActorType.INVITEE)
MOST_RENEWALS = 5
BETWEEN_RENEWALS = timedelta(minutes=5)
PEOPLE = (ActorType.USER, ActorType.ADMIN)


@dataclass(frozen=True, slots=True)
class Opened:
    """A genuine link with what stands behind it now."""

    token: LinkToken
    view: LinkView

    @property
    def invitation(self) -> Invitation:
        return self.view.invitation


class _Refused(Exception):
    """The sponsor may not send this link any more."""


@dataclass(frozen=True, slots=True)
class Answering:
    """What the holder of a link may do. The token is the credential; the row decides."""

    deps: InvitationDependencies
    links: Links

    async def open(self, text: str) -> Opened:
        """Read a token and its row. Raises InvitationTokenInvalid; says nothing of whether the link still works."""
        token = self.links.read(text)
        view = await find_link_view(self.deps.db, token.subject_id)
        if view is None:
            raise InvitationTokenInvalid(NOT_OURS)
        return Opened(token, view)

    async def open_link(self, text: str) -> Opened:
        """A link that still opens the door. Raises InvitationTokenInvalid, and what `check_open` raises."""
        opened = await self.open(text)
        check_open(opened, now=self.deps.clock())
        return opened

    async def look_up(self, text: str, *, locale: str | None = None, otherwise: Sequence[str] = ()) -> Preview:
        """What the invited person sees before answering. Changes nothing, however often it is called.

        locale: the reader's own; without it the invitation's, then one of `otherwise`. Raises InvitationTokenInvalid,
        and what `check_open` raises.
        """
        return self.preview(await self.open_link(text), locale=locale, otherwise=otherwise)

    def preview(self, opened: Opened, *, locale: str | None = None, otherwise: Sequence[str] = ()) -> Preview:
        """The facts of an opened link, also of one that has ended, in the reader's language."""
        invitation, view = opened.invitation, opened.view
        spoken = negotiate([locale, invitation.locale, *otherwise], self.deps.app.default_locale)
        role = self.deps.roles.get(invitation.bundle.role or "")
        live = {grant.target_id for grant in invitation.bundle.live}
        return Preview(
            invitation,
            view.inviter_name if invitation.inviter.type in PEOPLE else None,
            role.name if role else None,
            tuple((group.key, name_in(group, spoken)) for group in view.groups if group.id in live),
            has_account(opened),
            spoken,
            offered_objects(opened),
        )

    async def decline(self, text: str, *, reason: str | None = None) -> None:
        """The invited person says no. Raises what `look_up` raises."""
        for _ in range(ATTEMPTS):
            opened = await self.open(text)
            now = self.deps.clock()
            declined = rules_of.decline(opened.invitation, generation=opened.token.generation, now=now)
            check_targets(opened)
            event = happened("invitation.declined", declined.id, by=INVITEE, at=now, reason=reason)
            mails = self._notices(MailKind.INVITATION_DECLINED, declined, now)
            try:
                await self.deps.db.transact(lambda: _decline(declined, event, mails))  # noqa: B023
            except Lost:
                continue
            self.deps.wake_worker()
            return
        raise StorageBusy("This invitation is being changed by many at once.")

    # ---- a fresh link --------------------------------------------------------------------------------------------

    async def request_new(self, text: str) -> None:
        """Mail the link again, or the next one when it has run out, to the invited address only.

        Never says whether anything was done: forged, ended, limited and refused requests all end alike.
        """
        try:
            opened = await self.open(text)
        except InvitationTokenInvalid:
            return
        for _ in range(ATTEMPTS):
            try:
                await self._renew(opened)
            except UniqueViolation as violation:
                if violation.constraint != PENDING_TERMS or not await self._make_way(opened.invitation):
                    return
            except (Lost, _Refused):
                return
            else:
                self.deps.wake_worker()
                return

    async def _make_way(self, invitation: Invitation) -> bool:
        terms_key = terms_digest(invitation.email_key, invitation.bundle)
        try:
            await settle_blocker(self.deps.db, terms_key, now=self.deps.clock(), may_list_all=False)
        except AlreadyInvited:  # a newer invitation to the same is on its way: nothing is missing
            return False
        return True

    async def _renew(self, opened: Opened) -> None:
        at = self.deps.clock()
        before = opened.invitation
        key_id = self.deps.keyring.current.id
        after = rules_of.renew(before, generation=opened.token.generation, master_key_id=key_id, now=at)
        if after is None or before.bundle.is_void or await self._is_stranger(before):
            return
        mail = OutgoingMail(
            new_id(at),
            MailKind.INVITATION,
            after.id,
            after.link.generation,
            at,
            MailPriority.URGENT,
            locale=after.locale,
        )
        event = happened("invitation.renewed", after.id, by=INVITEE, at=at, generation=after.link.generation)
        notices = self._notices(MailKind.LINK_REQUESTED, after, at)
        limited = self.deps.limits_enabled
        most = MOST_RENEWALS if limited else 10_000
        last_before = at - BETWEEN_RENEWALS if limited else at

        def work() -> Work[None]:
            renewals = yield from count_renewal(before, now=at, most=most, last_before=last_before)
            if after is not before:
                if not (yield from sponsor_holds(before, before.bundle, self.deps.roles)):
                    raise _Refused
                yield from replace_link(before, after, renewals=renewals, renewed_at=at)
            yield record(event)
            yield queue_mail(mail)
            for notice in notices:
                yield queue_mail(notice)

        if self.deps.mail_rules.transport != "off":
            await self.deps.db.transact(work)

    async def _is_stranger(self, invitation: Invitation) -> bool:
        """Whether nothing may be mailed because only people with an account are let in."""
        if not invitation.bundle.is_content_only or self.deps.content_rules.allow_unregistered_users:
            return False
        user = await find_user_by_email_key(self.deps.db, invitation.email_key)
        return user is None or not user.email_verified

    def _notices(self, kind: MailKind, invitation: Invitation, at: datetime) -> list[OutgoingMail]:
        """The inviter is told, where he is a person with a mailbox."""
        if invitation.inviter.type not in PEOPLE or self.deps.mail_rules.transport == "off":
            return []
        return [OutgoingMail(new_id(at), kind, invitation.id, invitation.link.generation, at, MailPriority.NORMAL)]


def _decline(declined: Invitation, event: Event, mails: Sequence[OutgoingMail]) -> Work[None]:
    yield from end_invitation(declined)
    yield record(event)
    for mail in mails:
        yield queue_mail(mail)


def check_open(opened: Opened, *, now: datetime) -> None:
    """Raise unless the link still works: accepted, declined, revoked, superseded, expired, in this order."""
    rules_of.check_link(opened.invitation, generation=opened.token.generation, now=now)
    check_targets(opened)


def check_targets(opened: Opened) -> None:
    """Raise InvitationRevoked when the last target has just been removed, whether or not the row says so yet."""
    if opened.invitation.bundle.only(opened.view.target_ids).is_void:
        raise InvitationRevoked("What this invitation led to does not exist any more.")


def offered_objects(opened: Opened) -> tuple[OfferedObject, ...]:
    """The objects a link still leads to, by the names they have today."""
    named = {one.id: one for one in opened.view.objects}
    grants = [grant for grant in opened.invitation.bundle.content if not grant.void and grant.target_id in named]
    return tuple(
        OfferedObject(one.id, one.type, one.key, one.title, one.url, grant.role or ContentRole.VIEWER)
        for grant in grants
        for one in (named[grant.target_id],)
    )


def sponsor_holds(invitation: Invitation, bundle: Bundle, roles: Roles) -> Work[bool]:
    """Whether the sponsor of the current link could hand out the bundle now."""
    actor = invitation.link.sponsor
    sponsor = yield from load_sponsor(actor)
    ids = [grant.target_id for grant in bundle.content if not grant.void]
    levels = (yield from load_levels(actor.id, ids)) if ids and actor.type is ActorType.USER else {}
    return may_still_grant(sponsor, bundle, roles, levels)


def has_account(opened: Opened) -> bool:
    """Whether the link meets an account. An unverified one counts as none for a mailed link: whoever made it may
    not be the person whose mailbox the link has proved.
    """
    if opened.view.account_id is None:
        return False
    return opened.view.account_verified or opened.token.channel is Channel.REVEALED


def name_in(group: GroupName, locale: str) -> str:
    """How a group is called in a language."""
    translated = group.translations.get(locale) or group.translations.get(locale.partition("-")[0])
    return translated["name"] if translated else group.name
