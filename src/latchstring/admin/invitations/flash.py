"""What the panel says after something was done to an invitation, or was not."""

import html
from datetime import datetime, timedelta

from latchstring.admin.context import DOMAIN, Panel
from latchstring.domain.invitation import State
from latchstring.invitations.timeline import Told
from latchstring.pages.templating import render

A_MOMENT = timedelta(minutes=2)


def say(panel: Panel, what: str, **values: object) -> str:
    """One or two sentences as plain text, for the word on the next page. The template has them all."""
    context = {"locale": panel.locale, "domain": DOMAIN, "now": panel.now, "what": what}
    # a word is plain text, and escaped where it is shown
    return " ".join(html.unescape(render("panel/invitation_said.html", context | values)).split())


def say_too_late(panel: Panel, what: str, told: Told) -> str:
    """That an action came too late, and what came before it: 'Not revoked. Jonas accepted at 10:42, a moment before
    you.' what: `revoked`, `resent` or `revealed`.
    """
    invitation = told.standing.invitation
    state = invitation.state_at(panel.now)
    at = invitation.link.expires_at if state is State.EXPIRED else invitation.ended_at
    return say(
        panel,
        "too-late",
        action=what,
        state=state.name,
        who=_revoker(told) if state is State.REVOKED else invitation.first_name or "",
        ended_at=at,
        just_now=_is_just_now(at, panel.now),
    )


def _revoker(told: Told) -> str:
    names = [knot.actor_name for knot in told.timeline.knots if knot.type == "invitation.revoked"]
    return names[-1] or "" if names else ""


def _is_just_now(at: datetime | None, now: datetime) -> bool:
    return at is not None and now - at < A_MOMENT
