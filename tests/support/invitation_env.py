"""The service of invitations on each database, with shortcuts for tests."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.support.service_env import APP, ROLES, ServiceEnv

from latchstring.domain.account import User
from latchstring.domain.draft import Draft
from latchstring.domain.invitation import Channel, Invitation, InvitationDetails, State
from latchstring.domain.mail import MailKind
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import AccountRules, ContentRules, InvitationRules, Limits, MailRules
from latchstring.domain.template import TemplatesByKey
from latchstring.formats.email_address import parse_address
from latchstring.invitations.commands import Profile
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.results import Accepted
from latchstring.invitations.service import Invitations
from latchstring.rate_limits import Limiter
from latchstring.storage.outbox.outbox import OutboxRow

PROFILE = Profile(first_name="Ada", last_name="Löwe", password="correct horse 9 Battery", accepts_terms=True)


@dataclass(frozen=True)
class InvitationEnv:
    """The invitations of a ServiceEnv, with shortcuts for common calls."""

    service_env: ServiceEnv
    invitations: Invitations

    async def invite(
        self, email: str = "ada@people.test", *, by: Principal = OPERATOR_PRINCIPAL, **terms: Any
    ) -> InvitationDetails:
        address = parse_address(email)
        terms = terms or {"role": "customer"}
        draft = Draft(email=address.email, email_key=address.email_key, **terms)
        return await self.invitations.create(draft, by=by)

    def token(self, details: InvitationDetails, channel: Channel = Channel.MAILED) -> str:
        return self.invitations.links.token_of(details.invitation, channel)

    async def accept(self, token: str, profile: Profile = PROFILE, *, by: User | None = None) -> Accepted:
        return await self.invitations.acceptance.accept(token, profile, by=by)

    async def reload(self, details: InvitationDetails) -> Invitation:
        """Read the invitation again."""
        return (await self.invitations.get(details.invitation.id, by=OPERATOR_PRINCIPAL)).invitation

    async def state(self, details: InvitationDetails) -> State:
        return (await self.reload(details)).state_at(self.service_env.clock())

    async def invitation_mails(self, details: InvitationDetails) -> list[OutboxRow]:
        """List the mails of the invitation in the outbox, oldest first."""
        mails = await self.service_env.mails()
        return [m for m in mails if m.kind is MailKind.INVITATION and m.subject_id == details.invitation.id]

    async def can_be_sent(self, row: OutboxRow) -> bool:
        """Whether the worker would send this mail instead of suppressing it."""
        return await self.invitations.mail_loaders[MailKind.INVITATION](row) is not None


def build_invitation_env(
    service_env: ServiceEnv,
    *,
    mail: MailRules | None = None,
    rules: InvitationRules | None = None,
    content: ContentRules | None = None,
    templates: TemplatesByKey | None = None,
    recipient_rates: tuple[tuple[int, timedelta], ...] = (),
    limits: Limits | None = None,
) -> InvitationEnv:
    deps = InvitationDependencies(
        db=service_env.db,
        clock=service_env.clock,
        keyring=service_env.keyring,
        app=APP,
        roles=ROLES,
        rules=rules or InvitationRules(),
        content_rules=content or ContentRules(),
        account_rules=AccountRules(),
        mail_rules=mail or MailRules(),
        users=service_env.users,
        passwords=service_env.passwords,
        wake_worker=lambda: None,
        limiter=Limiter(limits or Limits()),
        recipient_rates=recipient_rates,
        templates=templates or {},
    )
    return InvitationEnv(service_env, Invitations(deps, service_env.tokens))
