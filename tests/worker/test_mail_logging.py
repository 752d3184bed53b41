"""Logs of the worker contain no addresses and no links."""

from structlog.testing import capture_logs
from tests.support.smtp_server import ScriptedServer
from tests.support.worker_env import WorkerEnv

from latchstring.domain.mail import DeliveryState
from latchstring.mail.messages import Message
from latchstring.storage.outbox.outbox import OutboxRow


async def test_no_address_and_no_link_is_logged(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.replies["connect"] = ["554 we do not know acme.test"]
    smtp_server.replies["rcpt"] = ["451 <ada@people.test> try later", "550 5.1.1 <ada@people.test> unknown"]
    with capture_logs() as logs:
        subject = await worker_env.queue_mail("ada@people.test")
        async with worker_env.running_worker():
            delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.BOUNCED)
    assert delivery.last_reply == "550 5.1.1 <ada@people.test> unknown"
    assert logs
    assert "ada@people.test" not in str(logs)
    assert "eyJ" not in str(logs)


async def test_the_stored_reply_contains_no_token(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.replies["dot"] = ["554 bad link https://app.test/invitation?token=eyJhbGciOiJI.eyJzdWIiOiIw.sig"]
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.FAILED)
    assert delivery.last_reply == "554 bad link https://app.test/invitation?token=…"


async def test_a_mail_that_cannot_be_rendered_is_deferred_and_blocks_no_other(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    broken = await worker_env.queue_mail("broken@people.test")

    async def load(row: OutboxRow) -> Message | None:
        if row.subject_id == broken:
            raise RuntimeError("a bug of ours")
        return await worker_env.load(row)

    with capture_logs() as logs:
        async with worker_env.running_worker(loaders=dict.fromkeys(worker_env.dependencies().loaders, load)):
            delivery = await worker_env.wait_for_delivery(broken, lambda d: d.state is DeliveryState.DEFERRED)
            await worker_env.queue_mail("ada@people.test")
            await smtp_server.wait_for(1)
    assert delivery.last_reply is None
    assert any(entry["log_level"] == "error" for entry in logs)
