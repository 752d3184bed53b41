"""Counting who opens links, so cheaply that nobody waits for it.

A visit is a note in the memory of the process that answered; once a second a task adds the notes to the database.
Nothing else is touched, and nothing depends on it: what a process counted in the second before it was killed is lost.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

import structlog

from latchstring.domain.clock import Clock
from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.domain.views.timeline import LinkViews
from latchstring.storage.engine.database import Database
from latchstring.storage.invitations.link_views import add_link_views

EVERY_SECONDS = 1.0
BATCH = 1000  # links a statement
MOST_REMEMBERED = 100_000  # links; while the database is away new ones beyond it are not counted
LAST_CHANCE_SECONDS = 2.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _ViewCount:
    times: int
    first_at: datetime
    last_at: datetime


class LinkViewCounter:
    """The visits this process has seen and not yet written down."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._notes: dict[tuple[UUID, int], _ViewCount] = {}

    def count(self, invitation_id: UUID, generation: int) -> None:
        """One more visit of a genuine link. It never waits and never fails."""
        now = self._clock()
        note = self._notes.get((invitation_id, generation))
        if note is not None:
            note.times += 1
            note.last_at = now
        elif len(self._notes) < MOST_REMEMBERED:
            self._notes[invitation_id, generation] = _ViewCount(1, now, now)

    async def flush(self) -> None:
        """Write down what was counted. Raises StorageBusy and StorageUnreachable; what was not written is kept."""
        while self._notes:
            taken = {key: self._notes.pop(key) for key in list(islice(self._notes, BATCH))}
            try:
                await add_link_views(
                    self._db, [LinkViews(*key, note.times, note.first_at, note.last_at) for key, note in taken.items()]
                )
            except BaseException:
                self._take_back(taken)
                raise

    def _take_back(self, taken: dict[tuple[UUID, int], _ViewCount]) -> None:
        for key, earlier in taken.items():
            later = self._notes.setdefault(key, earlier)
            if later is not earlier:  # counted while it was being written
                later.times += earlier.times
                later.first_at = earlier.first_at

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Write down every second for as long as the context lasts, and once more at its end."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._flush_until(stop), name="visits")
        try:
            yield
        finally:
            stop.set()
            await self._wait_for_the_end(task)

    async def _flush_until(self, stop: asyncio.Event) -> None:
        # never cancelled in the middle: a statement under way may still be stored, and would be counted again
        is_over = False
        while not is_over:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
            is_over = stop.is_set()
            await self._try_to_flush()

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except (StorageBusy, StorageUnreachable) as error:
            _log.info("visits wait for the database", error=type(error).__name__)
        except Exception:  # noqa: BLE001  # a count is never worth more than the server it runs in
            _log.exception("visits could not be written down")

    async def _wait_for_the_end(self, task: "asyncio.Task[None]") -> None:
        try:
            async with asyncio.timeout(LAST_CHANCE_SECONDS):
                await task
        except TimeoutError:
            _log.info("visits were given up", links=len(self._notes))
