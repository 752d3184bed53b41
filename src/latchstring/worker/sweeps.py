"""Tidying by the minute. Nothing here decides anything: what a sweep does late was true before."""

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

MOST_ROUNDS = 20  # batches in a row; the rest waits for the next minute, so that no sweep hogs the database
_FIRST_AFTER_SECONDS = 3.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A named piece of tidying. run: one batch; it returns True when there is more to do at once."""

    name: str
    run: Callable[[], Awaitable[object]]
    every: timedelta = timedelta(minutes=1)


async def run_sweeps(sweeps: Sequence[Sweep]) -> None:
    """Run each sweep again and again, until cancelled."""
    async with asyncio.TaskGroup() as group:
        for sweep in sweeps:
            group.create_task(_repeat(sweep), name=f"sweep {sweep.name}")


async def _repeat(sweep: Sweep) -> None:
    # spread: all processes of an installation may have started together
    await asyncio.sleep(_FIRST_AFTER_SECONDS * random.uniform(0.5, 2))  # noqa: S311  # spreads load, guards nothing
    while True:
        await run_once(sweep)
        await asyncio.sleep(sweep.every.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311  # the same


async def run_once(sweep: Sweep) -> None:
    """One sweep, batch by batch. Whatever fails is logged and tried again next time."""
    try:
        for _ in range(MOST_ROUNDS):
            if await sweep.run() is not True:
                return
    except (StorageUnreachable, StorageBusy) as error:
        _log.info("sweep put off", sweep=sweep.name, error=type(error).__name__)
    except Exception:  # noqa: BLE001  # the worker loop: a broken sweep must not end the others
        _log.exception("sweep failed", sweep=sweep.name)


class NoticePurge:
    """Forgets mails that are over and done: resets, verifications, notices. Invitations keep their delivery record."""

    def __init__(self, db: Database, clock: Clock, kept_for: timedelta) -> None:
        self._db = db
        self._clock = clock
        self._kept_for = kept_for
        self._after: UUID = NIL_ID

    async def __call__(self) -> bool:
        """Look at the next batch; a walk that reached the end begins anew next time."""
        reached = await purge_notices(self._db, after=self._after, before=self._clock() - self._kept_for)
        self._after = reached or NIL_ID
        return reached is not None


class AnswerPurge:
    """Forgets the stored answers of requests that carried an Idempotency-Key, a day after them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def __call__(self) -> bool:
        """One batch."""
        return await purge_answers(self._db, now=self._clock())
