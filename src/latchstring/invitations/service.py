"""Invitations as the faces call them."""

from collections.abc import Sequence
from uuid import UUID

from latchstring.crypto.link_tokens import LinkTokens
from latchstring.domain.access import PendingInvitation
from latchstring.domain.job import JobKind
from latchstring.domain.mail import MailKind
from latchstring.invitations.accept import Accepting
from latchstring.invitations.accepting_account import AcceptingAccounts
from latchstring.invitations.browse import Browsing
from latchstring.invitations.bulk.actions import Selecting
from latchstring.invitations.bulk.jobs import Bulk
from latchstring.invitations.bulk.run_batch import InvitingRows
from latchstring.invitations.bulk.validate import RowValidator
from latchstring.invitations.create import InvitationCreator
from latchstring.invitations.declarative.apply import Lists
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.links import Links
from latchstring.invitations.mails import InvitationMails
from latchstring.invitations.previews import Previews
from latchstring.invitations.read import InvitationReader
from latchstring.invitations.resend import LinkSender
from latchstring.invitations.respond import Answering
from latchstring.invitations.revoke import InvitationRevoker
from latchstring.invitations.targets import Targets
from latchstring.invitations.templates import Templates
from latchstring.invitations.timeline import Timelines
from latchstring.storage.content.invitations import find_pending_invitations
from latchstring.storage.invitations.cascade import purge_ended
from latchstring.storage.invitations.transitions import sweep_expired


class Invitations:
    """The services of invitations. What an inviter does with one invitation is called directly, the rest by facet."""

    def __init__(self, deps: InvitationDependencies, tokens: LinkTokens) -> None:
        self.links = Links(tokens, deps.app, deps.rules, deps.content_rules)
        self.templates = Templates(
            db=deps.db,
            clock=deps.clock,
            configured=deps.templates,
            roles=deps.roles,
            rules=deps.rules,
            content_rules=deps.content_rules,
            app=deps.app,
        )
        checks = GrantChecks(deps)
        reader = InvitationReader(deps)
        creator = InvitationCreator(deps, checks, self.templates)
        sender = LinkSender(deps, reader, checks, self.links)
        revoker = InvitationRevoker(deps, reader, checks)
        self.create = creator.create
        self.get, self.list, self.events = reader.get, reader.list, reader.events
        self.resend, self.reveal = sender.resend, sender.reveal
        self.revoke, self.withdraw = revoker.revoke, revoker.withdraw
        self.browsing = Browsing(deps, reader)
        self.selecting = Selecting(deps, reader, sender, revoker)
        validator = RowValidator(deps, checks, self.templates)
        self.bulk = Bulk(deps, validator)
        self.job_kinds: dict[str, InvitingRows] = {JobKind.INVITE: InvitingRows(deps, validator)}
        self.timelines = Timelines(deps, reader)
        self.targets = Targets(deps.db, deps.roles, deps.content_rules)
        self.previews = Previews(deps)
        self.lists = Lists(deps, creator, sender, revoker)
        self.answering = Answering(deps, checks, self.links)
        self.accepting = Accepting(deps, self.answering, AcceptingAccounts(deps))
        mails = InvitationMails(deps, self.links)
        self.mail_loaders = {
            MailKind.INVITATION: mails.load_invitation,
            MailKind.LINK_REQUESTED: mails.load_link_requested,
            MailKind.INVITATION_DECLINED: mails.load_declined,
        }
        self._deps = deps

    async def find_pending(self, content_id: UUID) -> Sequence[PendingInvitation]:
        """The pending invitations to an object, as its maintainers see them."""
        tells_delivery = self._deps.content_rules.allow_unregistered_users
        now = self._deps.clock()
        return await find_pending_invitations(self._deps.db, content_id, now=now, tells_delivery=tells_delivery)

    async def sweep(self) -> int:
        """Expire one batch of overdue invitations and remove one past retention; returns how many there were."""
        now = self._deps.clock()
        expired = await sweep_expired(self._deps.db, now=now)
        return expired + await purge_ended(self._deps.db, before=now - self._deps.rules.retention)
