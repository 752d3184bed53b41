"""The delivery attempts that the worker stores."""

from sqlalchemy import select
from tests.support.smtp_server import ScriptedServer
from tests.support.worker_env import WorkerEnv

from latchstring.domain.mail import DeliveryState
from latchstring.storage.engine.tables import delivery_attempts

ATTEMPTS = select(delivery_attempts).order_by(delivery_attempts.c.id)


async def test_every_attempt_is_stored(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.replies["rcpt"] = ["451 4.7.1 greylisted", "451 4.7.1 greylisted"]
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    attempts = await worker_env.db.fetch(ATTEMPTS)
    assert [row.state for row in attempts] == ["DEFERRED", "DEFERRED", "SENT"]
    assert [row.reply for row in attempts[:2]] == ["451 4.7.1 greylisted"] * 2
    assert {row.subject_id for row in attempts} == {subject}


async def test_a_mail_that_ended_before_it_was_sent_has_no_attempt(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    subject = await worker_env.queue_mail("ada@people.test")
    worker_env.ended_subjects.add(subject)
    async with worker_env.running_worker():
        await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SUPPRESSED)
    assert await worker_env.db.fetch(ATTEMPTS) == []
