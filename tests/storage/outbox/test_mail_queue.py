"""Lists of the outbox, and actions on it that compete with workers."""

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


async def queue_mails(db: Database, count: int = 1, *, subject_id: UUID | None = None) -> list[UUID]:
    mails = [OutgoingMail(new_id(NOW), MailKind.INVITATION, subject_id or uuid4(), 1, NOW) for _ in range(count)]

    def work() -> Work[None]:
        for mail in mails:
            yield queue_mail(mail)

    await db.transact(work)
    return [mail.id for mail in mails]


async def claim(db: Database, *, now: datetime = NOW) -> list[OutboxRow]:
    return await claim_mails(db, OWNER, limit=10, now=now, until=now + MINUTE)


OWNER = uuid4()


async def finish_all(
    db: Database, state: DeliveryState, *, again_at: datetime | None = None, reply: str = "451 4.3.0 later"
) -> None:
    for row in await claim(db):
        await finish_mail(db, OWNER, row.id, Delivery(state, None, 1, NOW, reply), again_at=again_at)


async def retry(db: Database, mail_id: UUID, *, now: datetime = NOW) -> bool:
    return await db.transact(lambda: retry_mail(mail_id, now=now))


async def drop(db: Database, mail_id: UUID, *, now: datetime = NOW) -> bool:
    return await db.transact(lambda: drop_mail(mail_id, now=now))


@pytest.mark.parametrize("state", [DeliveryState.BOUNCED, DeliveryState.FAILED, DeliveryState.DEFERRED])
async def test_a_failed_mail_can_be_retried(database: Database, state: DeliveryState) -> None:
    (mail_id,) = await queue_mails(database)
    await finish_all(database, state, again_at=NOW + MINUTE if state is DeliveryState.DEFERRED else None)
    assert await claim(database) == []
    assert await retry(database, mail_id)
    mail = await find_mail(database, mail_id, now=NOW)
    assert mail is not None
    assert (mail.state, mail.attempts, mail.last_reply) == (DeliveryState.QUEUED, 1, "451 4.3.0 later")
    assert [row.id for row in await claim(database)] == [mail_id]


@pytest.mark.parametrize("state", [DeliveryState.SENT, DeliveryState.SUPPRESSED])
async def test_sent_and_suppressed_mails_cannot_be_retried(database: Database, state: DeliveryState) -> None:
    (mail_id,) = await queue_mails(database)
    await finish_all(database, state)
    assert not await retry(database, mail_id)
    assert not await drop(database, mail_id)


async def test_a_queued_mail_can_be_dropped_and_is_never_claimed(database: Database) -> None:
    (mail_id,) = await queue_mails(database)
    assert await drop(database, mail_id)
    assert await claim(database) == []
    mail = await find_mail(database, mail_id, now=NOW)
    assert mail is not None
    assert (mail.state, mail.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.ENDED)
    assert not await drop(database, mail_id)


async def test_a_leased_mail_cannot_be_dropped_until_its_lease_ends(database: Database) -> None:
    (mail_id,) = await queue_mails(database)
    await claim(database)
    mail = await find_mail(database, mail_id, now=NOW)
    assert mail is not None
    assert (mail.is_leased, mail.can_be_dropped, mail.can_be_retried) == (True, False, False)
    assert not await drop(database, mail_id)
    assert await drop(database, mail_id, now=NOW + 2 * MINUTE)
    assert not await finish_mail(database, OWNER, mail_id, Delivery(DeliveryState.SENT, None, 1, NOW))


async def test_of_a_concurrent_claim_and_drop_one_wins(database: Database) -> None:
    for _ in range(8):
        (mail_id,) = await queue_mails(database)
        claimed, dropped = await asyncio.gather(claim(database), drop(database, mail_id))
        assert [row.id for row in claimed] == ([] if dropped else [mail_id])
        await finish_sent(database, claimed)


async def finish_sent(db: Database, rows: list[OutboxRow]) -> None:
    for row in rows:
        await finish_mail(db, OWNER, row.id, Delivery(DeliveryState.SENT, None, 1, NOW))


async def test_of_concurrent_retries_one_succeeds(database: Database) -> None:
    (mail_id,) = await queue_mails(database)
    await finish_all(database, DeliveryState.BOUNCED)
    assert sorted(await asyncio.gather(*(retry(database, mail_id) for _ in range(4)))) == [False, False, False, True]


async def test_each_state_has_its_list_newest_first_in_pages(database: Database) -> None:
    sent = await queue_mails(database, 3)
    await finish_all(database, DeliveryState.SENT)
    bounced = await queue_mails(database, 3)
    await finish_all(database, DeliveryState.BOUNCED)
    queued = await queue_mails(database, 2)
    for state, ids in (
        (DeliveryState.SENT, sent),
        (DeliveryState.BOUNCED, bounced),
        (DeliveryState.QUEUED, queued),
        (None, [*sent, *bounced, *queued]),
    ):
        listed: list[UUID] = []
        cursor = None
        for _ in range(10):
            page = await list_mails(database, state, cursor=cursor, limit=2, now=NOW)
            listed += [mail.id for mail in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert listed == ids[::-1], state


async def test_mails_about_one_subject_are_found(database: Database) -> None:
    subject = uuid4()
    mail_ids = await queue_mails(database, 2, subject_id=subject)
    await queue_mails(database)
    page = await list_mails_about(database, subject, now=NOW)
    assert [mail.id for mail in page.items] == mail_ids[::-1]
    assert page.items[0].about is None


async def test_mails_that_need_attention_are_counted(database: Database) -> None:
    await queue_mails(database, 2)
    await finish_all(database, DeliveryState.FAILED)
    await queue_mails(database, 1)
    assert await count_mails(database) == {
        DeliveryState.QUEUED: 1,
        DeliveryState.FAILED: 2,
        DeliveryState.BOUNCED: 0,
        DeliveryState.DEFERRED: 0,
    }
