"""Looking at the outbox, and interfering with it while workers do their work."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from latchstring.domain.ids import new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, OutgoingMail, SuppressionReason
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.outbox.mail_queue import (
    count_mails,
    drop_mail,
    find_mail,
    list_mails,
    list_mails_about,
    retry_mail,
)
from latchstring.storage.outbox.outbox import OutboxRow, claim_mails, finish_mail, queue_mail

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def promise(db: Database, count: int = 1, *, subject_id: UUID | None = None) -> list[UUID]:
    mails = [OutgoingMail(new_id(NOW), MailKind.INVITATION, subject_id or uuid4(), 1, NOW) for _ in range(count)]

    def work() -> Work[None]:
        for mail in mails:
            yield queue_mail(mail)

    await db.transact(work)
    return [mail.id for mail in mails]


async def claim(db: Database, *, now: datetime = NOW) -> list[OutboxRow]:
    return await claim_mails(db, OWNER, limit=10, now=now, until=now + MINUTE)


OWNER = uuid4()


async def end_as(db: Database, state: DeliveryState, *, again_at: datetime | None = None, reply: str = "said") -> None:
    for row in await claim(db):
        await finish_mail(db, OWNER, row.id, Delivery(state, None, 1, NOW, reply), again_at=again_at)


async def retry(db: Database, mail_id: UUID, *, now: datetime = NOW) -> bool:
    return await db.transact(lambda: retry_mail(mail_id, now=now))


async def drop(db: Database, mail_id: UUID, *, now: datetime = NOW) -> bool:
    return await db.transact(lambda: drop_mail(mail_id, now=now))


@pytest.mark.parametrize("state", [DeliveryState.BOUNCED, DeliveryState.FAILED, DeliveryState.DEFERRED])
async def test_a_mail_that_did_not_get_through_can_be_tried_again(database: Database, state: DeliveryState) -> None:
    (mail_id,) = await promise(database)
    await end_as(database, state, again_at=NOW + MINUTE if state is DeliveryState.DEFERRED else None)
    assert await claim(database) == []
    assert await retry(database, mail_id)
    mail = await find_mail(database, mail_id, now=NOW)
    assert mail is not None
    assert (mail.state, mail.attempts, mail.last_reply) == (DeliveryState.QUEUED, 1, "said")
    assert [row.id for row in await claim(database)] == [mail_id]


@pytest.mark.parametrize("state", [DeliveryState.SENT, DeliveryState.SUPPRESSED])
async def test_what_has_left_or_was_never_to_be_sent_is_not_tried_again(
    database: Database, state: DeliveryState
) -> None:
    (mail_id,) = await promise(database)
    await end_as(database, state)
    assert not await retry(database, mail_id)
    assert not await drop(database, mail_id)


async def test_what_waits_can_be_dropped_and_is_never_claimed(database: Database) -> None:
    (mail_id,) = await promise(database)
    assert await drop(database, mail_id)
    assert await claim(database) == []
    mail = await find_mail(database, mail_id, now=NOW)
    assert mail is not None
    assert (mail.state, mail.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.ENDED)
    assert not await drop(database, mail_id)


async def test_what_a_worker_holds_is_left_alone_until_its_lease_ends(database: Database) -> None:
    (mail_id,) = await promise(database)
    await claim(database)
    mail = await find_mail(database, mail_id, now=NOW)
    assert mail is not None
    assert (mail.is_leased, mail.can_be_dropped, mail.can_be_retried) == (True, False, False)
    assert not await drop(database, mail_id)
    assert await drop(database, mail_id, now=NOW + 2 * MINUTE)
    assert not await finish_mail(database, OWNER, mail_id, Delivery(DeliveryState.SENT, None, 1, NOW))


async def test_of_a_claim_and_a_drop_at_once_one_wins(database: Database) -> None:
    for _ in range(8):
        (mail_id,) = await promise(database)
        claimed, dropped = await asyncio.gather(claim(database), drop(database, mail_id))
        assert [row.id for row in claimed] == ([] if dropped else [mail_id])
        await end_later(database, claimed)


async def end_later(db: Database, rows: list[OutboxRow]) -> None:
    for row in rows:
        await finish_mail(db, OWNER, row.id, Delivery(DeliveryState.SENT, None, 1, NOW))


async def test_of_two_who_retry_at_once_one_did_it(database: Database) -> None:
    (mail_id,) = await promise(database)
    await end_as(database, DeliveryState.BOUNCED)
    assert sorted(await asyncio.gather(*(retry(database, mail_id) for _ in range(4)))) == [False, False, False, True]


async def test_each_state_has_its_list_newest_first_in_pages(database: Database) -> None:
    sent = await promise(database, 3)
    await end_as(database, DeliveryState.SENT)
    bounced = await promise(database, 3)
    await end_as(database, DeliveryState.BOUNCED)
    queued = await promise(database, 2)
    for state, ids in (
        (DeliveryState.SENT, sent),
        (DeliveryState.BOUNCED, bounced),
        (DeliveryState.QUEUED, queued),
        (None, [*sent, *bounced, *queued]),
    ):
        found: list[UUID] = []
        cursor = None
        for _ in range(10):
            page = await list_mails(database, state, cursor=cursor, limit=2, now=NOW)
            found += [mail.id for mail in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert found == ids[::-1], state


async def test_mails_about_one_subject_are_found(database: Database) -> None:
    subject = uuid4()
    mine = await promise(database, 2, subject_id=subject)
    await promise(database)
    page = await list_mails_about(database, subject, now=NOW)
    assert [mail.id for mail in page.items] == mine[::-1]
    assert page.items[0].about is None


async def test_what_somebody_may_have_to_look_at_is_counted(database: Database) -> None:
    await promise(database, 2)
    await end_as(database, DeliveryState.FAILED)
    await promise(database, 1)
    assert await count_mails(database) == {
        DeliveryState.QUEUED: 1,
        DeliveryState.FAILED: 2,
        DeliveryState.BOUNCED: 0,
        DeliveryState.DEFERRED: 0,
    }
