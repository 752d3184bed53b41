"""Periodic sweeps. No decision depends on them: a late sweep only records what is already in effect."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from latchstring.domain.clock import Clock
from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.domain.ids import NIL_ID
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.idempotency import purge_answers
from latchstring.storage.outbox.outbox import purge_notices

MAX_BATCHES = 20  # in a row; the rest waits for the next run, so that no sweep overloads the database
_START_DELAY_SECONDS = 3.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A periodic task. run: processes one batch, and returns True when there is more to do now."""

    name: str
    run: Callable[[], Awaitable[object]]
    every: timedelta = timedelta(minutes=1)


async def run_sweeps(sweeps: Sequence[Sweep]) -> None:
    """Run each sweep periodically, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for sweep in sweeps:
            group.create_task(_repeat(sweep), name=f"sweep {sweep.name}")


async def _repeat(sweep: Sweep) -> None:
    # random: all processes of an installation may start at the same time
    await asyncio.sleep(_START_DELAY_SECONDS * random.uniform(0.5, 2))  # noqa: S311  # spreads load, guards nothing
    while True:
        await run_once(sweep)
        await asyncio.sleep(sweep.every.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311  # the same


async def run_once(sweep: Sweep) -> None:
    """Run a sweep batch by batch. Errors are logged, and the next run tries again."""
    try:
        for _ in range(MAX_BATCHES):
            if await sweep.run() is not True:
                return
    except (StorageUnreachable, StorageBusy) as error:
        _log.info("sweep postponed", sweep=sweep.name, error=type(error).__name__)
    except Exception:  # noqa: BLE001  # the worker loop: a broken sweep must not stop the others
        _log.exception("sweep failed", sweep=sweep.name)


class NoticePurge:
    """Deletes finished mails: resets, verifications, notices. Mails of invitations remain as delivery records."""

    def __init__(self, db: Database, clock: Clock, retention: timedelta) -> None:
        self._db = db
        self._clock = clock
        self._retention = retention
        self._after: UUID = NIL_ID

    async def __call__(self) -> bool:
        """Process the next batch. After the last batch the next call starts from the beginning."""
        reached = await purge_notices(self._db, after=self._after, before=self._clock() - self._retention)
        self._after = reached or NIL_ID
        return reached is not None


class AnswerPurge:
    """Deletes the stored answers of requests with an Idempotency-Key after a day."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def __call__(self) -> bool:
        return await purge_answers(self._db, now=self._clock())
