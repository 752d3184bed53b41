"""The job worker: processes jobs batch by batch. Many workers share the jobs; each job has one worker at a time.

A batch is one transaction that stores the row results, counts them and extends the lease. When a worker dies, another
one continues behind the last batch after the lease expires. A long job is released every few seconds, so that other
jobs get their turn.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog

from latchstring.domain.clock import Clock
from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.domain.ids import new_id
from latchstring.domain.job import Job
from latchstring.storage.engine.database import Database
from latchstring.storage.jobs.jobs import JobLost, claim_job, release_job
from latchstring.telemetry.metrics import count_job_rows
from latchstring.worker.wake_event import Notifiable

LEASE = timedelta(seconds=6)  # many batches long; the contract promises takeover within 20 s of a crash
TURN = timedelta(seconds=2)  # then a waiting job gets this worker
POLL_SECONDS = 1.0
PAUSE_SECONDS = 1.0
MAX_FAILURES = 5  # consecutive unexpected errors of a batch; then the job fails, but not the worker

_log = structlog.get_logger(__name__)


class Batch(Protocol):
    """Rows of a job, prepared for processing."""

    @property
    def next_row(self) -> int:
        """The number of the first row behind the batch."""


class JobWork(Protocol):
    """The processing of one kind of job."""

    @property
    def prepares_ahead(self) -> bool:
        """Whether a batch may be prepared while the previous one is processed."""

    async def prepare(self, job: Job, first: int) -> Batch:
        """Return the batch that begins at a row, without changing anything."""

    async def process(self, job: Job, owner: UUID, until: datetime, batch: Any) -> Job:
        """Process a batch and extend the lease to `until`. Returns the updated job. Raises JobLost."""

    async def fail(self, job: Job, owner: UUID, cause: str) -> Job:
        """End a job that cannot continue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDependencies:
    """The dependencies of a job worker. kinds: the processing of each kind of job."""

    db: Database
    clock: Clock
    kinds: Mapping[str, JobWork]
    wake_event: Notifiable
    lease: timedelta = LEASE


class JobWorker:
    """Processes jobs in one process."""

    def __init__(self, dependencies: JobDependencies) -> None:
        self._dependencies = dependencies
        self._db = dependencies.db
        self._clock = dependencies.clock
        self._owner = new_id(dependencies.clock())
        self._failures: dict[UUID, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. The current batch is finished, and the rest of its job released."""
        while not stop.is_set():
            try:
                has_worked = await self._work_on_next_job(stop)
            except (StorageBusy, StorageUnreachable) as error:
                _log.info("job worker waits for the database", error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # spreads load, guards nothing
            except Exception:  # noqa: BLE001  # the worker loop: only `stop` may end it
                _log.exception("job worker met an unexpected error")
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                if not has_worked:
                    await self._dependencies.wake_event.wait(POLL_SECONDS)

    async def _work_on_next_job(self, stop: asyncio.Event) -> bool:
        """Process the job that has waited longest, for one turn. Returns False when there is none."""
        now = self._clock()
        job = await claim_job(self._db, self._owner, now=now, until=now + self._dependencies.lease)
        if job is None:
            return False
        try:
            await self._work_on(job, stop, ends_at=now + TURN)
        except JobLost:
            _log.info("job was taken over or cancelled", job_id=str(job.id))
        except (StorageBusy, StorageUnreachable):
            await self._release(job)
            raise
        except Exception:
            await self._record_failure(job)
            raise
        return True

    async def _work_on(self, job: Job, stop: asyncio.Event, *, ends_at: datetime) -> None:
        work = self._dependencies.kinds.get(job.kind)
        if work is None:  # created by a newer version during an upgrade: leave it to a newer worker
            await self._release(job, PAUSE_SECONDS * 5)
            return
        ahead: asyncio.Task[Batch] | None = None
        try:
            while not job.state.is_finished:
                batch = await (ahead or work.prepare(job, job.done + 1))
                ahead = asyncio.create_task(work.prepare(job, batch.next_row)) if work.prepares_ahead else None
                before, job = job, await work.process(job, self._owner, self._clock() + self._dependencies.lease, batch)
                self._failures.pop(job.id, None)
                _count(before, job)
                if not job.state.is_finished and (stop.is_set() or self._clock() >= ends_at):
                    await self._release(job)
                    return
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)
        _log.info("job ended", job_id=str(job.id), state=job.state.value, done=job.done, cause=job.cause)

    async def _release(self, job: Job, seconds: float = 0) -> None:
        await release_job(self._db, self._owner, job.id, again_at=self._clock() + timedelta(seconds=seconds))

    async def _record_failure(self, job: Job) -> None:
        failures = self._failures[job.id] = self._failures.get(job.id, 0) + 1
        if failures < MAX_FAILURES:
            await self._release(job, PAUSE_SECONDS * failures)
            return
        del self._failures[job.id]
        await self._dependencies.kinds[job.kind].fail(job, self._owner, "internal-error")


def _count(before: Job, after: Job) -> None:
    count_job_rows(after.kind, "created", after.created - before.created)
    count_job_rows(after.kind, "skipped", after.skipped - before.skipped)
    count_job_rows(after.kind, "refused", after.refused - before.refused)
