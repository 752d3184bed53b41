"""What the worker leaves for the timeline."""

from sqlalchemy import select
from tests.support.scripted_smtp import ScriptedServer
from tests.support.worker_env import Office

from latchstring.domain.mail import DeliveryState
from latchstring.storage.engine.tables import delivery_attempts

ATTEMPTS = select(delivery_attempts).order_by(delivery_attempts.c.id)


async def test_every_try_is_written_down(office: Office, server: ScriptedServer) -> None:
    server.replies["rcpt"] = ["451 4.7.1 greylisted", "451 4.7.1 greylisted"]
    subject = await office.promise("ada@people.test")
    async with office.working():
        await office.delivered(subject, lambda d: d.state is DeliveryState.SENT)
    tries = await office.db.fetch(ATTEMPTS)
    assert [row.state for row in tries] == ["DEFERRED", "DEFERRED", "SENT"]
    assert [row.reply for row in tries[:2]] == ["451 4.7.1 greylisted"] * 2
    assert {row.subject_id for row in tries} == {subject}


async def test_what_ended_before_it_was_tried_leaves_no_try(office: Office, server: ScriptedServer) -> None:
    subject = await office.promise("ada@people.test")
    office.ended.add(subject)
    async with office.working():
        await office.delivered(subject, lambda d: d.state is DeliveryState.SUPPRESSED)
    assert await office.db.fetch(ATTEMPTS) == []
