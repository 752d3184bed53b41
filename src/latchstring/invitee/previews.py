"""An invitation as its pages show it."""

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
from latchstring.invitations.respond import ResolvedLink, check_open, has_account
from latchstring.invitee.context import InviteePage
from latchstring.invitee.objects import ObjectListItem, offered_item

LANDING = "/invitation"


@dataclass(frozen=True, slots=True)
class InvitationSummary:
    """Who invites whom, to what, and until when. inviter is None where nobody in person invites.

    home: the page of ours that shows it.
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
    home: str = LANDING

    @property
    def only(self) -> ObjectListItem | None:
        """The object, where the offer is one object and nothing else."""
        return self.content[0] if len(self.content) == 1 and not self.role and not self.groups else None

    @property
    def masked_email(self) -> str:
        """Enough of the address for its owner to know which of theirs it is."""
        local, _, domain = self.email.rpartition("@")
        return f"{local[:1]}•••@{domain}" if local else ""


NOTHING = InvitationSummary()


def offer_of(page: InviteePage, opened: ResolvedLink) -> InvitationSummary:
    """What a genuine link led or leads to, in the language of the page."""
    invitation = opened.invitation
    preview = page.services.invitations.responses.preview(opened, locale=page.locale)
    names = (invitation.first_name or "", invitation.last_name or "")
    return InvitationSummary(
        inviter=preview.inviter_name,
        role=page.services.roles.get(invitation.bundle.role or ""),
        groups=tuple(name for _, name in preview.groups),
        content=tuple(offered_item(page, one) for one in preview.objects),
        email=invitation.email,
        first_name=names[0],
        name=" ".join(name for name in names if name),
        message=invitation.message,
        invited_at=invitation.created_at,
        expires_at=invitation.link.expires_at,
        home=_home_of(invitation),
    )


def _home_of(invitation: Invitation) -> str:
    """Where a mailed link leads by default: an invitation to one object and nothing else has a page of its own."""
    bundle = invitation.bundle
    if not bundle.is_content_only or len(bundle.content) > 1:
        return LANDING
    (grant,) = bundle.content
    return f"/content/{quote(grant.target_type or '', safe='')}/{quote(grant.target_key, safe='')}/accept-invitation"


@dataclass(frozen=True, slots=True)
class LandingContext:
    """A link that still opens the door, and the page in a language that fits it."""

    page: InviteePage
    token: str
    opened: ResolvedLink
    offer: InvitationSummary

    @property
    def is_mailed(self) -> bool:
        """Whether the link came by mail and so proves the mailbox."""
        return self.opened.token.channel is Channel.MAILED

    @property
    def account_exists(self) -> bool:
        """Whether the link meets an account; an unverified one counts as none for a mailed link."""
        return has_account(self.opened)

    @property
    def is_closed_to_strangers(self) -> bool:
        """Whether only somebody with a confirmed account may say yes, and the address has none."""
        is_closed = not self.page.services.content_rules.allow_unregistered_users
        return is_closed and self.opened.invitation.bundle.is_content_only and not self.opened.view.account_verified

    def leads_to(self, type_: str, key: str) -> bool:
        """Whether the object is, or was, part of the invitation."""
        content = self.opened.invitation.bundle.content
        return any((grant.target_type, grant.target_key) == (type_, key) for grant in content)

    def at_home(self) -> "LandingContext":
        """The same, for an answer to a POST: standing where a GET shows it."""
        return replace(self, page=self.page.with_url(self.offer.home, token=self.token))


async def find_offer(page: InviteePage, token: str) -> LandingContext | Answer:
    """The offer of a link, or the page that says why it opens nothing."""
    return await _find_offer(page, token, counts=False)


async def visit_offer(page: InviteePage) -> LandingContext | Answer:
    """The same for whoever follows the link, a person or a scanner. That is counted, and changes nothing else."""
    return await _find_offer(page, page.query_value("token"), counts=not is_head(page.request.scope))


async def _find_offer(page: InviteePage, token: str, *, counts: bool) -> LandingContext | Answer:
    try:
        opened = await page.services.invitations.responses.resolve(token)
    except InvitationTokenInvalid as error:
        return show_ended(page, token, error)
    if counts:
        page.services.link_views.count(opened.invitation.id, opened.token.generation)
    spoken = page.with_locale(opened.invitation.locale)
    found = LandingContext(spoken, token, opened, offer_of(spoken, opened))
    try:
        check_open(opened, now=page.services.clock())
    except LatchstringError as error:
        return show_end_of(found, error)
    return found


def show_ended(page: InviteePage, token: str, error: LatchstringError, past: InvitationSummary = NOTHING) -> Answer:
    """The page of a link that opens nothing, with the step that is left."""
    problem = describe_problem(error)
    signed_in = page.user is not None
    return page.show(
        "ended.html", status=problem.status, code=problem.code, token=token, past=past, signed_in=signed_in
    )


def show_end_of(found: LandingContext, error: LatchstringError) -> Answer:
    """The same for a genuine link, with what it was for. Once it has ended for good objects are not named any more: a
    title may have changed since, and is not for everybody who was invited once.
    """
    has_ended = isinstance(error, InvitationAccepted | InvitationDeclined | InvitationRevoked)
    past = replace(found.offer, content=()) if has_ended else found.offer
    return show_ended(found.page, found.token, error, past)
