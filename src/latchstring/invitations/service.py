"""Invitations as the faces call them: issuing, answering, accepting, their mails, and their tidying."""

from collections.abc import Sequence
from uuid import UUID

from latchstring.crypto.link_tokens import LinkTokens
from latchstring.domain.access import PendingInvitation
from latchstring.domain.job import JobKind
from latchstring.domain.mail import MailKind
from latchstring.invitations.accept import Accepting
from latchstring.invitations.browse import Browsing
from latchstring.invitations.bulk.actions import Selecting
from latchstring.invitations.bulk.jobs import Bulk
from latchstring.invitations.bulk.run_batch import InvitingRows
from latchstring.invitations.bulk.validate import Judge
from latchstring.invitations.content_grants import Objects
from latchstring.invitations.declarative.apply import Lists
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.issue import Issuing
from latchstring.invitations.links import Links
from latchstring.invitations.mails import InvitationMails
from latchstring.invitations.previews import Previews
from latchstring.invitations.respond import Answering
from latchstring.invitations.targets import Targets
from latchstring.invitations.templates import Templates
from latchstring.invitations.timeline import Timelines
from latchstring.storage.content.invitations import find_pending_invitations
from latchstring.storage.invitations.cascade import purge_ended
from latchstring.storage.invitations.transitions import sweep_expired


class Invitations:
    """The service room. Each attribute is one side of it."""

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
        objects = Objects(deps.db, deps.content_rules)
        self.issuing = Issuing(deps, self.links, objects, self.templates)
        self.browsing = Browsing(deps, self.issuing)
        self.selecting = Selecting(deps, self.issuing)
        judge = Judge(deps, objects, self.templates)
        self.bulk = Bulk(deps, self.issuing, judge)
        self.job_kinds: dict[str, InvitingRows] = {JobKind.INVITE: InvitingRows(deps, self.issuing, judge)}
        self.timelines = Timelines(deps, self.issuing)
        self.targets = Targets(deps.db, deps.roles, deps.content_rules)
        self.previews = Previews(deps)
        self.lists = Lists(deps, self.issuing)
        self.answering = Answering(deps, self.links)
        self.accepting = Accepting(deps, self.answering)
        mails = InvitationMails(deps, self.links)
        self.mail_loaders = {
            MailKind.INVITATION: mails.load_invitation,
            MailKind.LINK_REQUESTED: mails.load_link_requested,
            MailKind.INVITATION_DECLINED: mails.load_declined,
        }
        self._deps = deps

    async def find_pending(self, content_id: UUID) -> Sequence[PendingInvitation]:
        """Who is on the way to an object, as its maintainers see it."""
        tells_delivery = self._deps.content_rules.allow_unregistered_users
        at = self._deps.clock()
        return await find_pending_invitations(self._deps.db, content_id, at=at, tells_delivery=tells_delivery)

    async def sweep(self) -> int:
        """Tidy one batch of what has run out or is past its retention; returns how much there was."""
        at = self._deps.clock()
        expired = await sweep_expired(self._deps.db, now=at)
        return expired + await purge_ended(self._deps.db, before=at - self._deps.rules.retention)
