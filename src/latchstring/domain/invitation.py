"""The life of an invitation, as pure functions over frozen values. These rules run: services store what they return.

    state      accept      decline     revoke       resend       renew           reveal    expire
    PENDING    ACCEPTED    DECLINED    REVOKED      PENDING +1   PENDING =       PENDING   EXPIRED
    EXPIRED    expired     expired     REVOKED      PENDING +1   PENDING +1      ended     EXPIRED
    ACCEPTED   accepted    accepted    not pending  not pending  nothing         ended     ended
    DECLINED   declined    declined    not pending  not pending  nothing         ended     ended
    REVOKED    revoked     revoked     not found    not pending  nothing         ended     ended

`+1` is the next generation, `=` mails the same link again (the next one if the asking link is superseded).
EXPIRED is PENDING from `expires_at` onward: a comparison with the clock, whatever the database says. A row that the
sweep has set to EXPIRED behaves the same. Expiring is refused before `expires_at`. A link of an earlier generation is
*superseded*; accepted, declined and revoked are reported before that, expired after it.

The conditional updates in `storage/invitations/transitions.py` say the same in SQL, as a guard against races, and
expire many rows at once; a property test compares both.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.errors import (
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationNotFound,
    InvitationNotPending,
    InvitationRevoked,
    InvitationSuperseded,
    LatchstringError,
)
from latchstring.domain.grant import Bundle
from latchstring.domain.ids import id_instant
from latchstring.domain.mail import Delivery
from latchstring.domain.terms import Terms


class State(IntEnum):
    """What became of an invitation. The numbers are stored."""

    PENDING = 0
    ACCEPTED = 1
    DECLINED = 2
    REVOKED = 3
    EXPIRED = 4


class Channel(StrEnum):
    """How a link left. Only a mailed one proves a mailbox."""

    MAILED = "mailed"
    REVEALED = "revealed"


@dataclass(frozen=True, slots=True)
class Link:
    """One generation of an invitation: its own start, end and sponsor."""

    generation: int
    starts_at: datetime
    expires_at: datetime
    sponsor: Actor
    master_key_id: str


@dataclass(frozen=True, slots=True)
class Invitation(Terms):
    """An invitation: its terms, which never change, its current link, and its state.

    email is as typed, email_key canonical. state is as stored; `state_at` gives the state at an instant.
    """

    id: UUID
    email: str
    email_key: str
    bundle: Bundle
    inviter: Actor
    lifetime: timedelta
    link: Link
    state: State = State.PENDING
    ended_at: datetime | None = None
    accepted_by: UUID | None = None

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    def state_at(self, now: datetime) -> State:
        return state_at(self.state, self.link.expires_at, now)


def state_at(stored: State, expires_at: datetime, now: datetime) -> State:
    """The state of this instant. From `expires_at` onward a pending invitation is expired."""
    return State.EXPIRED if stored is State.PENDING and expires_at <= now else stored


_ENDED: dict[State, type[LatchstringError]] = {
    State.ACCEPTED: InvitationAccepted,
    State.DECLINED: InvitationDeclined,
    State.REVOKED: InvitationRevoked,
}
_ENDED_MESSAGES = {
    State.ACCEPTED: "This invitation has been accepted already.",
    State.DECLINED: "This invitation was declined.",
    State.REVOKED: "This invitation was revoked.",
}


def check_link(invitation: Invitation, *, generation: int, now: datetime) -> None:
    """Raise unless a genuine link of this generation still works.

    The refusals come in the contract's order: accepted, declined, revoked, superseded, expired.
    """
    state = invitation.state_at(now)
    if state in _ENDED:
        raise _ENDED[state](_ENDED_MESSAGES[state])
    if generation != invitation.link.generation:
        raise InvitationSuperseded("A newer link has been sent to the same address.")
    if state is State.EXPIRED:
        raise InvitationExpired("This link has expired. The invitee can request a new one.")


def accept(invitation: Invitation, *, generation: int, by: UUID, now: datetime) -> Invitation:
    """A pending invitation becomes an accepted one, at most once. Raises what `check_link` raises."""
    check_link(invitation, generation=generation, now=now)
    return replace(invitation, state=State.ACCEPTED, ended_at=now, accepted_by=by)


def decline(invitation: Invitation, *, generation: int, now: datetime) -> Invitation:
    """The invitee declines. Raises what `check_link` raises."""
    check_link(invitation, generation=generation, now=now)
    return replace(invitation, state=State.DECLINED, ended_at=now)


def revoke(invitation: Invitation, *, now: datetime) -> Invitation:
    """Revoke a pending invitation.

    Raises InvitationNotPending after an answer, InvitationNotFound when it was revoked before.
    """
    state = invitation.state_at(now)
    if state is State.REVOKED:
        raise InvitationNotFound("This invitation was revoked before.")
    if state in _ENDED:
        raise InvitationNotPending(_ENDED_MESSAGES[state])
    return replace(invitation, state=State.REVOKED, ended_at=now)


def resend(invitation: Invitation, *, sponsor: Actor, master_key_id: str, now: datetime) -> Invitation:
    """The next link, valid as long as the first was; the old one stops working. Raises InvitationNotPending."""
    state = invitation.state_at(now)
    if state in _ENDED:
        raise InvitationNotPending(_ENDED_MESSAGES[state])
    link = Link(invitation.link.generation + 1, now, now + invitation.lifetime, sponsor, master_key_id)
    return replace(invitation, state=State.PENDING, ended_at=None, link=link)


def renew(invitation: Invitation, *, generation: int, master_key_id: str, now: datetime) -> Invitation | None:
    """What an invitee who asks for a fresh link gets: the invitation to mail, or None when it has ended.

    A link that still works is mailed again as it is; an expired or superseded one is replaced by the next.
    """
    state = invitation.state_at(now)
    if state in _ENDED:
        return None
    if state is State.PENDING and generation == invitation.link.generation:
        return invitation
    return resend(invitation, sponsor=invitation.link.sponsor, master_key_id=master_key_id, now=now)


def check_revealable(invitation: Invitation, *, now: datetime) -> None:
    """Raise InvitationNotPending unless a link of the current generation would work."""
    state = invitation.state_at(now)
    if state is not State.PENDING:
        raise InvitationNotPending(
            _ENDED_MESSAGES.get(state, "This invitation has expired. Resend it to create a new link.")
        )


def expire(invitation: Invitation, *, now: datetime) -> Invitation:
    """Record that the link has expired. Raises InvitationNotPending before that or after an end."""
    state = invitation.state_at(now)
    if state is not State.EXPIRED:
        raise InvitationNotPending(_ENDED_MESSAGES.get(state, "This invitation has not expired."))
    return replace(invitation, state=State.EXPIRED, ended_at=invitation.link.expires_at)


@dataclass(frozen=True, slots=True)
class InvitationDetails:
    """An invitation as it is shown: with what became of its mail, and the names of those who act in it.

    Names are looked up, never stored with the invitation: they change, and they can be erased.
    """

    invitation: Invitation
    delivery: Delivery | None
    inviter_name: str | None
    sponsor_name: str | None
