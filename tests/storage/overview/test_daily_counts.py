"""What happened is added up once, however many add it up, and read with what no sweep has seen yet."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.event import Event, happened
from latchstring.domain.grant import Bundle
from latchstring.domain.ids import new_id
from latchstring.domain.invitation import Invitation, Link
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, OutgoingMail
from latchstring.domain.views.overview import CountKey, Dimension, Measure
from latchstring.domain.views.timeline import LinkViews
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.tables import figures
from latchstring.storage.events.record import insert_event
from latchstring.storage.invitations.create import InvitationInsert, insert_invitation
from latchstring.storage.invitations.link_views import add_link_views
from latchstring.storage.outbox.outbox import claim_mails, finish_mail, queue_mail
from latchstring.storage.overview.daily_counts import BATCH, LAG, TAIL, Source, add_up, read_figures

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
INVITEE = Actor(ActorType.INVITEE)
DAY = AT.date().isoformat()
LATER = AT + timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
COUNTS = select(figures)
PERIOD = {"first": "2026-11-01", "last": "2026-11-30"}


def make_new(email: str, *, at: datetime) -> InvitationInsert:
    id_ = new_id(at)
    link = Link(1, at, at + WEEK, OPERATOR, "k1")
    invitation = Invitation(id_, email, email, Bundle("team"), OPERATOR, WEEK, link)
    mail = OutgoingMail(new_id(at), MailKind.INVITATION, id_, 1, at)
    event = happened("invitation.created", id_, by=OPERATOR, now=at)
    return InvitationInsert(invitation, event, mail, may_reveal_membership=True, may_reveal_conflict=True)


async def keep(db: Database, *events: Event) -> None:
    def work() -> Work[None]:
        for event in events:
            yield insert_event(event)

    await db.transact(work)


async def invite(db: Database, name: str = "ada", *, at: datetime = AT) -> UUID:
    new = make_new(f"{name}@people.test", at=at)
    await insert_invitation(db, new, now=at)
    return new.invitation.id


async def add_all_up(db: Database, *, now: datetime = LATER) -> None:
    for source in Source:
        while await add_up(db, source, now=now):
            pass


async def stored(db: Database, measure: Measure, dimension: Dimension = Dimension.ALL, key: str = "") -> int:
    rows = await db.fetch(COUNTS)
    wanted = (measure, dimension, key)
    return sum(row.count for row in rows if (row.measure, row.dimension, row.key) == wanted)


async def send(db: Database, state: DeliveryState, *, now: datetime) -> None:
    owner = new_id(now)
    for row in await claim_mails(db, owner, limit=10, now=now, until=now + MINUTE):
        await finish_mail(db, owner, row.id, Delivery(state, None, 1, now, "250 ok"), again_at=None)


async def test_the_steps_of_an_invitation_are_counted_once_each(database: Database) -> None:
    one = await invite(database)
    await send(database, DeliveryState.SENT, now=AT + MINUTE)
    await add_link_views(database, [LinkViews(one, 1, 3, AT + MINUTE, AT + MINUTE)])
    await keep(database, happened("invitation.accepted", one, by=INVITEE, now=AT + MINUTE))
    for _ in range(2):
        await add_all_up(database)
    for measure in Measure:
        assert await stored(database, measure) == 1, measure
    assert await stored(database, Measure.ACCEPTED, Dimension.ROLE, "team") == 1
    assert await stored(database, Measure.INVITED, Dimension.INVITER, "OPERATOR:") == 1
    assert await stored(database, Measure.ACCEPTED, Dimension.WAIT, "5") == 1


async def test_a_second_link_is_no_second_delivery_and_no_second_visit(database: Database) -> None:
    one = await invite(database)
    await send(database, DeliveryState.SENT, now=AT + MINUTE)
    again = OutgoingMail(new_id(AT + 2 * MINUTE), MailKind.INVITATION, one, 2, AT + 2 * MINUTE)
    notice = OutgoingMail(new_id(AT), MailKind.LINK_REQUESTED, one, 1, AT)

    def promise() -> Work[None]:
        yield queue_mail(again)
        yield queue_mail(notice)

    await database.transact(promise)
    await send(database, DeliveryState.SENT, now=AT + 3 * MINUTE)
    await add_link_views(
        database, [LinkViews(one, 1, 1, AT + MINUTE, AT + MINUTE), LinkViews(one, 2, 1, AT + 3 * MINUTE, LATER)]
    )
    await add_all_up(database, now=LATER)
    assert await stored(database, Measure.DELIVERED) == 1
    assert await stored(database, Measure.VISITED) == 1


async def test_what_was_not_taken_and_what_is_no_invitation_is_not_delivered(database: Database) -> None:
    one = await invite(database)
    notice = OutgoingMail(new_id(AT), MailKind.INVITATION_DECLINED, one, 1, AT)

    def promise() -> Work[None]:
        yield queue_mail(notice)

    await send(database, DeliveryState.BOUNCED, now=AT + MINUTE)
    await database.transact(promise)
    await send(database, DeliveryState.SENT, now=AT + MINUTE)
    await add_all_up(database)
    assert await stored(database, Measure.DELIVERED) == 0


async def test_two_workers_at_once_count_everything_once(database: Database) -> None:
    one = await invite(database)
    await keep(database, *(happened("invitation.accepted", one, by=INVITEE, now=AT + MINUTE) for _ in range(40)))
    for _ in range(3):
        await asyncio.gather(*(add_up(database, Source.EVENTS, now=LATER) for _ in range(4)))
    assert await stored(database, Measure.ACCEPTED) == 40
    assert await stored(database, Measure.INVITED) == 1


async def test_what_is_young_may_still_have_company_to_come_and_waits(database: Database) -> None:
    await invite(database)
    await add_all_up(database, now=AT + LAG - timedelta(seconds=1))
    assert await stored(database, Measure.INVITED) == 0
    late = make_new("late@people.test", at=AT - timedelta(seconds=20))
    await insert_invitation(database, late, now=AT)
    await add_all_up(database, now=AT + LAG + timedelta(seconds=1))
    assert await stored(database, Measure.INVITED) == 2


async def test_more_than_a_batch_is_counted_batch_by_batch(database: Database) -> None:
    one = await invite(database)
    await keep(database, *(happened("group.updated", one, by=OPERATOR, now=AT + MINUTE) for _ in range(BATCH)))
    assert await add_up(database, Source.EVENTS, now=LATER)
    assert not await add_up(database, Source.EVENTS, now=LATER)
    assert not await add_up(database, Source.EVENTS, now=LATER)
    assert await stored(database, Measure.INVITED) == 1


async def test_a_page_reads_what_was_added_up_and_what_was_not(database: Database) -> None:
    await invite(database)
    await add_all_up(database)
    await invite(database, "bea")
    found = await read_figures(database, **PERIOD, now=LATER)
    assert found.counts[CountKey(DAY, Measure.INVITED, Dimension.ALL, "")] == 2
    assert found.counts[CountKey("2026-11-01", Measure.INVITED, Dimension.INVITER, "OPERATOR:")] == 1
    assert found.as_of == LATER


async def test_days_outside_the_period_are_not_in_it(database: Database) -> None:
    await invite(database, at=AT - timedelta(days=40))
    await invite(database, "bea")
    assert (await read_figures(database, **PERIOD, now=LATER)).counts.total() == 3
    await add_all_up(database)
    assert (await read_figures(database, **PERIOD, now=LATER)).counts.total() == 3


async def test_a_page_reads_no_more_than_a_bound_and_says_up_to_when(database: Database) -> None:
    one = await invite(database)
    await keep(database, *(happened("group.updated", one, by=OPERATOR, now=AT + MINUTE) for _ in range(TAIL)))
    assert (await read_figures(database, **PERIOD, now=LATER)).as_of == AT + MINUTE


async def test_what_happened_to_a_forgotten_invitation_counts_without_its_terms(database: Database) -> None:
    await keep(database, happened("invitation.accepted", new_id(AT), by=INVITEE, now=AT + MINUTE))
    await add_all_up(database)
    assert await stored(database, Measure.ACCEPTED) == 1
    assert await stored(database, Measure.ACCEPTED, Dimension.ROLE, "") == 0
