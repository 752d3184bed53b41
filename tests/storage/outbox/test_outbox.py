"""Storing and deleting mails and their delivery results."""

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.engine import URL
from tests.support.deliveries import find_deliveries

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.mail import (
    Delivery,
    DeliveryState,
    MailKind,
    MailPriority,
    OutgoingMail,
    SuppressionReason,
)
from latchstring.storage.engine.database import Compiled, Database, Work
from latchstring.storage.engine.postgres import connect_arguments
from latchstring.storage.outbox import outbox as outbox_module
from latchstring.storage.outbox.outbox import (
    claim_mails,
    delete_mails,
    erase_replies,
    finish_mail,
    purge_notices,
    queue_mail,
)

LEASE = timedelta(seconds=12)


async def queue_mails(db: Database, *mails: OutgoingMail) -> None:
    def work() -> Work[None]:
        for mail in mails:
            yield queue_mail(mail)

    await db.transact(work)


def new_mail(
    subject_id: UUID, kind: MailKind = MailKind.INVITATION, *, age: timedelta = timedelta(0), generation: int = 1
) -> OutgoingMail:
    created_at = system_clock() - age
    return OutgoingMail(new_id(created_at), kind, subject_id, generation, created_at, MailPriority.NORMAL)


async def finish_all(db: Database, outcome: Delivery) -> int:
    now = system_clock()
    owner = new_id(now)
    rows = await claim_mails(db, owner, limit=50, now=now, until=now + LEASE)
    for row in rows:
        assert await finish_mail(db, owner, row.id, outcome)
    return len(rows)


async def test_the_newest_mail_with_a_link_is_the_delivery(database: Database) -> None:
    subject, other, unknown = uuid4(), uuid4(), uuid4()
    await queue_mails(database, new_mail(subject, age=timedelta(minutes=2)), new_mail(other))
    await finish_all(database, Delivery(DeliveryState.BOUNCED, None, 1, system_clock(), "550 5.1.1 no such user"))
    await queue_mails(database, new_mail(subject, generation=2), new_mail(subject, MailKind.LINK_REQUESTED))
    deliveries = await find_deliveries(database, [subject, other, unknown])
    assert deliveries[subject] == Delivery(DeliveryState.QUEUED)
    assert deliveries[other].last_reply == "550 5.1.1 no such user"
    assert unknown not in deliveries


async def test_a_suppressed_mail_is_never_claimed(database: Database) -> None:
    subject = uuid4()
    mail = OutgoingMail(
        new_id(system_clock()),
        MailKind.INVITATION,
        subject,
        1,
        None,
        state=DeliveryState.SUPPRESSED,
        reason=SuppressionReason.MAIL_OFF,
    )
    await queue_mails(database, mail)
    assert await finish_all(database, Delivery(DeliveryState.SENT)) == 0
    delivery = (await find_deliveries(database, [subject]))[subject]
    assert (delivery.state, delivery.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)


async def test_attempts_are_counted_and_the_last_reply_is_stored(database: Database) -> None:
    subject = uuid4()
    await queue_mails(database, new_mail(subject))
    now = system_clock()
    for reply in ("451 later", None, "250 ok"):
        owner = new_id(now)
        (row,) = await claim_mails(database, owner, limit=1, now=now, until=now + LEASE)
        state = DeliveryState.SENT if reply == "250 ok" else DeliveryState.DEFERRED
        again_at = None if state is DeliveryState.SENT else now
        assert await finish_mail(database, owner, row.id, Delivery(state, None, 1, now, reply), again_at=again_at)
    delivery = (await find_deliveries(database, [subject]))[subject]
    assert delivery == Delivery(DeliveryState.SENT, None, 3, now, "250 ok")


async def test_a_result_without_an_attempt_keeps_the_time_of_the_last_attempt(database: Database) -> None:
    subject = uuid4()
    await queue_mails(database, new_mail(subject))
    now, owner = system_clock(), uuid4()
    (row,) = await claim_mails(database, owner, limit=1, now=now, until=now + LEASE)
    await finish_mail(database, owner, row.id, Delivery(DeliveryState.DEFERRED, None, 1, now, "451 x"), again_at=now)
    await finish_all(database, Delivery(DeliveryState.SUPPRESSED, SuppressionReason.ENDED))
    delivery = (await find_deliveries(database, [subject]))[subject]
    assert (delivery.attempts, delivery.last_attempt_at) == (1, now)


async def test_replies_about_a_person_can_be_erased(database: Database) -> None:
    subject, other = uuid4(), uuid4()
    await queue_mails(database, new_mail(subject), new_mail(other))
    await finish_all(
        database, Delivery(DeliveryState.BOUNCED, None, 1, system_clock(), "550 <ada@people.test> unknown")
    )

    def work() -> Work[None]:
        yield from erase_replies([subject])

    await database.transact(work)
    deliveries = await find_deliveries(database, [subject, other])
    assert deliveries[subject].last_reply is None
    assert deliveries[other].last_reply is not None


async def test_mails_are_deleted_with_their_subject(database: Database) -> None:
    subject = uuid4()
    await queue_mails(database, new_mail(subject), new_mail(subject, MailKind.INVITATION_DECLINED))

    def work() -> Work[None]:
        yield from delete_mails([subject])

    await database.transact(work)
    assert await find_deliveries(database, [subject]) == {}
    assert await finish_all(database, Delivery(DeliveryState.SENT)) == 0


async def test_old_notices_are_purged_but_invitations_are_not(database: Database) -> None:
    old, young = timedelta(days=30), timedelta(days=1)
    invitation_id, user_id = uuid4(), uuid4()
    await queue_mails(database, new_mail(invitation_id, age=old), new_mail(user_id, MailKind.PASSWORD_RESET, age=old))
    await finish_all(database, Delivery(DeliveryState.SENT, None, 1, system_clock(), "250 ok"))
    waiting = new_mail(user_id, MailKind.PASSWORD_RESET, age=old)
    await queue_mails(database, waiting, new_mail(user_id, MailKind.PASSWORD_RESET, age=young))
    assert await purge_notices(database, after=UUID(int=0), before=system_clock() - timedelta(days=7)) is None
    assert invitation_id in await find_deliveries(database, [invitation_id])
    assert await finish_all(database, Delivery(DeliveryState.SENT)) == 2


async def test_a_mail_of_an_unknown_kind_does_not_block_others(database: Database) -> None:
    subject = uuid4()
    unknown_mail = outbox_module.outbox_values(new_mail(uuid4())) | {"kind": "from-the-future"}
    await database.write(outbox_module.OUTBOX_INSERT, **unknown_mail)
    await queue_mails(database, new_mail(subject))
    assert await finish_all(database, Delivery(DeliveryState.SENT)) == 1
    assert (await find_deliveries(database, [subject]))[subject].state is DeliveryState.SENT


async def test_claiming_never_reads_finished_mails(new_postgres_url: URL) -> None:
    connection = await asyncpg.connect(
        **connect_arguments(new_postgres_url), server_settings={"plan_cache_mode": "force_generic_plan", "jit": "off"}
    )
    try:
        await connection.execute(
            "INSERT INTO outbox (id, kind, subject_id, generation, priority, state, due_at, attempts) "
            "SELECT gen_random_uuid(), 'invitation', gen_random_uuid(), 1, 5, 'SENT', "
            "CASE WHEN g % 3 = 0 THEN now() END, 1 FROM generate_series(1, 20000) g"
        )
        await connection.execute("ANALYZE outbox")
        now = system_clock()
        claim = {"owner": uuid4(), "limit": 10, "now": now, "until": now + LEASE}
        for statement, values in (
            (outbox_module._CLASSES_WITH_WORK, {"now": now}),
            (outbox_module._CLAIM["postgresql"][MailPriority.NORMAL], claim),
        ):
            compiled = Compiled(statement, asyncpg_dialect())  # type: ignore[no-untyped-call]
            prepared = await connection.prepare(compiled.text)
            plan = await prepared.explain(*compiled.arguments(values))
            assert "Seq Scan" not in str(plan)
            assert "ix_outbox_due" in str(plan)
    finally:
        await connection.close()
