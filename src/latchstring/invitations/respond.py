"""What an invitee does with a link: view it, decline, request a new one. `accept.py` has the acceptance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from latchstring.crypto.link_tokens import LinkToken
from latchstring.domain import invitation as rules
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import (
    AlreadyInvited,
    InvitationRevoked,
    InvitationTokenInvalid,
    StorageBusy,
)
from latchstring.domain.event import Event, new_event
from latchstring.domain.grant import Bundle, ContentRole, terms_digest
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, MailPriority, OutgoingMail
from latchstring.domain.principal import may_still_grant
from latchstring.domain.settings import Roles
from latchstring.events.record import record
from latchstring.i18n.negotiation import negotiate
from latchstring.invitations.build import build_mail, requires_existing_account
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.links import UNKNOWN_LINK, Links
from latchstring.invitations.results import InvitationPreview, OfferedObject
from latchstring.storage.content.objects import load_levels
from latchstring.storage.engine.database import ATTEMPTS, UniqueViolation, Work
from latchstring.storage.invitations.read import GroupName, LinkView, find_link_view
from latchstring.storage.invitations.sponsors import load_sponsor
from latchstring.storage.invitations.transitions import (
    PENDING_TERMS,
    TransitionLost,
    count_renewal,
    end_invitation,
    expire_blocking_invitation,
    replace_link,
)
from latchstring.storage.outbox.outbox import queue_mail

INVITEE = Actor(ActorType.INVITEE)
MAX_RENEWALS = 5
UNLIMITED_RENEWALS = 10_000
RENEWAL_INTERVAL = timedelta(minutes=5)
PEOPLE = (ActorType.USER, ActorType.ADMIN)


@dataclass(frozen=True, slots=True)
class ResolvedLink:
    """A genuine link with its invitation as it is now."""

    token: LinkToken
    view: LinkView

    @property
    def invitation(self) -> Invitation:
        return self.view.invitation


class _NotRenewable(Exception):
    """The sponsor may no longer send this link."""


@dataclass(frozen=True, slots=True)
class InvitationResponses:
    """What the holder of a link may do. The token is the credential, the row decides whether it still works."""

    deps: InvitationDependencies
    checks: GrantChecks
    links: Links

    async def resolve(self, token: str) -> ResolvedLink:
        """Read a token and its row. Raises InvitationTokenInvalid; does not check whether the link still works."""
        link_token = self.links.read(token)
        view = await find_link_view(self.deps.db, link_token.subject_id)
        if view is None:
            raise InvitationTokenInvalid(UNKNOWN_LINK)
        return ResolvedLink(link_token, view)

    async def get_open_link(self, token: str) -> ResolvedLink:
        """A link that still works. Raises InvitationTokenInvalid, and what `check_open` raises."""
        link = await self.resolve(token)
        check_open(link, now=self.deps.clock())
        return link

    async def look_up(
        self, token: str, *, locale: str | None = None, otherwise: Sequence[str] = ()
    ) -> InvitationPreview:
        """The preview that the invitee sees before answering. Changes nothing.

        locale: the reader's own; without it the invitation's is used, then one of `otherwise`.
        Raises InvitationTokenInvalid, and what `check_open` raises.
        """
        return self.preview(await self.get_open_link(token), locale=locale, otherwise=otherwise)

    def preview(
        self, link: ResolvedLink, *, locale: str | None = None, otherwise: Sequence[str] = ()
    ) -> InvitationPreview:
        """The preview of a link, also of one that has ended, in the reader's language."""
        invitation, view = link.invitation, link.view
        language = negotiate([locale, invitation.locale, *otherwise], self.deps.app.default_locale)
        role = self.deps.roles.get(invitation.bundle.role or "")
        live = {grant.target_id for grant in invitation.bundle.live}
        return InvitationPreview(
            invitation,
            view.inviter_name if invitation.inviter.type in PEOPLE else None,
            role.name if role else None,
            tuple((group.key, localized_name(group, language)) for group in view.groups if group.id in live),
            has_account(link),
            language,
            list_offered_objects(link),
        )

    async def decline(self, token: str, *, reason: str | None = None) -> None:
        """Decline an invitation and notify the inviter. Raises what `look_up` raises."""
        for _ in range(ATTEMPTS):
            link = await self.resolve(token)
            now = self.deps.clock()
            declined = rules.decline(link.invitation, generation=link.token.generation, now=now)
            check_targets(link)
            event = new_event("invitation.declined", declined.id, by=INVITEE, now=now, reason=reason)
            mails = self._mails_to_inviter(MailKind.INVITATION_DECLINED, declined, now)
            try:
                await self.deps.db.transact(lambda: _store(declined, event, mails))  # noqa: B023  # awaited in this round
            except TransitionLost:
                continue
            self.deps.wake_worker()
            return
        raise StorageBusy("This invitation is being changed by many at once.")

    # ---- a fresh link ------------------------------------------------------------------------------------------------

    async def request_new(self, token: str) -> None:
        """Mail the link again, or the next one when it has expired, to the invited address only.

        Never reveals whether anything was sent: forged, ended, limited and refused requests all return alike.
        """
        try:
            link = await self.resolve(token)
        except InvitationTokenInvalid:
            return
        for _ in range(ATTEMPTS):
            try:
                await self._renew(link)
            except UniqueViolation as violation:
                if violation.constraint != PENDING_TERMS or not await self._settle_blocker(link.invitation):
                    return
            except (TransitionLost, _NotRenewable):
                return
            else:
                self.deps.wake_worker()
                return

    async def _settle_blocker(self, invitation: Invitation) -> bool:
        terms_key = terms_digest(invitation.email_key, invitation.bundle)
        try:
            await expire_blocking_invitation(self.deps.db, terms_key, now=self.deps.clock(), may_list_all=False)
        except AlreadyInvited:  # a newer invitation with the same terms is pending
            return False
        return True

    async def _renew(self, link: ResolvedLink) -> None:
        now, before = self.deps.clock(), link.invitation
        key_id = self.deps.keyring.current.id
        after = rules.renew(before, generation=link.token.generation, master_key_id=key_id, now=now)
        if after is None or before.bundle.is_void or self.deps.mail_rules.is_off:
            return
        is_closed = requires_existing_account(before.bundle, self.deps.content_rules)
        if is_closed and not await self.checks.is_registered(before.email_key):
            return
        event = new_event("invitation.renewed", after.id, by=INVITEE, now=now, generation=after.link.generation)
        mails = [
            build_mail(after, Delivery(DeliveryState.QUEUED), now=now, priority=MailPriority.URGENT),
            *self._mails_to_inviter(MailKind.LINK_REQUESTED, after, now),
        ]
        max_renewals = MAX_RENEWALS if self.deps.limits_enabled else UNLIMITED_RENEWALS
        interval = RENEWAL_INTERVAL if self.deps.limits_enabled else timedelta()

        def work() -> Work[None]:
            # the invitee is anonymous, so these limits must be exact: they are stored in the row
            renewals = yield from count_renewal(before, now=now, limit=max_renewals, renewed_before=now - interval)
            if after is not before:
                if not (yield from sponsor_may_grant(before, before.bundle, self.deps.roles)):
                    raise _NotRenewable
                yield from replace_link(before, after, renewals=renewals, renewed_at=now)
            yield record(event)
            for mail in mails:
                yield queue_mail(mail)

        await self.deps.db.transact(work)

    def _mails_to_inviter(self, kind: MailKind, invitation: Invitation, now: datetime) -> list[OutgoingMail]:
        """A notification for the inviter, if that is a user or an administrator."""
        if invitation.inviter.type not in PEOPLE or self.deps.mail_rules.is_off:
            return []
        return [OutgoingMail(new_id(now), kind, invitation.id, invitation.link.generation, now, MailPriority.NORMAL)]


def _store(declined: Invitation, event: Event, mails: Sequence[OutgoingMail]) -> Work[None]:
    yield from end_invitation(declined)
    yield record(event)
    for mail in mails:
        yield queue_mail(mail)


def check_open(link: ResolvedLink, *, now: datetime) -> None:
    """Raise unless the link still works. Checked in this order: accepted, declined, revoked, superseded, expired."""
    rules.check_link(link.invitation, generation=link.token.generation, now=now)
    check_targets(link)


def check_targets(link: ResolvedLink) -> None:
    """Raise InvitationRevoked when the last target was removed, even if the row is not updated yet."""
    if link.invitation.bundle.only(link.view.target_ids).is_void:
        raise InvitationRevoked("The groups or objects of this invitation no longer exist.")


def list_offered_objects(link: ResolvedLink) -> tuple[OfferedObject, ...]:
    """The objects that a link still grants, with their present titles."""
    objects = {content.id: content for content in link.view.objects}
    grants = [grant for grant in link.invitation.bundle.content if not grant.is_void and grant.target_id in objects]
    return tuple(
        OfferedObject(
            content.id, content.type, content.key, content.title, content.url, grant.role or ContentRole.VIEWER
        )
        for grant in grants
        for content in (objects[grant.target_id],)
    )


def sponsor_may_grant(invitation: Invitation, bundle: Bundle, roles: Roles) -> Work[bool]:
    """Whether the sponsor of the current link may grant the bundle now."""
    actor = invitation.link.sponsor
    sponsor = yield from load_sponsor(actor)
    ids = [grant.target_id for grant in bundle.content if not grant.is_void]
    levels = (yield from load_levels(actor.id, ids)) if ids and actor.type is ActorType.USER else {}
    return may_still_grant(sponsor, bundle, roles, levels)


def has_account(link: ResolvedLink) -> bool:
    """Whether the invitee has an account.

    An unverified account does not count for a mailed link: its creator may not own the mailbox that the link proves.
    """
    if link.view.account_id is None:
        return False
    return link.view.account_verified or link.token.channel is Channel.REVEALED


def localized_name(group: GroupName, locale: str) -> str:
    """The name of a group in a language."""
    translated = group.translations.get(locale) or group.translations.get(locale.partition("-")[0])
    return translated["name"] if translated else group.name
