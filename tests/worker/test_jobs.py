"""The job worker: turns, leases, takeovers and failures."""

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
    insert_job,
    lock_job,
    queue_job,
    release_job,
)
from latchstring.worker.jobs import LEASE, MAX_FAILURES, JobDependencies, JobWorker
from latchstring.worker.wake_event import WakeEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Rows:
    """A batch of ten rows."""

    next_row: int


class CountingWork:
    """A kind of job that only counts rows, with a hook before each batch."""

    prepares_ahead = True

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock
        self.before_batch: Callable[[Job], Awaitable[None]] | None = None
        self.failed: list[str] = []

    async def prepare(self, job: Job, first: int) -> Rows:  # noqa: ARG002  # the protocol's
        return Rows(first + 10)

    async def process(self, job: Job, owner: UUID, until: datetime, batch: Rows) -> Job:  # noqa: ARG002  # the protocol's
        if self.before_batch is not None:
            await self.before_batch(job)

        def work() -> Work[Job]:
            yield from lock_job(job, owner, until=until)
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
    kind: CountingWork

    def worker(self, wake_event: WakeEvent) -> JobWorker:
        return JobWorker(
            JobDependencies(db=self.db, clock=self.clock, kinds={"count": self.kind}, wake_event=wake_event.jobs)
        )

    async def job(self, total: int = 30) -> UUID:
        creator = Actor(ActorType.OPERATOR)
        job = Job(id=new_id(NOON), kind="count", creator=creator, media_type="application/json", total=total)

        def work() -> Work[None]:
            yield insert_job(job)
            yield from queue_job(job.id, now=self.clock())

        await self.db.transact(work)
        return job.id

    async def get(self, job_id: UUID) -> Job:
        job = await find_job(self.db, job_id)
        assert job is not None
        return job

    async def run_until(self, is_done: Callable[[], Awaitable[bool]], *, workers: int = 1) -> None:
        """Run workers until a condition holds."""
        stop, wake_events = asyncio.Event(), [WakeEvent() for _ in range(workers)]
        running = [asyncio.create_task(self.worker(wake_event).run(stop)) for wake_event in wake_events]
        async with asyncio.timeout(60):
            while not await is_done():  # noqa: ASYNC110  # there is no event for database changes
                await asyncio.sleep(0)
        stop.set()
        for wake_event in wake_events:
            wake_event.notify_local()
        await asyncio.gather(*running)

    async def run_until_over(self, *job_ids: UUID, workers: int = 1) -> None:
        async def are_finished() -> bool:
            return all([(await self.get(job_id)).state.is_finished for job_id in job_ids])

        await self.run_until(are_finished, workers=workers)


@pytest.fixture
def job_env(database: Database) -> JobEnv:
    clock = Clock()
    return JobEnv(database, clock, CountingWork(database, clock))


async def test_a_job_is_processed_to_its_end(job_env: JobEnv) -> None:
    job_id = await job_env.job()
    await job_env.run_until_over(job_id)
    job = await job_env.get(job_id)
    assert (job.state, job.done, job.created, job.finished_at) == (JobState.DONE, 30, 30, NOON)


async def test_many_workers_share_jobs_and_count_each_row_once(job_env: JobEnv) -> None:
    job_ids = [await job_env.job(50) for _ in range(5)]
    await job_env.run_until_over(*job_ids, workers=3)
    assert [(await job_env.get(job_id)).created for job_id in job_ids] == [50] * 5


async def test_a_job_of_a_dead_worker_is_taken_over_after_its_lease(job_env: JobEnv) -> None:
    job_id = await job_env.job()
    dead, other = new_id(NOON), new_id(NOON)
    assert await claim_job(job_env.db, dead, now=NOON, until=NOON + LEASE) is not None
    assert await claim_job(job_env.db, other, now=NOON, until=NOON + LEASE) is None
    assert timedelta(seconds=20) > LEASE
    job_env.clock.now = NOON + LEASE
    await job_env.run_until_over(job_id)
    assert (await job_env.get(job_id)).created == 30


async def test_a_long_job_gives_waiting_jobs_their_turn(job_env: JobEnv) -> None:
    long_id, order = await job_env.job(1000), list[UUID]()

    async def tick(job: Job) -> None:
        order.append(job.id)
        job_env.clock.now += timedelta(seconds=1)

    job_env.kind.before_batch = tick
    short_id = await job_env.job(10)
    await job_env.run_until_over(short_id, long_id)
    assert order.index(short_id) < 5


async def test_a_job_is_released_at_the_stop(job_env: JobEnv) -> None:
    job_id = await job_env.job(1000)

    async def has_begun() -> bool:
        return (await job_env.get(job_id)).done > 0

    await job_env.run_until(has_begun)
    left = await job_env.get(job_id)
    assert left.state is JobState.RUNNING
    assert await claim_job(job_env.db, new_id(NOON), now=NOON, until=NOON + LEASE) is not None


async def test_unexpected_errors_end_the_job_and_not_the_worker(
    job_env: JobEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latchstring.worker.jobs.PAUSE_SECONDS", 0.0)
    bad, good = await job_env.job(), await job_env.job()
    failed_ids: list[UUID] = []

    async def fail_if_bad(job: Job) -> None:
        if job.id == bad:
            failed_ids.append(job.id)
            raise ZeroDivisionError

    job_env.kind.before_batch = fail_if_bad
    await job_env.run_until_over(bad, good)
    assert len(failed_ids) == MAX_FAILURES
    assert job_env.kind.failed == ["internal-error"]
    assert ((await job_env.get(bad)).state, (await job_env.get(good)).state) == (JobState.FAILED, JobState.DONE)


async def test_a_busy_database_delays_a_job(job_env: JobEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latchstring.worker.jobs.PAUSE_SECONDS", 0.0)
    job_id, refusals = await job_env.job(), [StorageBusy(), StorageBusy()]

    async def refuse(job: Job) -> None:
        if refusals:
            raise refusals.pop()

    job_env.kind.before_batch = refuse
    await job_env.run_until_over(job_id)
    assert (await job_env.get(job_id)).state is JobState.DONE


async def test_a_job_of_an_unknown_kind_is_released_for_a_newer_worker(job_env: JobEnv) -> None:
    creator = Actor(ActorType.OPERATOR)
    job = Job(id=new_id(NOON), kind="unheard", creator=creator, media_type="application/json", total=1)

    def work() -> Work[None]:
        yield insert_job(job)
        yield from queue_job(job.id, now=NOON)

    await job_env.db.transact(work)

    async def is_released() -> bool:
        return (await job_env.get(job.id)).state is JobState.RUNNING

    await job_env.run_until(is_released)
    assert not (await job_env.get(job.id)).state.is_finished
    job_env.clock.now += timedelta(minutes=1)
    assert await claim_job(job_env.db, new_id(NOON), now=job_env.clock(), until=job_env.clock() + LEASE) is not None


async def test_only_the_lease_owner_of_a_job_writes(job_env: JobEnv) -> None:
    job_id = await job_env.job()
    owner_id, other = new_id(NOON), new_id(NOON)
    claimed = await claim_job(job_env.db, owner_id, now=NOON, until=NOON + LEASE)
    assert claimed is not None
    for owner, job in ((other, claimed), (owner_id, replace(claimed, done=10))):
        with pytest.raises(JobLost):
            await job_env.kind.process(job, owner, NOON + LEASE, Rows(11))
    await release_job(job_env.db, other, job_id, again_at=NOON)
    assert (await job_env.kind.process(claimed, owner_id, NOON + LEASE, Rows(11))).done == 10
