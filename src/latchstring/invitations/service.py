"""The invitation services, as the API, the panel and the invitee pages call them."""

from collections.abc import Sequence
from uuid import UUID

from latchstring.crypto.link_tokens import LinkTokens
from latchstring.domain.access import PendingInvitation
from latchstring.domain.job import JobKind
from latchstring.domain.mail import MailKind
from latchstring.invitations.accept import InvitationAcceptance
from latchstring.invitations.accepting_account import AcceptingAccountResolver
from latchstring.invitations.browse import InvitationLists
from latchstring.invitations.bulk.actions import BulkActions
from latchstring.invitations.bulk.jobs import BulkJobs
from latchstring.invitations.bulk.run_batch import InviteRowsJob
from latchstring.invitations.bulk.validate import RowValidator
from latchstring.invitations.create import InvitationCreator
from latchstring.invitations.declarative.apply import DeclarativeLists
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.grant_checks import GrantChecks
from latchstring.invitations.links import Links
from latchstring.invitations.mails import InvitationMails
from latchstring.invitations.previews import Previews
from latchstring.invitations.read import InvitationReader
from latchstring.invitations.resend import LinkSender
from latchstring.invitations.respond import InvitationResponses
from latchstring.invitations.revoke import InvitationRevoker
from latchstring.invitations.targets import Targets
from latchstring.invitations.templates import InvitationTemplates
from latchstring.invitations.timeline import Timelines
from latchstring.storage.content.invitations import find_pending_invitations
from latchstring.storage.invitations.cascade import purge_ended
from latchstring.storage.invitations.transitions import sweep_expired


class Invitations:
    """The services of invitations: actions on one invitation as methods, everything else as an attribute."""

    def __init__(self, deps: InvitationDependencies, tokens: LinkTokens) -> None:
        self.links = Links(tokens, deps.app, deps.rules, deps.content_rules)
        self.templates = InvitationTemplates(
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
        self.panel_lists = InvitationLists(deps, reader)
        self.bulk_actions = BulkActions(deps, reader, sender, revoker)
        validator = RowValidator(deps, checks, self.templates)
        self.bulk = BulkJobs(deps, validator)
        self.job_kinds: dict[str, InviteRowsJob] = {JobKind.INVITE: InviteRowsJob(deps, validator)}
        self.timelines = Timelines(deps, reader)
        self.targets = Targets(deps.db, deps.roles, deps.content_rules)
        self.previews = Previews(deps)
        self.declared_lists = DeclarativeLists(deps, creator, sender, revoker)
        self.responses = InvitationResponses(deps, checks, self.links)
        self.acceptance = InvitationAcceptance(deps, self.responses, AcceptingAccountResolver(deps))
        mails = InvitationMails(deps, self.links)
        self.mail_loaders = {
            MailKind.INVITATION: mails.load_invitation,
            MailKind.LINK_REQUESTED: mails.load_link_requested,
            MailKind.INVITATION_DECLINED: mails.load_declined,
        }
        self._deps = deps

    async def find_pending(self, content_id: UUID) -> Sequence[PendingInvitation]:
        """The pending invitations to an object, for its maintainers."""
        reveal_delivery = self._deps.content_rules.allow_unregistered_users
        now = self._deps.clock()
        return await find_pending_invitations(self._deps.db, content_id, now=now, reveal_delivery=reveal_delivery)

    async def sweep(self) -> int:
        """Expire a batch of overdue invitations and delete a batch past retention; returns how many there were."""
        now = self._deps.clock()
        expired = await sweep_expired(self._deps.db, now=now)
        return expired + await purge_ended(self._deps.db, before=now - self._deps.rules.retention)
