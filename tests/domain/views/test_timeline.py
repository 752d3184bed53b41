"""Building the timeline of an invitation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from latchstring.domain.actor import OPERATOR, SYSTEM
from latchstring.domain.event import RecordedEvent, new_event
from latchstring.domain.grant import Bundle
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link, State
from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.views.timeline import (
    Attempt,
    InvitationRecords,
    LinkViews,
    Timeline,
    TimelineEntryKind,
    TimelineMail,
    build_timeline,
)

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)
PENDING_INVITATION = Invitation(
    id=new_id(NOW),
    email="ada@people.test",
    email_key="ada@people.test",
    bundle=Bundle("team"),
    inviter=OPERATOR,
    lifetime=WEEK,
    link=Link(1, NOW, NOW + WEEK, OPERATOR, "k"),
)


def event(name: str, now: datetime) -> RecordedEvent:
    return RecordedEvent(new_event(f"invitation.{name}", PENDING_INVITATION.id, by=SYSTEM, now=now), None)


def mail(now: datetime, *, due_at: datetime | None = None, kind: MailKind = MailKind.INVITATION) -> TimelineMail:
    return TimelineMail(new_id(now), kind, 1, DeliveryState.QUEUED, None, due_at, 0)


def kinds(timeline: Timeline) -> list[str]:
    return [entry.type.removeprefix("invitation.") or entry.kind.value for entry in timeline.entries]


def test_an_event_comes_before_its_mail_of_the_same_instant() -> None:
    late = mail(NOW)  # its id is older than the event's
    timeline = build_timeline(
        PENDING_INVITATION, InvitationRecords(events=[event("created", NOW)], mails=[late]), now=NOW
    )
    assert kinds(timeline) == ["created", "mail"]


def test_attempts_are_numbered_for_each_mail() -> None:
    first, second = mail(NOW), mail(NOW + MINUTE)
    attempts = [
        Attempt(new_id(NOW + n * MINUTE), mail_.id, DeliveryState.DEFERRED, None)
        for n, mail_ in ((4, second), (1, first), (2, first))
    ]
    timeline_entries = build_timeline(
        PENDING_INVITATION, InvitationRecords(mails=[first, second], attempts=attempts), now=NOW
    ).entries
    assert [(entry.mail, entry.number) for entry in timeline_entries if entry.kind is TimelineEntryKind.ATTEMPT] == [
        (first, 1),
        (first, 2),
        (second, 1),
    ]


def test_an_attempt_of_a_mail_that_was_not_read_is_shown() -> None:
    (entry,) = build_timeline(
        PENDING_INVITATION,
        InvitationRecords(attempts=[Attempt(new_id(NOW), new_id(NOW), DeliveryState.SENT, "250 ok")]),
        now=NOW,
    ).entries
    assert (entry.mail, entry.reply) == (None, "250 ok")


def test_link_views_are_shown_at_the_first_view() -> None:
    views = LinkViews(PENDING_INVITATION.id, 1, 3, NOW + MINUTE, NOW + WEEK)
    timeline = build_timeline(
        PENDING_INVITATION,
        InvitationRecords(events=[event("created", NOW), event("resent", NOW + 2 * MINUTE)], link_views=[views]),
        now=NOW,
    )
    assert kinds(timeline) == ["created", "visits", "resent"]


def test_next_steps_are_sorted_by_time() -> None:
    soon, later = mail(NOW, due_at=NOW + MINUTE), mail(NOW, due_at=NOW + WEEK + MINUTE)
    steps = build_timeline(PENDING_INVITATION, InvitationRecords(mails=[later, soon, mail(NOW)]), now=NOW).next_steps
    assert [step.mail for step in steps] == [soon, None, later]


def test_there_are_no_next_steps_after_the_end() -> None:
    expired = build_timeline(PENDING_INVITATION, InvitationRecords(), now=NOW + WEEK)
    assert (kinds(expired), expired.next_steps) == (["ran-out"], ())
    ended = replace(PENDING_INVITATION, state=State.EXPIRED, ended_at=NOW + WEEK)
    assert (
        build_timeline(ended, InvitationRecords(events=[event("expired", NOW + WEEK)]), now=NOW + WEEK).next_steps == ()
    )


def test_a_truncated_timeline_is_marked() -> None:
    assert build_timeline(PENDING_INVITATION, InvitationRecords(is_truncated=True), now=NOW).is_truncated
