"""Leases of mails: one worker at a time, and takeover from dead workers."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from tests.support.clock import Clock
from tests.support.smtp_server import ScriptedServer
from tests.support.worker_env import WorkerEnv

from latchstring.domain.clock import system_clock
from latchstring.domain.errors import StorageUnreachable
from latchstring.domain.ids import new_id
from latchstring.domain.mail import DeliveryState, MailPriority
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import outbox
from latchstring.storage.outbox.outbox import claim_mails, release_mails, renew_leases
from latchstring.worker.mail import LEASE

SHORT = timedelta(milliseconds=150)


def test_a_lease_is_short_enough_for_a_takeover_within_20_seconds() -> None:
    assert timedelta(seconds=8) <= LEASE <= timedelta(seconds=15)


async def test_a_mail_of_a_dead_worker_is_taken_over(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    await worker_env.queue_mail("ada@people.test")
    clock = Clock(system_clock())
    assert await claim_mails(worker_env.db, new_id(clock()), limit=5, now=clock(), until=clock() + LEASE)
    clock.forward(LEASE / 2)
    async with worker_env.running_worker(clock=clock):
        await worker_env.queue_mail("ben@people.test")
        await smtp_server.wait_for(1)
        assert smtp_server.recipients() == ["ben@people.test"]
        clock.forward(LEASE / 2)
        worker_env.wake_event.notify()
        await smtp_server.wait_for(2)


async def test_a_mail_in_flight_for_longer_than_a_lease_stays_with_its_worker(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    smtp_server.held_recipients.add("slow@people.test")
    subject = await worker_env.queue_mail("slow@people.test")
    clock = Clock(system_clock())
    async with worker_env.running_worker(clock=clock, lease=SHORT), worker_env.running_worker(clock=clock, lease=SHORT):
        await asyncio.wait_for(smtp_server.on_data_sent.wait(), 60)
        for _ in range(6):
            clock.forward(SHORT / 2)
            await wait_for_renewal(worker_env.db, until=clock() + SHORT)
        assert smtp_server.sessions == 1
        smtp_server.held_recipients.clear()
        smtp_server.released.set()
        await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    assert len(smtp_server.received) == 1


async def wait_for_renewal(db: Database, *, until: datetime) -> None:
    """Wait until the lease of the only mail is renewed."""
    async with asyncio.timeout(60):
        while (await db.fetch(select(outbox.c.due_at)))[0].due_at < until - timedelta(milliseconds=1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_stopping_releases_mails_that_take_too_long(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.decide = lambda command, _argument: "hang" if command == "rcpt" else None
    await worker_env.queue_mail("ada@people.test")
    async with worker_env.running_worker(drain=0.2):
        await asyncio.wait_for(smtp_server.hung.wait(), 60)
    now = system_clock()
    (row,) = await claim_mails(worker_env.db, new_id(now), limit=5, now=now, until=now + LEASE)
    assert row.attempts == 0


async def test_stopping_lets_a_mail_in_flight_finish(worker_env: WorkerEnv, smtp_server: ScriptedServer) -> None:
    smtp_server.held_recipients.add("slow@people.test")
    subject = await worker_env.queue_mail("slow@people.test")
    async with worker_env.running_worker(drain=5):
        await asyncio.wait_for(smtp_server.on_data_sent.wait(), 60)
        asyncio.get_running_loop().call_later(0.2, smtp_server.held_recipients.clear)
        asyncio.get_running_loop().call_later(0.21, smtp_server.released.set)
    assert (await worker_env.get_delivery(subject)).state is DeliveryState.SENT


async def test_a_worker_that_lost_the_lease_changes_nothing(worker_env: WorkerEnv) -> None:
    await worker_env.queue_mail("ada@people.test")
    now = system_clock()
    old, new = new_id(now), new_id(now)
    (row,) = await claim_mails(worker_env.db, old, limit=1, now=now, until=now)
    await claim_mails(worker_env.db, new, limit=1, now=now, until=now + LEASE)
    assert await renew_leases(worker_env.db, old, [row.id], until=now + 9 * LEASE) == set()
    await release_mails(worker_env.db, old, [row.id], again_at=now)
    assert await claim_mails(worker_env.db, old, limit=1, now=now, until=now + LEASE) == []
    assert await renew_leases(worker_env.db, new, [row.id], until=now + LEASE) == {row.id}


async def test_claims_go_by_class_then_by_age_and_keep_a_reserve(worker_env: WorkerEnv) -> None:
    await worker_env.queue_mails([f"b{n}@people.test" for n in range(5)], priority=MailPriority.BULK)
    await worker_env.queue_mails([f"n{n}@people.test" for n in range(5)], priority=MailPriority.NORMAL)
    urgent = await worker_env.queue_mail("u@people.test", priority=MailPriority.URGENT)
    now, owner = system_clock(), new_id(system_clock())
    first = await claim_mails(worker_env.db, owner, limit=4, reserve=2, now=now, until=now + LEASE)
    assert [row.subject_id for row in first][:1] == [urgent]
    assert len(first) == 2
    assert worker_env.addresses[first[1].subject_id].startswith("n")


async def test_concurrent_claims_get_different_mails(worker_env: WorkerEnv) -> None:
    await worker_env.queue_mails([f"p{n}@people.test" for n in range(60)], notify=False)
    now = system_clock()

    async def claim_all() -> list[Any]:
        owner, rows = new_id(now), []
        for _ in range(100):
            try:
                rows += await claim_mails(worker_env.db, owner, limit=7, now=now, until=now + LEASE)
            except Exception:  # noqa: BLE001  # at SERIALIZABLE some claims fail, and the worker retries
                await asyncio.sleep(0.01)
            if sum(len(part) for part in claims) + len(rows) >= 60:
                break
        claims.append(rows)
        return rows

    claims: list[list[Any]] = []
    await asyncio.gather(*(claim_all() for _ in range(4)))
    ids = [row.id for part in claims for row in part]
    assert len(ids) == len(set(ids)) == 60


class FlakyDatabase:
    """A database with outages."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.is_away = False
        self.refused = asyncio.Event()
        self.dialect_name = db.dialect_name

    def __getattr__(self, name: str) -> Any:
        if self.is_away and name in {"fetch", "write", "transact"}:
            self.refused.set()
            raise StorageUnreachable("The database does not answer.")
        return getattr(self._db, name)


async def test_an_outage_of_the_database_while_sending_causes_no_second_mail(
    worker_env: WorkerEnv, smtp_server: ScriptedServer
) -> None:
    db = FlakyDatabase(worker_env.db)
    smtp_server.held_recipients.add("slow@people.test")
    subject = await worker_env.queue_mail("slow@people.test")
    async with worker_env.running_worker(db=db):
        await asyncio.wait_for(smtp_server.on_data_sent.wait(), 60)
        db.is_away = True
        smtp_server.held_recipients.clear()
        smtp_server.released.set()
        await smtp_server.wait_for(1)
        db.refused.clear()
        await asyncio.wait_for(db.refused.wait(), 60)
        db.is_away = False
        await worker_env.wait_for_delivery(subject, lambda d: d.state is DeliveryState.SENT)
    assert len(smtp_server.received) == 1
