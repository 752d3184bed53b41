"""One invitation: its terms, which never change, its system fields, its actions and its timeline."""

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
MAX_GENERATION_DIGITS = 9  # digits
JUST_NOW = timedelta(minutes=2)
ENTRY = "/admin/invitations/{invitation_id:uuid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationPage:
    """The template values of an invitation's page.

    groups, objects: only those that still exist. is_refreshing: a mail is about to be sent, so the page reloads its
    timeline by script.
    """

    invitation: Invitation
    state: str
    secret: str
    history: InvitationHistory
    groups: dict[str, GroupChoice]
    objects: dict[tuple[str, str], ObjectChoice]
    retained_until: datetime
    is_refreshing: bool

    @property
    def timeline(self) -> Timeline:
        return self.history.timeline

    @property
    def delivery(self) -> str:
        """The state of its mail; empty without a mail or if the state must not be revealed."""
        mail_delivery = self.history.details.delivery
        return mail_delivery.state.value if mail_delivery else ""

    @property
    def is_open(self) -> bool:
        """Whether it can still be resent or revoked."""
        return self.state in {State.PENDING.name, State.EXPIRED.name}

    @property
    def is_pending(self) -> bool:
        return self.state == State.PENDING.name

    @property
    def name(self) -> str:
        """The full name of the invitee; empty if unknown."""
        return " ".join(filter(None, (self.invitation.first_name, self.invitation.last_name)))

    @property
    def short_name(self) -> str:
        """The first name of the invitee, else the full name."""
        return self.invitation.first_name or self.name

    @property
    def group_grants(self) -> tuple[Grant, ...]:
        return self.invitation.bundle.groups

    @property
    def content_grants(self) -> tuple[Grant, ...]:
        return self.invitation.bundle.content


async def _load_entry(panel: Panel) -> InvitationPage:
    """Raises InvitationNotFound."""
    services, by = panel.services, panel.principal
    history = await services.invitations.timelines.get(_id(panel), by=by)
    invitation = history.details.invitation
    grants = invitation.bundle.grants
    keys = [grant.target_key for grant in grants if grant.kind is GrantKind.GROUP]
    names = [(grant.target_type or "", grant.target_key) for grant in grants if grant.kind is GrantKind.CONTENT]
    groups = await services.invitations.targets.find_groups(keys, by=by)
    return InvitationPage(
        invitation=invitation,
        state=invitation.state_at(panel.now).name,
        secret=services.invitations.links.secret_of(invitation),
        history=history,
        groups={group.key: group for group in groups},
        objects=await services.invitations.targets.find_objects(names, by=by),
        is_refreshing=any(
            item.mail is not None and item.until - panel.now < SOON for item in history.timeline.next_steps
        ),
        retained_until=(invitation.ended_at or panel.now) + services.invitation_rules.retention,
    )


def _id(panel: Panel) -> UUID:
    invitation_id: UUID = panel.request.path_params["invitation_id"]
    return invitation_id


async def _show(panel: Panel, *, confirmation: str = "", link: str = "", status: int = 200, code: str = "") -> Answer:
    """The page. confirmation: which one to show, if any. link: shown once, in the answer to the request for it."""
    entry = await _load_entry(panel)
    return panel.show(
        "invitations/entry.html",
        status=status,
        code=code,
        entry=entry,
        invitation=entry.invitation,
        role=panel.services.roles.get(entry.invitation.bundle.role or ""),
        types=panel.services.content_rules.types,
        confirmation=confirmation,
        shown_link=link,
        mail_is_off=panel.services.mail_rules.is_off,
    )


def _path(panel: Panel) -> str:
    return f"/admin/invitations/{_id(panel)}"


@get(ENTRY, needs=READ)
async def show_entry(panel: Panel) -> Answer:
    """Terms, actions and timeline of an invitation."""
    return await _show(panel)


# ---- resend ----------------------------------------------------------------------------------------------------------


class ResendForm(PageForm):
    """Resends the invitation. shown_generation: of the link that the page showed."""

    shown_generation: str = ""


@post(f"{ENTRY}/resend", needs=WRITE)
async def resend(panel: Panel) -> Answer:
    """Create and mail the next link, unless there is a newer one already: two clicks must not send two mails."""
    shown_generation = (await panel.read_form(ResendForm)).typed.get("shownGeneration", "")
    try:
        generation = _parse_generation(shown_generation) if shown_generation else None
        details = await panel.services.invitations.resend(_id(panel), by=panel.principal, generation=generation)
    except ChangedMeanwhile:
        return panel.redirect(_path(panel), flash=flash(panel, "invitation-resent-before", is_bad=True))
    except InvitationNotPending:
        return await _too_late(panel, "too-late-to-resend")
    except (AlreadyInvited, GrantNotAllowed, MailDisabled) as error:
        return _refuse_resend(panel, error)
    is_off = details.delivery is not None and details.delivery.state is DeliveryState.SUPPRESSED
    message = "invitation-renewed-without-mail" if is_off else "invitation-resent"
    return panel.redirect(_path(panel), flash=flash(panel, message))


def _parse_generation(text: str) -> int:
    """The generation of a link from the form; 0, which no link has, if it is invalid."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_GENERATION_DIGITS else 0


def _refuse_resend(panel: Panel, error: LatchstringError) -> Answer:
    return panel.redirect(_path(panel), flash=flash(panel, resend_refusal_key(error), is_bad=True))


def resend_refusal_key(error: LatchstringError) -> str:
    """The key of the flash message for an invitation that cannot be resent."""
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
    """Redirect with a message that the invitation ended before, by whom and when."""
    history = await panel.services.invitations.timelines.get(_id(panel), by=panel.principal)
    invitation = history.details.invitation
    state = invitation.state_at(panel.now)
    ended_at = invitation.link.expires_at if state is State.EXPIRED else invitation.ended_at
    return panel.redirect(
        _path(panel),
        flash=flash(
            panel,
            message,
            state=state.name,
            who=_revoker(history) if state is State.REVOKED else invitation.first_name or "",
            ended_at=ended_at,
            just_now=ended_at is not None and panel.now - ended_at < JUST_NOW,
            is_bad=True,
        ),
    )


def _revoker(history: InvitationHistory) -> str:
    names = [entry.actor_name for entry in history.timeline.entries if entry.type == "invitation.revoked"]
    return names[-1] or "" if names else ""


# ---- revoke ----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/revoke", needs=WRITE)
async def confirm_revoke(panel: Panel) -> Answer:
    """The confirmation, with the consequences."""
    return await _show(panel, confirmation="revoke")


@post(f"{ENTRY}/revoke", needs=WRITE)
async def revoke(panel: Panel) -> Answer:
    """Revoke the invitation. One that was revoked before counts as too late, not as unknown."""
    await panel.read_form(PageForm)
    try:
        await panel.services.invitations.revoke(_id(panel), by=panel.principal)
    except (InvitationNotPending, InvitationNotFound):
        return await _too_late(panel, "too-late-to-revoke")
    return panel.redirect(_path(panel), flash=flash(panel, "invitation-revoked"))


# ---- link ------------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/link", needs=REVEAL)
async def confirm_reveal(panel: Panel) -> Answer:
    """The confirmation: a link that was not mailed does not verify the address."""
    return await _show(panel, confirmation="link")


@post(f"{ENTRY}/link", needs=REVEAL)
async def reveal(panel: Panel) -> Answer:
    """Show the link in this answer only: it is neither stored nor passed on to another page."""
    await panel.read_form(PageForm)
    try:
        link = await panel.services.invitations.reveal(_id(panel), by=panel.principal)
    except InvitationNotPending:
        return await _too_late(panel, "too-late-to-reveal")
    except GrantNotAllowed as error:
        return _refuse_resend(panel, error)
    return await _show(panel, confirmation="link", link=link)


routes = [show_entry, resend, confirm_revoke, revoke, confirm_reveal, reveal]
