"""Count how often links are opened, without delaying any request.

Views are counted in the memory of the process; once a second a task adds the counts to the database. Nothing depends
on them: the counts of the last second before a process is killed are lost.
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

FLUSH_INTERVAL_SECONDS = 1.0
BATCH = 1000  # links per statement
MAX_COUNTED_LINKS = 100_000  # while the database is unreachable, views of further links are not counted
SHUTDOWN_TIMEOUT_SECONDS = 2.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _ViewCount:
    times: int
    first_at: datetime
    last_at: datetime


class LinkViewCounter:
    """The views counted by this process and not stored yet."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._view_counts: dict[tuple[UUID, int], _ViewCount] = {}

    def count(self, invitation_id: UUID, generation: int) -> None:
        """Count a view of a genuine link. Never waits and never fails."""
        now = self._clock()
        view_count = self._view_counts.get((invitation_id, generation))
        if view_count is not None:
            view_count.times += 1
            view_count.last_at = now
        elif len(self._view_counts) < MAX_COUNTED_LINKS:
            self._view_counts[invitation_id, generation] = _ViewCount(1, now, now)

    async def flush(self) -> None:
        """Store the counts. Raises StorageBusy and StorageUnreachable; what was not stored stays counted."""
        while self._view_counts:
            batch = {key: self._view_counts.pop(key) for key in list(islice(self._view_counts, BATCH))}
            try:
                await add_link_views(
                    self._db,
                    [
                        LinkViews(*key, view_count.times, view_count.first_at, view_count.last_at)
                        for key, view_count in batch.items()
                    ],
                )
            except BaseException:
                self._restore(batch)
                raise

    def _restore(self, batch: dict[tuple[UUID, int], _ViewCount]) -> None:
        for key, earlier in batch.items():
            later = self._view_counts.setdefault(key, earlier)
            if later is not earlier:  # counted while the batch was being stored
                later.times += earlier.times
                later.first_at = earlier.first_at

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Store the counts every second while the context lasts, and once at its end."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._flush_until(stop), name="link-views")
        try:
            yield
        finally:
            stop.set()
            await self._wait_for_task(task)

    async def _flush_until(self, stop: asyncio.Event) -> None:
        # never cancelled while a statement runs: it may still be committed, and would be counted twice
        is_over = False
        while not is_over:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_INTERVAL_SECONDS)
            is_over = stop.is_set()
            await self._try_to_flush()

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except (StorageBusy, StorageUnreachable) as error:
            _log.info("link views wait for the database", error=type(error).__name__)
        except Exception:  # noqa: BLE001  # a failed count must not stop the server
            _log.exception("link views could not be stored")

    async def _wait_for_task(self, task: "asyncio.Task[None]") -> None:
        try:
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_SECONDS):
                await task
        except TimeoutError:
            _log.info("link views were not stored before the shutdown timeout", links=len(self._view_counts))
