"""Weaving what was written down about an invitation into one thread."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from latchstring.domain.actor import OPERATOR, SYSTEM
from latchstring.domain.event import RecordedEvent, happened
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

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)
ONE = Invitation(
    id=new_id(AT),
    email="ada@people.test",
    email_key="ada@people.test",
    bundle=Bundle("team"),
    inviter=OPERATOR,
    lifetime=WEEK,
    link=Link(1, AT, AT + WEEK, OPERATOR, "k"),
)


def event(name: str, at: datetime) -> RecordedEvent:
    return RecordedEvent(happened(f"invitation.{name}", ONE.id, by=SYSTEM, now=at), None)


def mail(at: datetime, *, due_at: datetime | None = None, kind: MailKind = MailKind.INVITATION) -> TimelineMail:
    return TimelineMail(new_id(at), kind, 1, DeliveryState.QUEUED, None, due_at, 0)


def kinds(timeline: Timeline) -> list[str]:
    return [knot.type.removeprefix("invitation.") or knot.kind.value for knot in timeline.entries]


def test_a_cause_stands_before_what_it_caused_in_the_same_instant() -> None:
    late = mail(AT)  # its id is older than the event's
    found = build_timeline(ONE, InvitationRecords(events=[event("created", AT)], mails=[late]), now=AT)
    assert kinds(found) == ["created", "mail"]


def test_attempts_are_numbered_mail_by_mail() -> None:
    first, second = mail(AT), mail(AT + MINUTE)
    tries = [
        Attempt(new_id(AT + n * MINUTE), of.id, DeliveryState.DEFERRED, None)
        for n, of in ((4, second), (1, first), (2, first))
    ]
    knots = build_timeline(ONE, InvitationRecords(mails=[first, second], attempts=tries), now=AT).entries
    assert [(k.mail, k.number) for k in knots if k.kind is TimelineEntryKind.ATTEMPT] == [
        (first, 1),
        (first, 2),
        (second, 1),
    ]


def test_an_attempt_at_a_mail_that_is_not_read_any_more_stays() -> None:
    (knot,) = build_timeline(
        ONE, InvitationRecords(attempts=[Attempt(new_id(AT), new_id(AT), DeliveryState.SENT, "250 ok")]), now=AT
    ).entries
    assert (knot.mail, knot.reply) == (None, "250 ok")


def test_visits_stand_at_the_first_of_them() -> None:
    visits = LinkViews(ONE.id, 1, 3, AT + MINUTE, AT + WEEK)
    found = build_timeline(
        ONE,
        InvitationRecords(events=[event("created", AT), event("resent", AT + 2 * MINUTE)], link_views=[visits]),
        now=AT,
    )
    assert kinds(found) == ["created", "visits", "resent"]


def test_what_is_awaited_comes_in_its_order() -> None:
    soon, later = mail(AT, due_at=AT + MINUTE), mail(AT, due_at=AT + WEEK + MINUTE)
    awaited = build_timeline(ONE, InvitationRecords(mails=[later, soon, mail(AT)]), now=AT).next_steps
    assert [one.mail for one in awaited] == [soon, None, later]


def test_nobody_is_awaited_after_the_end() -> None:
    over = build_timeline(ONE, InvitationRecords(), now=AT + WEEK)
    assert (kinds(over), over.next_steps) == (["ran-out"], ())
    ended = replace(ONE, state=State.EXPIRED, ended_at=AT + WEEK)
    assert (
        build_timeline(ended, InvitationRecords(events=[event("expired", AT + WEEK)]), now=AT + WEEK).next_steps == ()
    )


def test_what_is_cut_is_told() -> None:
    assert build_timeline(ONE, InvitationRecords(is_truncated=True), now=AT).is_truncated
