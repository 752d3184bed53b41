"""The timeline of an invitation: everything that happened, in order, and the next steps.

kind         entry
EVENT        an event: created, resent, revealed, accepted, declined, revoked, renewed, expired, reduced, …
MAIL         a mail was queued: the invitation itself, or a notice to the inviter
ATTEMPT      a delivery attempt with the reply of the mail server
LINK_VIEWS   a link was opened, possibly by a mail scanner; one entry per link, at its first view
EXPIRED      the link has expired and the sweep has not recorded an event yet
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
    """The kind of a timeline entry."""

    EVENT = "event"
    MAIL = "mail"
    ATTEMPT = "attempt"
    LINK_VIEWS = "visits"
    EXPIRED = "ran-out"


@dataclass(frozen=True, slots=True)
class TimelineMail:
    """A mail about an invitation. due_at: the time of the next delivery attempt; None when there is none."""

    id: UUID
    kind: MailKind
    generation: int
    state: DeliveryState
    reason: SuppressionReason | None
    due_at: datetime | None
    attempts: int

    @property
    def has_link(self) -> bool:
        """Whether the mail contains the invitation's link. The other mails are notices to the inviter."""
        return self.kind is MailKind.INVITATION


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery attempt of a mail."""

    id: UUID
    mail_id: UUID
    state: DeliveryState
    reply: str | None

    @property
    def at(self) -> datetime:
        return id_instant(self.id)


@dataclass(frozen=True, slots=True)
class LinkViews:
    """How often one link (one generation of an invitation) was opened."""

    invitation_id: UUID
    generation: int
    times: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """An entry of the timeline. The kind determines which fields are set.

    type: the name of the event. number: the number of the delivery attempt of this mail, from 1.
    """

    kind: TimelineEntryKind
    at: datetime
    type: str = ""
    actor: Actor | None = None
    actor_name: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    mail: TimelineMail | None = None
    state: DeliveryState | None = None
    reply: str | None = None
    number: int = 0
    link_views: LinkViews | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """An expected step. mail: the mail of the next delivery attempt; None for the invitee's answer until expiry."""

    until: datetime
    mail: TimelineMail | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The entries, oldest first, and the next steps. is_truncated: entries older than the first are left out."""

    entries: tuple[TimelineEntry, ...]
    next_steps: tuple[NextStep, ...]
    is_truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRecords:
    """The stored rows about an invitation. is_truncated: there are more rows than were read."""

    events: Sequence[RecordedEvent] = ()
    mails: Sequence[TimelineMail] = ()
    attempts: Sequence[Attempt] = ()
    link_views: Sequence[LinkViews] = ()
    is_truncated: bool = False


def build_timeline(invitation: Invitation, records: InvitationRecords, *, now: datetime) -> Timeline:
    """Build the timeline of an invitation at this instant."""
    entries = [
        *(_event_entry(row) for row in sorted(records.events, key=lambda row: row.event.id)),
        *(_mail_entry(row) for row in sorted(records.mails, key=lambda row: row.id)),
        *_attempt_entries(records),
        *(_view_entry(row) for row in records.link_views),
        *_expiry_entries(invitation, now),
    ]
    entries.sort(key=lambda entry: entry.at)  # stable sort: at the same instant a cause comes before its effect
    return Timeline(tuple(entries), tuple(_next_steps(invitation, records, now)), records.is_truncated)


def _event_entry(recorded: RecordedEvent) -> TimelineEntry:
    event = recorded.event
    return TimelineEntry(
        kind=TimelineEntryKind.EVENT,
        at=event.at,
        type=event.type,
        actor=event.actor,
        actor_name=recorded.actor_name,
        data=event.data,
    )


def _mail_entry(mail: TimelineMail) -> TimelineEntry:
    return TimelineEntry(kind=TimelineEntryKind.MAIL, at=id_instant(mail.id), mail=mail, state=mail.state)


def _attempt_entries(records: InvitationRecords) -> list[TimelineEntry]:
    mails = {mail.id: mail for mail in records.mails}
    numbers: dict[UUID, int] = {}
    entries = []
    for attempt in sorted(records.attempts, key=lambda row: row.id):
        numbers[attempt.mail_id] = numbers.get(attempt.mail_id, 0) + 1
        entry = TimelineEntry(
            kind=TimelineEntryKind.ATTEMPT,
            at=id_instant(attempt.id),
            mail=mails.get(attempt.mail_id),
            state=attempt.state,
            reply=attempt.reply,
            number=numbers[attempt.mail_id],
        )
        entries.append(entry)
    return entries


def _view_entry(link_views: LinkViews) -> TimelineEntry:
    return TimelineEntry(kind=TimelineEntryKind.LINK_VIEWS, at=link_views.first_at, link_views=link_views)


def _expiry_entries(invitation: Invitation, now: datetime) -> list[TimelineEntry]:
    if invitation.state is State.PENDING and invitation.state_at(now) is State.EXPIRED:
        return [TimelineEntry(kind=TimelineEntryKind.EXPIRED, at=invitation.link.expires_at)]
    return []


def _next_steps(invitation: Invitation, records: InvitationRecords, now: datetime) -> list[NextStep]:
    waiting = [NextStep(mail.due_at, mail) for mail in records.mails if mail.due_at is not None]
    if invitation.state_at(now) is State.PENDING:
        waiting.append(NextStep(invitation.link.expires_at))
    return sorted(waiting, key=lambda step: step.until)
