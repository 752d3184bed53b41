"""Delivery of mails over a real socket."""

import asyncio
from dataclasses import replace
from email.message import EmailMessage

import pytest
from tests.support.smtp_server import ACCEPT_AND_DISCONNECT, ScriptedServer
from tests.support.worker_env import WorkerEnv

from latchstring.domain.mail import DeliveryState, MailKind, MailPriority, SuppressionReason


def link_line(message: EmailMessage) -> str:
    text = message.get_body(("plain",))
    assert text is not None
    (line,) = [line for line in text.get_content().splitlines() if "token=" in line]
    assert line.startswith("https://")
    return str(line)


async def test_a_queued_mail_is_sent_and_the_reply_is_stored(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    assert smtp_server.recipients() == ["ada@people.test"]
    assert delivery.last_reply == "250 2.0.0 taken"
    assert delivery.attempts == 1
    assert delivery.last_attempt_at is not None


@pytest.mark.parametrize("command", ["connect", "ehlo", "mail"])
async def test_a_refusal_before_the_recipient_is_retried_even_when_permanent(
    worker_env: WorkerEnv, smtp_server: ScriptedServer, command: str
) -> None:
    smtp_server.replies[command] = (
        ["554 5.7.1 go away", "451 4.3.0 later"] if command != "ehlo" else ["554 5.7.1 go away"] * 2
    )
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    assert delivery.attempts >= 2
    assert len(smtp_server.received) == 1


async def test_a_server_problem_is_visible_while_it_lasts(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.decide = lambda command, _argument: "554 5.7.1 go away" if command == "mail" else None
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.DEFERRED)
    assert delivery.last_reply == "554 5.7.1 go away"


async def test_an_unknown_recipient_bounces_at_once(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.replies["rcpt"] = ["550 5.1.1 no such user"]
    subject = await worker_env.queue_mail("nobody@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is not DeliveryState.QUEUED)
    assert (delivery.state, delivery.attempts, delivery.last_reply) == (
        DeliveryState.BOUNCED,
        1,
        "550 5.1.1 no such user",
    )


@pytest.mark.parametrize("command", ["data", "dot"])
async def test_a_permanent_refusal_of_the_message_fails(
    worker_env: WorkerEnv, smtp_server: ScriptedServer, command: str
) -> None:
    smtp_server.replies[command] = ["554 5.6.0 we do\nnot like it".replace("\n", " ")]
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is not DeliveryState.QUEUED)
    assert (delivery.state, delivery.last_reply) == (DeliveryState.FAILED, "554 5.6.0 we do not like it")


@pytest.mark.parametrize("command", ["rcpt", "data", "dot"])
async def test_a_temporary_refusal_is_deferred_then_sent(
    worker_env: WorkerEnv, smtp_server: ScriptedServer, command: str
) -> None:
    smtp_server.replies[command] = ["451 4.7.1 greylisted", "421 4.3.2 closing"]
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    assert delivery.attempts == 3
    assert len(smtp_server.received) == 1


@pytest.mark.parametrize("command", ["connect", "mail", "rcpt", "data", "dot"])
async def test_a_mail_is_retried_after_a_lost_connection(
    worker_env: WorkerEnv, smtp_server: ScriptedServer, command: str
) -> None:
    smtp_server.replies[command] = ["cut", "cut"]
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    assert len(smtp_server.received) == 1


async def test_a_connection_lost_after_the_dot_repeats_the_same_mail(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    smtp_server.replies["dot"] = [ACCEPT_AND_DISCONNECT]
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    first, second = (mail.message for mail in smtp_server.received)
    assert first["Message-ID"] == second["Message-ID"]
    assert link_line(first) == link_line(second)


async def test_a_mail_that_ended_while_queued_is_not_sent(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    subject = await worker_env.queue_mail("ada@people.test")
    worker_env.ended_subjects.add(subject)
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is not DeliveryState.QUEUED)
    assert (delivery.state, delivery.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.ENDED)
    assert smtp_server.received == []


async def test_a_mail_that_ends_between_two_attempts_is_not_sent(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    subject = await worker_env.queue_mail("ada@people.test")

    def end_and_defer(command: str, _argument: str) -> str | None:
        if command != "rcpt":
            return None
        worker_env.ended_subjects.add(subject)
        return "451 later"

    smtp_server.decide = end_and_defer
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SUPPRESSED)
    assert delivery.attempts == 1
    assert smtp_server.received == []


async def test_slow_replies_after_the_dot_do_not_block_other_mails(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    slow = [f"slow{n}@people.test" for n in range(20)]
    smtp_server.held_recipients.update(slow)
    await worker_env.queue_mails(slow)
    async with worker_env.running_worker(drain=0.1):
        await asyncio.wait_for(smtp_server.on_data_sent.wait(), 60)
        quick = await worker_env.queue_mails([f"quick{n}@people.test" for n in range(5)])
        for subject in quick:
            await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
        smtp_server.held_recipients.clear()
        smtp_server.released.set()
        await smtp_server.wait_for(25)


async def test_urgent_mails_are_sent_before_bulk_mails(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    await worker_env.queue_mails([f"b{n}@people.test" for n in range(60)], priority=MailPriority.BULK)
    await worker_env.queue_mails(["n@people.test"], priority=MailPriority.NORMAL)
    await worker_env.queue_mail("urgent@people.test", kind=MailKind.PASSWORD_RESET, priority=MailPriority.URGENT)
    async with worker_env.running_worker():
        await smtp_server.wait_for(62)
    assert smtp_server.recipients().index("urgent@people.test") < 12
    assert smtp_server.recipients().index("n@people.test") < 12


async def test_connections_are_reused(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    await worker_env.queue_mails([f"p{n}@people.test" for n in range(40)])
    async with worker_env.running_worker():
        await smtp_server.wait_for(40)
    assert smtp_server.sessions < 20  # one each would be forty
    assert len(set(smtp_server.recipients())) == 40


async def test_an_outage_costs_few_attempts_and_not_one_per_mail(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    smtp_server.decide = lambda command, _argument: "421 4.3.2 not now" if command == "connect" else None
    subjects = await worker_env.queue_mails([f"p{n}@people.test" for n in range(30)])
    async with worker_env.running_worker():
        await smtp_server.wait_for_sessions(4)
    attempts = sum([(await worker_env.get_delivery(subject)).attempts for subject in subjects])
    assert 1 <= attempts <= 12
    assert smtp_server.sessions == attempts
    smtp_server.decide = lambda _command, _argument: None
    async with worker_env.running_worker():
        await smtp_server.wait_for(30)


async def test_many_workers_send_each_mail_once(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    await worker_env.queue_mails([f"p{n}@people.test" for n in range(90)])
    async with worker_env.running_worker(), worker_env.running_worker(), worker_env.running_worker():
        await smtp_server.wait_for(90)
        await asyncio.sleep(0.3)
    assert len(smtp_server.received) == 90
    assert len(set(smtp_server.recipients())) == 90


async def test_mails_are_suppressed_when_mail_is_switched_off(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    worker_env.rules = replace(worker_env.rules, transport="off")
    subject = await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker():
        delivery = await worker_env.wait_for_delivery(subject, lambda d: d.state is not DeliveryState.QUEUED)
    assert (delivery.state, delivery.reason) == (DeliveryState.SUPPRESSED, SuppressionReason.MAIL_OFF)
