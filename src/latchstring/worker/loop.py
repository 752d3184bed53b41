"""The worker: sends mail, runs sweeps, hears the bell of other processes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.engine import URL

from latchstring.domain.clock import Clock
from latchstring.domain.mail import MailKind
from latchstring.domain.settings import MailRules
from latchstring.mail.transport import open_sender
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.notifications import share_wakeups
from latchstring.worker.jobs import JobDependencies, JobWork, JobWorker
from latchstring.worker.mail import LEASE, Loader, MailDependencies, MailWorker
from latchstring.worker.sweeps import Sweep, run_sweeps
from latchstring.worker.wake_event import WakeEvent

DRAIN = timedelta(seconds=6)  # SIGTERM leaves ten seconds for everything


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDependencies:
    """What a worker is handed. sweeps run every minute; wake is rung by this process after each commit with mail."""

    db: Database
    clock: Clock
    mail_rules: MailRules
    loaders: Mapping[MailKind, Loader]
    sweeps: Sequence[Sweep] = ()
    wake: WakeEvent = field(default_factory=WakeEvent)
    lease: timedelta = LEASE
    job_kinds: Mapping[str, JobWork] = field(default_factory=dict)


async def run_worker(parts: WorkerDependencies, stop: asyncio.Event, *, drain: timedelta = DRAIN) -> None:
    """Work until stop is set, then drain: what is under way finishes, what takes too long is handed back."""
    sender = open_sender(parts.mail_rules)
    mail = MailWorker(
        MailDependencies(
            db=parts.db,
            clock=parts.clock,
            rules=parts.mail_rules,
            sender=sender,
            loaders=parts.loaders,
            wake=parts.wake,
            lease=parts.lease,
        )
    )
    jobs = JobWorker(JobDependencies(db=parts.db, clock=parts.clock, kinds=parts.job_kinds, bell=parts.wake.jobs))
    working = asyncio.create_task(jobs.run(stop), name="jobs")
    sweeping = asyncio.create_task(run_sweeps(parts.sweeps), name="sweeps")
    stopping = asyncio.create_task(_notify_on(stop, parts.wake), name="stop bell")
    try:
        await mail.run(stop, drain=drain)
    finally:
        sweeping.cancel()
        stopping.cancel()
        # the stop has been heard: a batch under way ends within moments, and what it wrote must not be half known
        await asyncio.wait({working}, timeout=drain.total_seconds() / 2)
        working.cancel()
        await asyncio.gather(sweeping, stopping, working, return_exceptions=True)


async def _notify_on(stop: asyncio.Event, wake: WakeEvent) -> None:
    await stop.wait()
    wake.set_here()


@asynccontextmanager
async def listening(url: URL, wake: WakeEvent) -> AsyncIterator[None]:
    """Pass rings between the processes of one database, for as long as the context lasts. SQLite has one process.

    Every process needs this, also one without a worker: it is how its rings reach the workers of others.
    """
    if url.get_backend_name() != "postgresql":
        yield
        return
    sharing = asyncio.create_task(share_wakeups(url, rung=wake.rung, on_wakeup=wake.set_here), name="wake-ups")
    try:
        yield
    finally:
        sharing.cancel()
        await asyncio.gather(sharing, return_exceptions=True)
