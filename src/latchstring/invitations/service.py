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
from latchstring.invitations.dependencies import Parts
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

    def __init__(self, parts: Parts, tokens: LinkTokens) -> None:
        self.links = Links(tokens, parts.app, parts.rules, parts.content_rules)
        self.templates = Templates(
            db=parts.db,
            clock=parts.clock,
            configured=parts.templates,
            roles=parts.roles,
            rules=parts.rules,
            content_rules=parts.content_rules,
            app=parts.app,
        )
        objects = Objects(parts.db, parts.content_rules)
        self.issuing = Issuing(parts, self.links, objects, self.templates)
        self.browsing = Browsing(parts, self.issuing)
        self.selecting = Selecting(parts, self.issuing)
        judge = Judge(parts, objects, self.templates)
        self.bulk = Bulk(parts, self.issuing, judge)
        self.job_kinds: dict[str, InvitingRows] = {JobKind.INVITE: InvitingRows(parts, self.issuing, judge)}
        self.timelines = Timelines(parts, self.issuing)
        self.targets = Targets(parts.db, parts.roles, parts.content_rules)
        self.previews = Previews(parts)
        self.lists = Lists(parts, self.issuing)
        self.answering = Answering(parts, self.links)
        self.accepting = Accepting(parts, self.answering)
        mails = InvitationMails(parts, self.links)
        self.mail_loaders = {
            MailKind.INVITATION: mails.load_invitation,
            MailKind.LINK_REQUESTED: mails.load_link_requested,
            MailKind.INVITATION_DECLINED: mails.load_declined,
        }
        self._parts = parts

    async def find_pending(self, content_id: UUID) -> Sequence[PendingInvitation]:
        """Who is on the way to an object, as its maintainers see it."""
        tells_delivery = self._parts.content_rules.allow_unregistered_users
        at = self._parts.clock()
        return await find_pending_invitations(self._parts.db, content_id, at=at, tells_delivery=tells_delivery)

    async def sweep(self) -> int:
        """Tidy one batch of what has run out or is past its retention; returns how much there was."""
        at = self._parts.clock()
        expired = await sweep_expired(self._parts.db, at=at)
        return expired + await purge_ended(self._parts.db, before=at - self._parts.rules.retention)
