"""An invitation as its pages show it."""

from dataclasses import dataclass
from datetime import datetime

from latchstring.domain.errors import InvitationTokenInvalid, LatchstringError
from latchstring.domain.grant import ContentRole
from latchstring.domain.invitation import Channel
from latchstring.domain.principal import Role
from latchstring.invitations.answering import Opened, check_open, has_account
from latchstring.invitee.page import Page
from latchstring.web.answers import Answer
from latchstring.web.problems import describe_problem


@dataclass(frozen=True, slots=True)
class Item:
    """A content object and what the person may do with it: VIEWER, EDITOR or MAINTAINER."""

    title: str
    role: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Who invites whom, to what, and until when. inviter is None where nobody in person invites."""

    inviter: str | None = None
    role: Role | None = None
    groups: tuple[str, ...] = ()
    content: tuple[Item, ...] = ()
    email: str = ""
    first_name: str = ""
    name: str = ""
    message: str | None = None
    invited_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def masked_email(self) -> str:
        """Enough of the address for its owner to know which of theirs it is."""
        local, _, domain = self.email.rpartition("@")
        return f"{local[:1]}•••@{domain}" if local else ""


NOTHING = Offer()


def offer_of(page: Page, opened: Opened) -> Offer:
    """What a genuine link led or leads to, in the language of the page."""
    invitation = opened.invitation
    preview = page.services.invitations.answering.preview(opened, locale=page.locale)
    names = (invitation.first_name or "", invitation.last_name or "")
    return Offer(
        inviter=preview.inviter_name,
        role=page.services.roles.get(invitation.bundle.role or ""),
        groups=tuple(name for _, name in preview.groups),
        content=tuple(
            Item(grant.target_key, (grant.role or ContentRole.VIEWER).name)
            for grant in invitation.bundle.content
            if not grant.void
        ),
        email=invitation.email,
        first_name=names[0],
        name=" ".join(name for name in names if name),
        message=invitation.message,
        invited_at=invitation.created_at,
        expires_at=invitation.link.expires_at,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A link that still opens the door, and the page in a language that fits it."""

    page: Page
    token: str
    opened: Opened
    offer: Offer

    @property
    def is_mailed(self) -> bool:
        """Whether the link came by mail and so proves the mailbox."""
        return self.opened.token.channel is Channel.MAILED

    @property
    def account_exists(self) -> bool:
        """Whether the link meets an account; an unverified one counts as none for a mailed link."""
        return has_account(self.opened)


async def find_offer(page: Page, token: str) -> Found | Answer:
    """The offer of a link, or the page that says why it opens nothing."""
    try:
        opened = await page.services.invitations.answering.open(token)
    except InvitationTokenInvalid as error:
        return show_ended(page, token, error)
    spoken = page.speaking(opened.invitation.locale)
    found = Found(spoken, token, opened, offer_of(spoken, opened))
    try:
        check_open(opened, at=page.services.clock())
    except LatchstringError as error:
        return show_end_of(found, error)
    return found


def show_ended(page: Page, token: str, error: LatchstringError, past: Offer = NOTHING) -> Answer:
    """The page of a link that opens nothing, with the step that is left."""
    problem = describe_problem(error)
    signed_in = page.user is not None
    return page.show(
        "ended.html", status=problem.status, code=problem.code, token=token, past=past, signed_in=signed_in
    )


def show_end_of(found: Found, error: LatchstringError) -> Answer:
    """The same for a genuine link, with what it was for."""
    return show_ended(found.page, found.token, error, found.offer)
