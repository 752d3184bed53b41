"""The worker process: sends mail, processes jobs, runs sweeps and receives wake-ups of other processes."""

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

DRAIN = timedelta(seconds=6)  # the whole process has ten seconds after SIGTERM


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDependencies:
    """The dependencies of a worker. wake_event: notified by this process after each commit with mail or jobs."""

    db: Database
    clock: Clock
    mail_rules: MailRules
    loaders: Mapping[MailKind, Loader]
    sweeps: Sequence[Sweep] = ()
    wake_event: WakeEvent = field(default_factory=WakeEvent)
    lease: timedelta = LEASE
    job_kinds: Mapping[str, JobWork] = field(default_factory=dict)


async def run_worker(dependencies: WorkerDependencies, stop: asyncio.Event, *, drain: timedelta = DRAIN) -> None:
    """Run until `stop` is set, then drain: finish current work within `drain` and release the rest."""
    sender = open_sender(dependencies.mail_rules)
    mail = MailWorker(
        MailDependencies(
            db=dependencies.db,
            clock=dependencies.clock,
            rules=dependencies.mail_rules,
            sender=sender,
            loaders=dependencies.loaders,
            wake_event=dependencies.wake_event,
            lease=dependencies.lease,
        )
    )
    jobs = JobWorker(
        JobDependencies(
            db=dependencies.db,
            clock=dependencies.clock,
            kinds=dependencies.job_kinds,
            wake_event=dependencies.wake_event.jobs,
        )
    )
    working = asyncio.create_task(jobs.run(stop), name="jobs")
    sweeping = asyncio.create_task(run_sweeps(dependencies.sweeps), name="sweeps")
    stopping = asyncio.create_task(_notify_on(stop, dependencies.wake_event), name="stop notification")
    try:
        await mail.run(stop, drain=drain)
    finally:
        sweeping.cancel()
        stopping.cancel()
        # the job worker stops after its batch, which takes moments; cancelling it could lose the result of a commit
        await asyncio.wait({working}, timeout=drain.total_seconds() / 2)
        working.cancel()
        await asyncio.gather(sweeping, stopping, working, return_exceptions=True)


async def _notify_on(stop: asyncio.Event, wake_event: WakeEvent) -> None:
    await stop.wait()
    wake_event.notify_local()


@asynccontextmanager
async def listening(url: URL, wake_event: WakeEvent) -> AsyncIterator[None]:
    """Exchange wake-ups with the other processes of the database while the context lasts. SQLite has one process.

    A process without a worker needs this, too, to wake the workers of other processes.
    """
    if url.get_backend_name() != "postgresql":
        yield
        return
    sharing = asyncio.create_task(
        share_wakeups(url, notify_requested=wake_event.notify_requested, on_wakeup=wake_event.notify_local),
        name="wake-ups",
    )
    try:
        yield
    finally:
        sharing.cancel()
        await asyncio.gather(sharing, return_exceptions=True)
