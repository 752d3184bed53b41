"""Delivery attempts are stored with the result of a mail, and deleted with the mail."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from tests.storage.outbox.test_outbox import LEASE, new_mail, queue_mails

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import id_instant, new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, SuppressionReason
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import delivery_attempts, outbox
from latchstring.storage.outbox.outbox import claim_mails, delete_mails, erase_replies, finish_mail, purge_notices

ATTEMPTS = select(delivery_attempts).order_by(delivery_attempts.c.id)
MAILS = select(outbox.c.id)


async def read_attempts(db: Database, subject_id: UUID) -> list[tuple[str, str | None]]:
    return [(row.state, row.reply) for row in await db.fetch(ATTEMPTS) if row.subject_id == subject_id]


async def attempt_all(db: Database, state: DeliveryState, reply: str | None) -> None:
    now, owner = system_clock(), uuid4()
    again_at = now if state is DeliveryState.DEFERRED else None
    for row in await claim_mails(db, owner, limit=50, now=now, until=now + LEASE):
        assert await finish_mail(db, owner, row.id, Delivery(state, None, 1, now, reply), again_at=again_at)


async def test_each_attempt_is_stored_with_the_reply(database: Database) -> None:
    subject = uuid4()
    await queue_mails(database, new_mail(subject))
    await attempt_all(database, DeliveryState.DEFERRED, "451 4.7.1 greylisted")
    await attempt_all(database, DeliveryState.SENT, "250 2.0.0 queued as 4XR")
    assert await read_attempts(database, subject) == [
        ("DEFERRED", "451 4.7.1 greylisted"),
        ("SENT", "250 2.0.0 queued as 4XR"),
    ]


async def test_an_attempt_has_the_id_of_its_mail_and_its_instant(database: Database) -> None:
    mail, now, owner = new_mail(uuid4()), system_clock() - timedelta(seconds=3), uuid4()
    await queue_mails(database, mail)
    await claim_mails(database, owner, limit=1, now=system_clock(), until=system_clock() + LEASE)
    await finish_mail(database, owner, mail.id, Delivery(DeliveryState.SENT, None, 1, now, "250 ok"))
    (row,) = await database.fetch(ATTEMPTS)
    assert (row.mail_id, row.subject_id, id_instant(row.id)) == (mail.id, mail.subject_id, now)


async def test_a_worker_that_lost_the_lease_stores_no_attempt(database: Database) -> None:
    mail, now = new_mail(uuid4()), system_clock()
    await queue_mails(database, mail)
    first, second = new_id(now), new_id(now)
    await claim_mails(database, first, limit=1, now=now, until=now)
    await claim_mails(database, second, limit=1, now=now, until=now + LEASE)
    sent = Delivery(DeliveryState.SENT, None, 1, now, "250 ok")
    done = await asyncio.gather(*(finish_mail(database, owner, mail.id, sent) for owner in (first, second, second)))
    assert sorted(done) == [False, False, True]
    assert len(await database.fetch(ATTEMPTS)) == 1


async def test_a_result_without_an_attempt_stores_no_attempt(database: Database) -> None:
    mail, now, owner = new_mail(uuid4()), system_clock(), uuid4()
    await queue_mails(database, mail)
    await claim_mails(database, owner, limit=1, now=now, until=now + LEASE)
    assert await finish_mail(database, owner, mail.id, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
    assert await database.fetch(ATTEMPTS) == []


async def test_erasing_a_person_removes_replies_and_keeps_attempts(database: Database) -> None:
    subject, other = uuid4(), uuid4()
    await queue_mails(database, new_mail(subject), new_mail(other))
    await attempt_all(database, DeliveryState.BOUNCED, "550 <ada@people.test> unknown")
    await database.transact(lambda: erase_replies([subject]))
    assert await read_attempts(database, subject) == [("BOUNCED", None)]
    assert await read_attempts(database, other) == [("BOUNCED", "550 <ada@people.test> unknown")]


async def test_attempts_are_deleted_with_their_subject(database: Database) -> None:
    subject, other = uuid4(), uuid4()
    await queue_mails(database, new_mail(subject), new_mail(other))
    await attempt_all(database, DeliveryState.SENT, "250 ok")
    await database.transact(lambda: delete_mails([subject]))
    assert await read_attempts(database, subject) == []
    assert len(await read_attempts(database, other)) == 1


async def test_attempts_are_deleted_with_old_notices(database: Database) -> None:
    old, subject = timedelta(days=30), uuid4()
    await queue_mails(
        database,
        new_mail(subject, MailKind.INVITATION, age=old),
        new_mail(subject, MailKind.PASSWORD_RESET, age=old),
    )
    await attempt_all(database, DeliveryState.SENT, "250 ok")
    await purge_notices(database, after=UUID(int=0), before=system_clock() - timedelta(days=7))
    (mail,) = await database.fetch(MAILS)
    assert [row.mail_id for row in await database.fetch(ATTEMPTS)] == [mail.id]
