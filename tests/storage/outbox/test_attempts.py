"""Every try at sending is kept with its end, and forgotten with its mail."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from tests.storage.outbox.test_outbox import LEASE, a_mail, promise

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import id_instant, new_id
from latchstring.domain.mail import Delivery, DeliveryState, MailKind, SuppressionReason
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import delivery_attempts, outbox
from latchstring.storage.outbox.outbox import claim_mails, finish_mail, forget_mails, forget_replies, purge_notices

ATTEMPTS = select(delivery_attempts).order_by(delivery_attempts.c.id)
MAILS = select(outbox.c.id)


async def attempts_at(db: Database, subject_id: UUID) -> list[tuple[str, str | None]]:
    return [(row.state, row.reply) for row in await db.fetch(ATTEMPTS) if row.subject_id == subject_id]


async def try_all(db: Database, state: DeliveryState, reply: str | None) -> None:
    now, me = system_clock(), uuid4()
    again_at = now if state is DeliveryState.DEFERRED else None
    for row in await claim_mails(db, me, limit=50, now=now, until=now + LEASE):
        assert await finish_mail(db, me, row.id, Delivery(state, None, 1, now, reply), again_at=again_at)


async def test_each_try_is_kept_with_the_servers_words(database: Database) -> None:
    subject = uuid4()
    await promise(database, a_mail(subject))
    await try_all(database, DeliveryState.DEFERRED, "451 4.7.1 greylisted")
    await try_all(database, DeliveryState.SENT, "250 2.0.0 queued as 4XR")
    assert await attempts_at(database, subject) == [
        ("DEFERRED", "451 4.7.1 greylisted"),
        ("SENT", "250 2.0.0 queued as 4XR"),
    ]


async def test_a_try_belongs_to_its_mail_and_carries_its_instant(database: Database) -> None:
    mail, now, me = a_mail(uuid4()), system_clock() - timedelta(seconds=3), uuid4()
    await promise(database, mail)
    await claim_mails(database, me, limit=1, now=system_clock(), until=system_clock() + LEASE)
    await finish_mail(database, me, mail.id, Delivery(DeliveryState.SENT, None, 1, now, "250 ok"))
    (row,) = await database.fetch(ATTEMPTS)
    assert (row.mail_id, row.subject_id, id_instant(row.id)) == (mail.id, mail.subject_id, now)


async def test_whoever_lost_the_lease_keeps_no_try(database: Database) -> None:
    mail, now = a_mail(uuid4()), system_clock()
    await promise(database, mail)
    first, second = new_id(now), new_id(now)
    await claim_mails(database, first, limit=1, now=now, until=now)
    await claim_mails(database, second, limit=1, now=now, until=now + LEASE)
    sent = Delivery(DeliveryState.SENT, None, 1, now, "250 ok")
    done = await asyncio.gather(*(finish_mail(database, owner, mail.id, sent) for owner in (first, second, second)))
    assert sorted(done) == [False, False, True]
    assert len(await database.fetch(ATTEMPTS)) == 1


async def test_an_end_without_a_try_is_none(database: Database) -> None:
    mail, now, me = a_mail(uuid4()), system_clock(), uuid4()
    await promise(database, mail)
    await claim_mails(database, me, limit=1, now=now, until=now + LEASE)
    assert await finish_mail(database, me, mail.id, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
    assert await database.fetch(ATTEMPTS) == []


async def test_the_words_go_with_the_person_and_the_try_stays(database: Database) -> None:
    subject, other = uuid4(), uuid4()
    await promise(database, a_mail(subject), a_mail(other))
    await try_all(database, DeliveryState.BOUNCED, "550 <ada@people.test> unknown")
    await database.transact(lambda: forget_replies([subject]))
    assert await attempts_at(database, subject) == [("BOUNCED", None)]
    assert await attempts_at(database, other) == [("BOUNCED", "550 <ada@people.test> unknown")]


async def test_tries_go_with_their_subject(database: Database) -> None:
    subject, other = uuid4(), uuid4()
    await promise(database, a_mail(subject), a_mail(other))
    await try_all(database, DeliveryState.SENT, "250 ok")
    await database.transact(lambda: forget_mails([subject]))
    assert await attempts_at(database, subject) == []
    assert len(await attempts_at(database, other)) == 1


async def test_tries_at_old_notices_go_with_them(database: Database) -> None:
    old, subject = timedelta(days=30), uuid4()
    await promise(
        database,
        a_mail(subject, MailKind.INVITATION, age=old),
        a_mail(subject, MailKind.PASSWORD_RESET, age=old),
    )
    await try_all(database, DeliveryState.SENT, "250 ok")
    await purge_notices(database, after=UUID(int=0), before=system_clock() - timedelta(days=7))
    (kept,) = await database.fetch(MAILS)
    assert [row.mail_id for row in await database.fetch(ATTEMPTS)] == [kept.id]
