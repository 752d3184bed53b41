"""Daily counts: each occurrence is counted once, also by concurrent workers, and uncounted rows are read."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.event import Event, new_event
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
from latchstring.storage.overview.daily_counts import BATCH, LAG, TAIL_LIMIT, Source, count_next_batch, read_figures

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
INVITEE = Actor(ActorType.INVITEE)
DAY = NOW.date().isoformat()
LATER = NOW + timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
COUNTS = select(figures)
PERIOD = {"first": "2026-11-01", "last": "2026-11-30"}


def new_insert(email: str, *, created_at: datetime) -> InvitationInsert:
    id_ = new_id(created_at)
    link = Link(1, created_at, created_at + WEEK, OPERATOR, "k1")
    invitation = Invitation(id_, email, email, Bundle("team"), OPERATOR, WEEK, link)
    mail = OutgoingMail(new_id(created_at), MailKind.INVITATION, id_, 1, created_at)
    event = new_event("invitation.created", id_, by=OPERATOR, now=created_at)
    return InvitationInsert(invitation, event, mail, may_reveal_membership=True, may_reveal_conflict=True)


async def store_events(db: Database, *events: Event) -> None:
    def work() -> Work[None]:
        for event in events:
            yield insert_event(event)

    await db.transact(work)


async def invite(db: Database, name: str = "ada", *, created_at: datetime = NOW) -> UUID:
    insert = new_insert(f"{name}@people.test", created_at=created_at)
    await insert_invitation(db, insert, now=created_at)
    return insert.invitation.id


async def count_all(db: Database, *, now: datetime = LATER) -> None:
    for source in Source:
        while await count_next_batch(db, source, now=now):
            pass


async def read_count(db: Database, measure: Measure, dimension: Dimension = Dimension.ALL, key: str = "") -> int:
    rows = await db.fetch(COUNTS)
    expected = (measure, dimension, key)
    return sum(row.count for row in rows if (row.measure, row.dimension, row.key) == expected)


async def send(db: Database, state: DeliveryState, *, now: datetime) -> None:
    owner = new_id(now)
    for row in await claim_mails(db, owner, limit=10, now=now, until=now + MINUTE):
        await finish_mail(db, owner, row.id, Delivery(state, None, 1, now, "250 ok"), again_at=None)


async def test_each_step_of_an_invitation_is_counted_once(database: Database) -> None:
    invitation_id = await invite(database)
    await send(database, DeliveryState.SENT, now=NOW + MINUTE)
    await add_link_views(database, [LinkViews(invitation_id, 1, 3, NOW + MINUTE, NOW + MINUTE)])
    await store_events(database, new_event("invitation.accepted", invitation_id, by=INVITEE, now=NOW + MINUTE))
    for _ in range(2):
        await count_all(database)
    for measure in Measure:
        assert await read_count(database, measure) == 1, measure
    assert await read_count(database, Measure.ACCEPTED, Dimension.ROLE, "team") == 1
    assert await read_count(database, Measure.INVITED, Dimension.INVITER, "OPERATOR:") == 1
    assert await read_count(database, Measure.ACCEPTED, Dimension.WAIT, "5") == 1


async def test_a_second_link_is_no_second_delivery_or_view(database: Database) -> None:
    invitation_id = await invite(database)
    await send(database, DeliveryState.SENT, now=NOW + MINUTE)
    second_mail = OutgoingMail(new_id(NOW + 2 * MINUTE), MailKind.INVITATION, invitation_id, 2, NOW + 2 * MINUTE)
    notice = OutgoingMail(new_id(NOW), MailKind.LINK_REQUESTED, invitation_id, 1, NOW)

    def queue_mails() -> Work[None]:
        yield queue_mail(second_mail)
        yield queue_mail(notice)

    await database.transact(queue_mails)
    await send(database, DeliveryState.SENT, now=NOW + 3 * MINUTE)
    await add_link_views(
        database,
        [
            LinkViews(invitation_id, 1, 1, NOW + MINUTE, NOW + MINUTE),
            LinkViews(invitation_id, 2, 1, NOW + 3 * MINUTE, LATER),
        ],
    )
    await count_all(database, now=LATER)
    assert await read_count(database, Measure.DELIVERED) == 1
    assert await read_count(database, Measure.VISITED) == 1


async def test_bounces_and_notices_are_not_counted_as_delivered(database: Database) -> None:
    invitation_id = await invite(database)
    notice = OutgoingMail(new_id(NOW), MailKind.INVITATION_DECLINED, invitation_id, 1, NOW)

    def queue_notice() -> Work[None]:
        yield queue_mail(notice)

    await send(database, DeliveryState.BOUNCED, now=NOW + MINUTE)
    await database.transact(queue_notice)
    await send(database, DeliveryState.SENT, now=NOW + MINUTE)
    await count_all(database)
    assert await read_count(database, Measure.DELIVERED) == 0


async def test_concurrent_workers_count_everything_once(database: Database) -> None:
    invitation_id = await invite(database)
    await store_events(
        database, *(new_event("invitation.accepted", invitation_id, by=INVITEE, now=NOW + MINUTE) for _ in range(40))
    )
    for _ in range(3):
        await asyncio.gather(*(count_next_batch(database, Source.EVENTS, now=LATER) for _ in range(4)))
    assert await read_count(database, Measure.ACCEPTED) == 40
    assert await read_count(database, Measure.INVITED) == 1


async def test_recent_rows_are_counted_later_as_earlier_ones_may_follow(database: Database) -> None:
    await invite(database)
    await count_all(database, now=NOW + LAG - timedelta(seconds=1))
    assert await read_count(database, Measure.INVITED) == 0
    late = new_insert("late@people.test", created_at=NOW - timedelta(seconds=20))
    await insert_invitation(database, late, now=NOW)
    await count_all(database, now=NOW + LAG + timedelta(seconds=1))
    assert await read_count(database, Measure.INVITED) == 2


async def test_more_than_a_batch_is_counted_in_batches(database: Database) -> None:
    invitation_id = await invite(database)
    await store_events(
        database, *(new_event("group.updated", invitation_id, by=OPERATOR, now=NOW + MINUTE) for _ in range(BATCH))
    )
    assert await count_next_batch(database, Source.EVENTS, now=LATER)
    assert not await count_next_batch(database, Source.EVENTS, now=LATER)
    assert not await count_next_batch(database, Source.EVENTS, now=LATER)
    assert await read_count(database, Measure.INVITED) == 1


async def test_figures_include_counted_and_new_rows(database: Database) -> None:
    await invite(database)
    await count_all(database)
    await invite(database, "bea")
    period = await read_figures(database, **PERIOD, now=LATER)
    assert period.counts[CountKey(DAY, Measure.INVITED, Dimension.ALL, "")] == 2
    assert period.counts[CountKey("2026-11-01", Measure.INVITED, Dimension.INVITER, "OPERATOR:")] == 1
    assert period.as_of == LATER


async def test_days_outside_the_period_are_excluded(database: Database) -> None:
    await invite(database, created_at=NOW - timedelta(days=40))
    await invite(database, "bea")
    assert (await read_figures(database, **PERIOD, now=LATER)).counts.total() == 3
    await count_all(database)
    assert (await read_figures(database, **PERIOD, now=LATER)).counts.total() == 3


async def test_figures_read_a_limited_number_of_new_rows_and_say_up_to_when(database: Database) -> None:
    invitation_id = await invite(database)
    await store_events(
        database, *(new_event("group.updated", invitation_id, by=OPERATOR, now=NOW + MINUTE) for _ in range(TAIL_LIMIT))
    )
    assert (await read_figures(database, **PERIOD, now=LATER)).as_of == NOW + MINUTE


async def test_events_of_a_deleted_invitation_are_counted_without_its_terms(database: Database) -> None:
    await store_events(database, new_event("invitation.accepted", new_id(NOW), by=INVITEE, now=NOW + MINUTE))
    await count_all(database)
    assert await read_count(database, Measure.ACCEPTED) == 1
    assert await read_count(database, Measure.ACCEPTED, Dimension.ROLE, "") == 0
