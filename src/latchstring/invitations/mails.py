"""The content of mails about invitations, loaded just before they are sent.

None means that nothing is to be sent any more: the invitation ended, was resent, or lost its targets.
"""

from dataclasses import dataclass

from latchstring.domain.actor import Actor
from latchstring.domain.errors import InvitationNotPending
from latchstring.domain.invitation import Channel, State
from latchstring.i18n.negotiation import negotiate
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.links import Links
from latchstring.invitations.respond import PEOPLE, localized_name
from latchstring.mail.messages import InvitationDeclinedMail, InvitationMail, LinkRequestedMail
from latchstring.storage.events.actor_names import Contact, find_contact
from latchstring.storage.events.record import find_decline_reason
from latchstring.storage.invitations.read import LinkView, find_link_view
from latchstring.storage.outbox.outbox import OutboxRow
from latchstring.storage.users.users import find_user


@dataclass(frozen=True, slots=True)
class InvitationMails:
    """The loaders of the three messages, called by the worker."""

    deps: InvitationDependencies
    links: Links

    async def load_invitation(self, row: OutboxRow) -> InvitationMail | None:
        """The mail with the link. Derived again for each attempt, with the same result."""
        view = await find_link_view(self.deps.db, row.subject_id)
        if view is None or not self._is_in_force(view, row):
            return None
        invitation = view.invitation
        try:
            link_url = self.links.url_of(invitation, Channel.MAILED)
        except InvitationNotPending:
            return None
        locale = negotiate([row.locale, invitation.locale, await self._own_locale(view)], self.deps.app.default_locale)
        role = self.deps.roles.get(invitation.bundle.role or "")
        is_person = invitation.inviter.type in PEOPLE
        live = {grant.target_id for grant in invitation.bundle.live}
        titles = {named.id: named.title for named in view.objects}
        return InvitationMail(
            to=invitation.email,
            locale=locale,
            app_name=self.deps.app.name,
            first_name=invitation.first_name,
            inviter_name=view.inviter_name if is_person else None,
            inviter_email=await self._reply_address(invitation.inviter),
            message=invitation.message,
            role_name=role.name if role else None,
            group_names=tuple(localized_name(group, locale) for group in view.groups if group.id in live),
            content=tuple(
                (g.role.name, titles[g.target_id])
                for g in invitation.bundle.content
                if g.role and g.target_id in live & titles.keys()
            ),
            account_exists=view.account_id is not None and view.account_verified,
            link_url=link_url,
            expires_at=invitation.link.expires_at,
        )

    async def load_link_requested(self, row: OutboxRow) -> LinkRequestedMail | None:
        """The notification for the inviter that a new link was sent."""
        view_and_contact = await self._for_inviter(row)
        if view_and_contact is None:
            return None
        view, contact = view_and_contact
        return LinkRequestedMail(
            to=contact.email,
            locale=negotiate([contact.locale], self.deps.app.default_locale),
            app_name=self.deps.app.name,
            first_name=contact.first_name,
            invitee_email=view.invitation.email,
        )

    async def load_declined(self, row: OutboxRow) -> InvitationDeclinedMail | None:
        """The notification for the inviter that the invitee declined, with the reason if there is one."""
        view_and_contact = await self._for_inviter(row)
        if view_and_contact is None:
            return None
        view, contact = view_and_contact
        return InvitationDeclinedMail(
            to=contact.email,
            locale=negotiate([contact.locale], self.deps.app.default_locale),
            app_name=self.deps.app.name,
            first_name=contact.first_name,
            invitee_email=view.invitation.email,
            reason=await find_decline_reason(self.deps.db, row.subject_id),
        )

    def _is_in_force(self, view: LinkView, row: OutboxRow) -> bool:
        invitation = view.invitation
        is_pending = invitation.state_at(self.deps.clock()) is State.PENDING
        has_targets = not invitation.bundle.only(view.target_ids).is_void
        return is_pending and invitation.link.generation == row.generation and has_targets

    async def _own_locale(self, view: LinkView) -> str | None:
        """The language of an invitee who has an account; None where the inviter chose one."""
        if view.invitation.locale or view.account_id is None or not view.account_verified:
            return None
        user = await find_user(self.deps.db, view.account_id)
        return user.locale if user else None

    async def _reply_address(self, inviter: Actor) -> str | None:
        if not self.deps.mail_rules.reply_to_inviter:
            return None
        contact = await find_contact(self.deps.db, inviter)
        return contact.email if contact else None

    async def _for_inviter(self, row: OutboxRow) -> tuple[LinkView, Contact] | None:
        view = await find_link_view(self.deps.db, row.subject_id)
        contact = await find_contact(self.deps.db, view.invitation.inviter) if view else None
        return (view, contact) if view and contact else None
