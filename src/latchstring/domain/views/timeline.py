"""What happened to an invitation, in the order it happened, and what is awaited next.

knot      one of
EVENT     the history's own: created, resent, revealed, accepted, declined, revoked, renewed, expired, reduced, …
MAIL      a mail was promised: the invitation itself, or a notice to the inviter
ATTEMPT   a try at sending one, with the mail server's words
VISITS    a link was opened, perhaps by a scanner; one knot a link, at its first visit
RAN_OUT   the time of the link came, and no sweep has written that down yet
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from latchstring.domain.actor import Actor
from latchstring.domain.event import RecordedEvent
from latchstring.domain.ids import id_instant
from latchstring.domain.invitation import Invitation, State
from latchstring.domain.mail import DeliveryState, MailKind, SuppressionReason


class TimelineEntryKind(StrEnum):
    """What a knot of the timeline tells of."""

    EVENT = "event"
    MAIL = "mail"
    ATTEMPT = "attempt"
    VISITS = "visits"
    RAN_OUT = "ran-out"


@dataclass(frozen=True, slots=True)
class PromisedMail:
    """A mail about an invitation, as it stands. due_at: when it is tried next; None when nothing remains to be done."""

    id: UUID
    kind: MailKind
    generation: int
    state: DeliveryState
    reason: SuppressionReason | None
    due_at: datetime | None
    attempts: int

    @property
    def has_link(self) -> bool:
        """Whether it carries the invitation's link; the others are notices to the inviter."""
        return self.kind is MailKind.INVITATION


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at sending a mail."""

    id: UUID
    mail_id: UUID
    state: DeliveryState
    reply: str | None

    @property
    def at(self) -> datetime:
        return id_instant(self.id)


@dataclass(frozen=True, slots=True)
class LinkViews:
    """How often one link was opened: a generation of an invitation."""

    invitation_id: UUID
    generation: int
    times: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened. Which of the fields say something depends on the kind.

    type: the event's name. number: which try at this mail it was, beginning at 1.
    """

    kind: TimelineEntryKind
    at: datetime
    type: str = ""
    actor: Actor | None = None
    actor_name: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    mail: PromisedMail | None = None
    state: DeliveryState | None = None
    reply: str | None = None
    number: int = 0
    visits: LinkViews | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """What comes next unless something happens. mail: the next try at it; None: the answer, until the link ends."""

    until: datetime
    mail: PromisedMail | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The knots, oldest first, and what is awaited. is_cut: what is older than the first knot is left out."""

    knots: tuple[TimelineEntry, ...]
    awaited: tuple[NextStep, ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All that was written down about an invitation. is_cut: there was more than is read."""

    events: Sequence[RecordedEvent] = ()
    mails: Sequence[PromisedMail] = ()
    attempts: Sequence[Attempt] = ()
    visits: Sequence[LinkViews] = ()
    is_cut: bool = False


def build_timeline(invitation: Invitation, records: Records, *, now: datetime) -> Timeline:
    """The timeline of an invitation as it stands at this instant."""
    knots = [
        *(_event_entry(one) for one in sorted(records.events, key=lambda one: one.event.id)),
        *(_mail_entry(one) for one in sorted(records.mails, key=lambda one: one.id)),
        *_attempt_knots(records),
        *(_view_entry(one) for one in records.visits),
        *_ran_out(invitation, now),
    ]
    knots.sort(key=lambda knot: knot.at)  # stable: within an instant a cause stands before what it caused
    return Timeline(tuple(knots), tuple(_awaited(invitation, records, now)), records.is_cut)


def _event_entry(one: RecordedEvent) -> TimelineEntry:
    event = one.event
    return TimelineEntry(
        kind=TimelineEntryKind.EVENT,
        at=event.at,
        type=event.type,
        actor=event.actor,
        actor_name=one.actor_name,
        data=event.data,
    )


def _mail_entry(mail: PromisedMail) -> TimelineEntry:
    return TimelineEntry(kind=TimelineEntryKind.MAIL, at=id_instant(mail.id), mail=mail, state=mail.state)


def _attempt_knots(records: Records) -> list[TimelineEntry]:
    mails = {mail.id: mail for mail in records.mails}
    numbers: dict[UUID, int] = {}
    found = []
    for one in sorted(records.attempts, key=lambda attempt: attempt.id):
        numbers[one.mail_id] = numbers.get(one.mail_id, 0) + 1
        knot = TimelineEntry(
            kind=TimelineEntryKind.ATTEMPT,
            at=id_instant(one.id),
            mail=mails.get(one.mail_id),
            state=one.state,
            reply=one.reply,
            number=numbers[one.mail_id],
        )
        found.append(knot)
    return found


def _view_entry(visits: LinkViews) -> TimelineEntry:
    return TimelineEntry(kind=TimelineEntryKind.VISITS, at=visits.first_at, visits=visits)


def _ran_out(invitation: Invitation, now: datetime) -> list[TimelineEntry]:
    if invitation.state is State.PENDING and invitation.state_at(now) is State.EXPIRED:
        return [TimelineEntry(kind=TimelineEntryKind.RAN_OUT, at=invitation.link.expires_at)]
    return []


def _awaited(invitation: Invitation, records: Records, now: datetime) -> list[NextStep]:
    waiting = [NextStep(mail.due_at, mail) for mail in records.mails if mail.due_at is not None]
    if invitation.state_at(now) is State.PENDING:
        waiting.append(NextStep(invitation.link.expires_at))
    return sorted(waiting, key=lambda one: one.until)
