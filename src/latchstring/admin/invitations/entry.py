"""One invitation: its terms, which never change, what the system filled in, what can be done, and what happened."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.routing import get, post
from latchstring.domain.errors import (
    AlreadyInvited,
    ChangedMeanwhile,
    GrantNotAllowed,
    InvitationNotFound,
    InvitationNotPending,
    LatchstringError,
    MailDisabled,
)
from latchstring.domain.grant import Grant, GrantKind
from latchstring.domain.invitation import Invitation, State
from latchstring.domain.mail import DeliveryState
from latchstring.domain.views.targets import GroupChoice, ObjectChoice
from latchstring.domain.views.timeline import Timeline
from latchstring.http.responses import Answer
from latchstring.invitations.timeline import InvitationHistory
from latchstring.pages.forms import PageForm

READ, WRITE, REVEAL = "invitations:read", "invitations:write", "invitations:reveal"
SOON = timedelta(minutes=1)
LONGEST_GENERATION = 9  # digits
JUST_NOW = timedelta(minutes=2)
ENTRY = "/admin/invitations/{invitation_id:uuid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationPage:
    """An invitation as its page shows it. Groups and objects are those that are still there. moves: whether a mail is
    about to leave, so that somebody with a script sees it leave.
    """

    invitation: Invitation
    state: str
    secret: str
    told: InvitationHistory
    groups: dict[str, GroupChoice]
    objects: dict[tuple[str, str], ObjectChoice]
    kept_until: datetime
    moves: bool

    @property
    def timeline(self) -> Timeline:
        return self.told.timeline

    @property
    def delivery(self) -> str:
        """The state of its mail; nothing where there is none or where it must not be told."""
        found = self.told.details.delivery
        return found.state.value if found else ""

    @property
    def is_open(self) -> bool:
        """Whether it can still be sent again or withdrawn."""
        return self.state in {State.PENDING.name, State.EXPIRED.name}

    @property
    def is_pending(self) -> bool:
        return self.state == State.PENDING.name

    @property
    def name(self) -> str:
        """What the person is called; nothing where nobody said."""
        return " ".join(filter(None, (self.invitation.first_name, self.invitation.last_name)))

    @property
    def called(self) -> str:
        """The shortest name for the person."""
        return self.invitation.first_name or self.name

    @property
    def group_grants(self) -> tuple[Grant, ...]:
        return self.invitation.bundle.groups

    @property
    def content_grants(self) -> tuple[Grant, ...]:
        return self.invitation.bundle.content


async def _entry(panel: Panel) -> InvitationPage:
    """Raises InvitationNotFound."""
    services, by = panel.services, panel.principal
    told = await services.invitations.timelines.get(_id(panel), by=by)
    invitation = told.details.invitation
    grants = invitation.bundle.grants
    keys = [grant.target_key for grant in grants if grant.kind is GrantKind.GROUP]
    names = [(grant.target_type or "", grant.target_key) for grant in grants if grant.kind is GrantKind.CONTENT]
    groups = await services.invitations.targets.find_groups(keys, by=by)
    return InvitationPage(
        invitation=invitation,
        state=invitation.state_at(panel.now).name,
        secret=services.invitations.links.secret_of(invitation),
        told=told,
        groups={group.key: group for group in groups},
        objects=await services.invitations.targets.find_objects(names, by=by),
        moves=any(one.mail is not None and one.until - panel.now < SOON for one in told.timeline.next_steps),
        kept_until=(invitation.ended_at or panel.now) + services.invitation_rules.retention,
    )


def _id(panel: Panel) -> UUID:
    found: UUID = panel.request.path_params["invitation_id"]
    return found


async def _show(panel: Panel, *, asks: str = "", link: str = "", status: int = 200, code: str = "") -> Answer:
    """The page. asks: which confirmation stands on it. link: shown once, in the answer to the request that made it."""
    entry = await _entry(panel)
    return panel.show(
        "invitations/entry.html",
        status=status,
        code=code,
        entry=entry,
        one=entry.invitation,
        role=panel.services.roles.get(entry.invitation.bundle.role or ""),
        types=panel.services.content_rules.types,
        asks=asks,
        shown_link=link,
        mail_is_off=panel.services.mail_rules.transport == "off",
    )


def _path(panel: Panel) -> str:
    return f"/admin/invitations/{_id(panel)}"


@get(ENTRY, needs=READ)
async def show_entry(panel: Panel) -> Answer:
    """Facts, actions, timeline."""
    return await _show(panel)


# ---- sending again ---------------------------------------------------------------------------------------------------


class ResendForm(PageForm):
    """The button that sends again. seen: the number of the link the page showed."""

    seen: str = ""


@post(f"{ENTRY}/resend", needs=WRITE)
async def resend(panel: Panel) -> Answer:
    """Make and mail the next link, unless there is a newer one than the page showed: nobody gets two at once."""
    seen = (await panel.read_form(ResendForm)).typed.get("seen", "")
    try:
        generation = _generation_in(seen) if seen else None
        standing = await panel.services.invitations.resend(_id(panel), by=panel.principal, generation=generation)
    except ChangedMeanwhile:
        return panel.redirect(_path(panel), flash=flash(panel, "invitation-resent-before", is_bad=True))
    except InvitationNotPending:
        return await _too_late(panel, "too-late-to-resend")
    except (AlreadyInvited, GrantNotAllowed, MailDisabled) as error:
        return _refused(panel, error)
    is_off = standing.delivery is not None and standing.delivery.state is DeliveryState.SUPPRESSED
    message = "invitation-renewed-without-mail" if is_off else "invitation-resent"
    return panel.redirect(_path(panel), flash=flash(panel, message))


def _generation_in(text: str) -> int:
    """The number of a link as the page sent it back; for anything else one that no link has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_GENERATION else 0


def _refused(panel: Panel, error: LatchstringError) -> Answer:
    return panel.redirect(_path(panel), flash=flash(panel, resend_refusal(error), is_bad=True))


def resend_refusal(error: LatchstringError) -> str:
    """The flash message for an invitation that cannot be sent again, by its key."""
    match error:
        case AlreadyInvited():
            return "invitation-already-pending"
        case MailDisabled():
            return "invitation-mail-disabled"
        case GrantNotAllowed():
            return "invitation-not-allowed"
        case _:
            return "invitation-ended"


async def _too_late(panel: Panel, message: str) -> Answer:
    """The action came too late. The message names who ended the invitation, and when."""
    details = await panel.services.invitations.timelines.get(_id(panel), by=panel.principal)
    invitation = details.details.invitation
    state = invitation.state_at(panel.now)
    ended_at = invitation.link.expires_at if state is State.EXPIRED else invitation.ended_at
    return panel.redirect(
        _path(panel),
        flash=flash(
            panel,
            message,
            state=state.name,
            who=_revoker(details) if state is State.REVOKED else invitation.first_name or "",
            ended_at=ended_at,
            just_now=ended_at is not None and panel.now - ended_at < JUST_NOW,
            is_bad=True,
        ),
    )


def _revoker(details: InvitationHistory) -> str:
    names = [knot.actor_name for knot in details.timeline.entries if knot.type == "invitation.revoked"]
    return names[-1] or "" if names else ""


# ---- withdrawing -----------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/revoke", needs=WRITE)
async def ask_to_revoke(panel: Panel) -> Answer:
    """The question, with what it would mean."""
    return await _show(panel, asks="revoke")


@post(f"{ENTRY}/revoke", needs=WRITE)
async def revoke(panel: Panel) -> Answer:
    """Withdraw it. An invitation that was revoked before counts as too late, not as unknown."""
    await panel.read_form(PageForm)
    try:
        await panel.services.invitations.revoke(_id(panel), by=panel.principal)
    except (InvitationNotPending, InvitationNotFound):
        return await _too_late(panel, "too-late-to-revoke")
    return panel.redirect(_path(panel), flash=flash(panel, "invitation-revoked"))


# ---- the link --------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/link", needs=REVEAL)
async def ask_to_reveal(panel: Panel) -> Answer:
    """What a link that did not travel by mail can do, and cannot."""
    return await _show(panel, asks="link")


@post(f"{ENTRY}/link", needs=REVEAL)
async def reveal(panel: Panel) -> Answer:
    """The link, in this answer and nowhere else: it is neither stored nor carried on to another page."""
    await panel.read_form(PageForm)
    try:
        link = await panel.services.invitations.reveal(_id(panel), by=panel.principal)
    except InvitationNotPending:
        return await _too_late(panel, "too-late-to-reveal")
    except GrantNotAllowed as error:
        return _refused(panel, error)
    return await _show(panel, asks="link", link=link)


routes = [show_entry, resend, ask_to_revoke, revoke, ask_to_reveal, reveal]
