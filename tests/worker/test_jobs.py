"""Who works on a job, for how long, and what happens to it when he goes away."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import StorageBusy
from latchstring.domain.ids import new_id
from latchstring.domain.job import Job, JobState
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.jobs.jobs import (
    JobLost,
    advance_job,
    claim_job,
    find_job,
    finish_job,
    hold_job,
    insert_job,
    queue_job,
    release_job,
)
from latchstring.worker.jobs import LEASE, MOST_FAILURES, JobDependencies, JobWorker
from latchstring.worker.wake_event import WakeEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Rows:
    """A batch of ten."""

    following: int


class Counting:
    """A kind of job that only counts, and does as it is told before each batch."""

    prepares_ahead = True

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock
        self.before_batch: Callable[[Job], Awaitable[None]] | None = None
        self.failed: list[str] = []

    async def prepare(self, job: Job, first: int) -> Rows:  # noqa: ARG002  # the protocol's
        return Rows(first + 10)

    async def settle(self, job: Job, owner: UUID, until: datetime, batch: Rows) -> Job:  # noqa: ARG002  # the protocol's
        if self.before_batch is not None:
            await self.before_batch(job)

        def work() -> Work[Job]:
            yield from hold_job(job, owner, until=until)
            after = yield from advance_job(job, owner, created=10)
            if after.done == after.total:
                after = yield from finish_job(after, owner, JobState.DONE, now=self.clock())
            return after

        return await self.db.transact(work)

    async def fail(self, job: Job, owner: UUID, cause: str) -> Job:
        self.failed.append(cause)
        return await self.db.transact(lambda: finish_job(job, owner, JobState.FAILED, cause=cause, now=self.clock()))


@dataclass(frozen=True)
class JobEnv:
    db: Database
    clock: Clock
    kind: Counting

    def worker(self, wake: WakeEvent) -> JobWorker:
        return JobWorker(JobDependencies(db=self.db, clock=self.clock, kinds={"count": self.kind}, bell=wake.jobs))

    async def job(self, total: int = 30) -> UUID:
        maker = Actor(ActorType.OPERATOR)
        job = Job(id=new_id(NOON), kind="count", creator=maker, media_type="application/json", total=total)

        def work() -> Work[None]:
            yield insert_job(job)
            yield from queue_job(job.id, now=self.clock())

        await self.db.transact(work)
        return job.id

    async def get(self, job_id: UUID) -> Job:
        found = await find_job(self.db, job_id)
        assert found is not None
        return found

    async def run_until(self, is_so: Callable[[], Awaitable[bool]], *, workers: int = 1) -> None:
        """Let workers run until something holds."""
        stop, wakes = asyncio.Event(), [WakeEvent() for _ in range(workers)]
        running = [asyncio.create_task(self.worker(wake).run(stop)) for wake in wakes]
        async with asyncio.timeout(60):
            while not await is_so():  # noqa: ASYNC110  # what the database says rings no bell
                await asyncio.sleep(0)
        stop.set()
        for wake in wakes:
            wake.set_here()
        await asyncio.gather(*running)

    async def run_until_over(self, *job_ids: UUID, workers: int = 1) -> None:
        async def over() -> bool:
            return all([(await self.get(one)).state.is_finished for one in job_ids])

        await self.run_until(over, workers=workers)


@pytest.fixture
def job_env(database: Database) -> JobEnv:
    clock = Clock()
    return JobEnv(database, clock, Counting(database, clock))


async def test_a_job_is_worked_on_to_its_end(job_env: JobEnv) -> None:
    job_id = await job_env.job()
    await job_env.run_until_over(job_id)
    job = await job_env.get(job_id)
    assert (job.state, job.done, job.created, job.finished_at) == (JobState.DONE, 30, 30, NOON)


async def test_many_workers_share_jobs_and_count_each_row_once(job_env: JobEnv) -> None:
    jobs = [await job_env.job(50) for _ in range(5)]
    await job_env.run_until_over(*jobs, workers=3)
    assert [(await job_env.get(one)).created for one in jobs] == [50] * 5


async def test_a_job_of_who_died_is_taken_over_when_the_lease_is_over(job_env: JobEnv) -> None:
    job_id = await job_env.job()
    dead, other = new_id(NOON), new_id(NOON)
    assert await claim_job(job_env.db, dead, now=NOON, until=NOON + LEASE) is not None
    assert await claim_job(job_env.db, other, now=NOON, until=NOON + LEASE) is None
    assert timedelta(seconds=20) > LEASE
    job_env.clock.now = NOON + LEASE
    await job_env.run_until_over(job_id)
    assert (await job_env.get(job_id)).created == 30


async def test_a_long_job_makes_room_for_one_that_waits(job_env: JobEnv) -> None:
    long_id, order = await job_env.job(1000), list[UUID]()

    async def tick(job: Job) -> None:
        order.append(job.id)
        job_env.clock.now += timedelta(seconds=1)

    job_env.kind.before_batch = tick
    short_id = await job_env.job(10)
    await job_env.run_until_over(short_id, long_id)
    assert order.index(short_id) < 5


async def test_at_the_stop_a_job_is_given_back_at_once(job_env: JobEnv) -> None:
    job_id = await job_env.job(1000)

    async def began() -> bool:
        return (await job_env.get(job_id)).done > 0

    await job_env.run_until(began)
    left = await job_env.get(job_id)
    assert left.state is JobState.RUNNING
    assert await claim_job(job_env.db, new_id(NOON), now=NOON, until=NOON + LEASE) is not None


async def test_a_batch_that_fails_by_a_bug_ends_the_job_and_not_the_worker(
    job_env: JobEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latchstring.worker.jobs.PAUSE_SECONDS", 0.0)
    bad, good = await job_env.job(), await job_env.job()
    tries: list[UUID] = []

    async def trip(job: Job) -> None:
        if job.id == bad:
            tries.append(job.id)
            raise ZeroDivisionError

    job_env.kind.before_batch = trip
    await job_env.run_until_over(bad, good)
    assert len(tries) == MOST_FAILURES
    assert job_env.kind.failed == ["internal-error"]
    assert ((await job_env.get(bad)).state, (await job_env.get(good)).state) == (JobState.FAILED, JobState.DONE)


async def test_a_busy_database_puts_a_job_off(job_env: JobEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latchstring.worker.jobs.PAUSE_SECONDS", 0.0)
    job_id, refusals = await job_env.job(), [StorageBusy(), StorageBusy()]

    async def refuse(job: Job) -> None:
        if refusals:
            raise refusals.pop()

    job_env.kind.before_batch = refuse
    await job_env.run_until_over(job_id)
    assert (await job_env.get(job_id)).state is JobState.DONE


async def test_a_kind_nobody_here_knows_is_left_to_a_newer_worker(job_env: JobEnv) -> None:
    maker = Actor(ActorType.OPERATOR)
    job = Job(id=new_id(NOON), kind="unheard", creator=maker, media_type="application/json", total=1)

    def work() -> Work[None]:
        yield insert_job(job)
        yield from queue_job(job.id, now=NOON)

    await job_env.db.transact(work)

    async def given_back() -> bool:
        return (await job_env.get(job.id)).state is JobState.RUNNING

    await job_env.run_until(given_back)
    assert not (await job_env.get(job.id)).state.is_finished
    job_env.clock.now += timedelta(minutes=1)
    assert await claim_job(job_env.db, new_id(NOON), now=job_env.clock(), until=job_env.clock() + LEASE) is not None


async def test_only_who_holds_a_job_writes(job_env: JobEnv) -> None:
    job_id = await job_env.job()
    mine, other = new_id(NOON), new_id(NOON)
    held = await claim_job(job_env.db, mine, now=NOON, until=NOON + LEASE)
    assert held is not None
    for owner, job in ((other, held), (mine, replace(held, done=10))):
        with pytest.raises(JobLost):
            await job_env.kind.settle(job, owner, NOON + LEASE, Rows(11))
    await release_job(job_env.db, other, job_id, again_at=NOON)
    assert (await job_env.kind.settle(held, mine, NOON + LEASE, Rows(11))).done == 10
