"""Working on jobs, batch by batch. Any number of workers share them; each job is in one pair of hands at a time.

A batch is one transaction that writes the rows' verdicts, counts them and prolongs the lease. A worker that dies leaves
its job to its lease: another goes on behind the last batch. A long job makes room for others every few seconds.
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

LEASE = timedelta(seconds=6)  # many batches long; the contract promises takeover within 20 s of a death
TURN = timedelta(seconds=2)  # before a job that waits may have this worker
POLL_SECONDS = 1.0
PAUSE_SECONDS = 1.0
MOST_FAILURES = 5  # of one batch in a row, by a bug of ours; then the job is given up, not the worker

_log = structlog.get_logger(__name__)


class Batch(Protocol):
    """Some rows of a job, ready to be settled."""

    @property
    def following(self) -> int:
        """The first row behind them."""


class JobWork(Protocol):
    """What is done with jobs of one kind."""

    @property
    def prepares_ahead(self) -> bool:
        """Whether a batch may be prepared while the one before it is settled."""

    async def prepare(self, job: Job, first: int) -> Any:
        """The Batch that begins at a row. Changes nothing."""

    async def settle(self, job: Job, owner: UUID, until: datetime, batch: Any) -> Job:
        """Carry a batch out and hold the job until then; returns it as it stands afterwards. Raises JobLost."""

    async def fail(self, job: Job, owner: UUID, cause: str) -> Job:
        """End a job that cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDependencies:
    """What working on jobs needs. kinds: what to do with each kind of job."""

    db: Database
    clock: Clock
    kinds: Mapping[str, JobWork]
    bell: Notifiable
    lease: timedelta = LEASE


class JobWorker:
    """One process's share of the jobs."""

    def __init__(self, parts: JobDependencies) -> None:
        self._parts = parts
        self._db = parts.db
        self._clock = parts.clock
        self._owner = new_id(parts.clock())
        self._failures: dict[UUID, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; the batch under way is finished, and the rest of its job given back."""
        while not stop.is_set():
            try:
                found = await self._take_turn(stop)
            except (StorageBusy, StorageUnreachable) as error:
                _log.info("job worker waits for the database", error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # spreads load, guards nothing
            except Exception:  # noqa: BLE001  # the worker loop: nothing may end it but the stop
                _log.exception("job worker met an unexpected error")
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                if not found:
                    await self._parts.bell.wait(POLL_SECONDS)

    async def _take_turn(self, stop: asyncio.Event) -> bool:
        """Work on the job that has waited longest, for a while. False: there was none."""
        now = self._clock()
        job = await claim_job(self._db, self._owner, now=now, until=now + self._parts.lease)
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
            await self._note_failure(job)
            raise
        return True

    async def _work_on(self, job: Job, stop: asyncio.Event, *, ends_at: datetime) -> None:
        work = self._parts.kinds.get(job.kind)
        if work is None:  # of a newer version, during an upgrade: a newer worker's
            await self._release(job, PAUSE_SECONDS * 5)
            return
        ahead: asyncio.Task[Batch] | None = None
        try:
            while not job.state.is_finished:
                batch = await (ahead or work.prepare(job, job.done + 1))
                ahead = asyncio.create_task(work.prepare(job, batch.following)) if work.prepares_ahead else None
                before, job = job, await work.settle(job, self._owner, self._clock() + self._parts.lease, batch)
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

    async def _note_failure(self, job: Job) -> None:
        failures = self._failures[job.id] = self._failures.get(job.id, 0) + 1
        if failures < MOST_FAILURES:
            await self._release(job, PAUSE_SECONDS * failures)
            return
        del self._failures[job.id]
        await self._parts.kinds[job.kind].fail(job, self._owner, "internal-error")


def _count(before: Job, after: Job) -> None:
    count_job_rows(after.kind, "created", after.created - before.created)
    count_job_rows(after.kind, "skipped", after.skipped - before.skipped)
    count_job_rows(after.kind, "refused", after.refused - before.refused)
