"""The invitation of a link, as the pages show it."""

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from latchstring.domain.errors import (
    InvitationAccepted,
    InvitationDeclined,
    InvitationRevoked,
    InvitationTokenInvalid,
    LatchstringError,
)
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.principal import Role
from latchstring.http.problems import describe_problem
from latchstring.http.responses import Answer
from latchstring.http.scope import is_head
from latchstring.invitations.build import requires_existing_account
from latchstring.invitations.respond import ResolvedLink, check_open, has_account
from latchstring.invitee.context import InviteePage
from latchstring.invitee.objects import ObjectListItem, offered_item

LANDING = "/invitation"


@dataclass(frozen=True, slots=True)
class InvitationSummary:
    """Who invites whom, to what, and until when. inviter: None if no user or administrator sent it.

    landing_path: the path of its landing page.
    """

    inviter: str | None = None
    role: Role | None = None
    groups: tuple[str, ...] = ()
    content: tuple[ObjectListItem, ...] = ()
    email: str = ""
    first_name: str = ""
    name: str = ""
    message: str | None = None
    invited_at: datetime | None = None
    expires_at: datetime | None = None
    landing_path: str = LANDING

    @property
    def single_object(self) -> ObjectListItem | None:
        """The object, if the invitation is for one object and nothing else."""
        return self.content[0] if len(self.content) == 1 and not self.role and not self.groups else None

    @property
    def masked_email(self) -> str:
        """The address with most of its local part hidden, so that the owner can recognize it."""
        local, _, domain = self.email.rpartition("@")
        return f"{local[:1]}•••@{domain}" if local else ""


EMPTY_SUMMARY = InvitationSummary()


def summarize_invitation(page: InviteePage, link: ResolvedLink) -> InvitationSummary:
    """The invitation of a valid or ended link, in the language of the page."""
    invitation = link.invitation
    preview = page.services.invitations.responses.preview(link, locale=page.locale)
    names = (invitation.first_name or "", invitation.last_name or "")
    return InvitationSummary(
        inviter=preview.inviter_name,
        role=page.services.roles.get(invitation.bundle.role or ""),
        groups=tuple(name for _, name in preview.groups),
        content=tuple(offered_item(page, offered) for offered in preview.objects),
        email=invitation.email,
        first_name=names[0],
        name=" ".join(name for name in names if name),
        message=invitation.message,
        invited_at=invitation.created_at,
        expires_at=invitation.link.expires_at,
        landing_path=_landing_path(invitation),
    )


def _landing_path(invitation: Invitation) -> str:
    """The default path of a mailed link."""
    grant = invitation.bundle.single_object
    if grant is None:
        return LANDING
    return f"/content/{quote(grant.target_type or '', safe='')}/{quote(grant.target_key, safe='')}/accept-invitation"


@dataclass(frozen=True, slots=True)
class LandingContext:
    """A valid link, and the page in the language of its invitation."""

    page: InviteePage
    token: str
    link: ResolvedLink
    summary: InvitationSummary

    @property
    def is_mailed(self) -> bool:
        """Whether the link was mailed and so verifies the address."""
        return self.link.token.channel is Channel.MAILED

    @property
    def account_exists(self) -> bool:
        """Whether the address has an account. For a mailed link, an unverified account does not count."""
        return has_account(self.link)

    @property
    def requires_existing_account(self) -> bool:
        """Whether accepting requires a confirmed account and the address has none."""
        is_required = requires_existing_account(self.link.invitation.bundle, self.page.services.content_rules)
        return is_required and not self.link.view.account_verified

    def includes_object(self, type_: str, key: str) -> bool:
        """Whether the object is or was part of the invitation."""
        content = self.link.invitation.bundle.content
        return any((grant.target_type, grant.target_key) == (type_, key) for grant in content)

    def at_landing_page(self) -> "LandingContext":
        """The context under the URL of the landing page, for responses to a POST."""
        return replace(self, page=self.page.with_url(self.summary.landing_path, token=self.token))


async def find_landing_context(page: InviteePage, token: str) -> LandingContext | Answer:
    """The context of a valid link, or the page for a link that does not work."""
    return await _resolve(page, token, counts_view=False)


async def open_link(page: InviteePage) -> LandingContext | Answer:
    """As `find_landing_context`, for the token of the URL. Counts views by people and scanners, except for HEAD."""
    return await _resolve(page, page.query_value("token"), counts_view=not is_head(page.request.scope))


async def _resolve(page: InviteePage, token: str, *, counts_view: bool) -> LandingContext | Answer:
    try:
        link = await page.services.invitations.responses.resolve(token)
    except InvitationTokenInvalid as error:
        return show_ended(page, token, error)
    if counts_view:
        page.services.link_views.count(link.invitation.id, link.token.generation)
    page = page.with_locale(link.invitation.locale)
    context = LandingContext(page, token, link, summarize_invitation(page, link))
    try:
        check_open(link, now=page.services.clock())
    except LatchstringError as error:
        return show_ended_invitation(context, error)
    return context


def show_ended(
    page: InviteePage, token: str, error: LatchstringError, summary: InvitationSummary = EMPTY_SUMMARY
) -> Answer:
    """The page for a link that does not work, with a next step."""
    problem = describe_problem(error)
    signed_in = page.user is not None
    return page.show(
        "ended.html", status=problem.status, code=problem.code, token=token, summary=summary, signed_in=signed_in
    )


def show_ended_invitation(context: LandingContext, error: LatchstringError) -> Answer:
    """The page for an ended link, with its invitation.

    After acceptance, decline or revocation it names no objects: a title may have changed since, and must not be shown
    to everybody who was invited once.
    """
    has_ended = isinstance(error, InvitationAccepted | InvitationDeclined | InvitationRevoked)
    summary = replace(context.summary, content=()) if has_ended else context.summary
    return show_ended(context.page, context.token, error, summary)
