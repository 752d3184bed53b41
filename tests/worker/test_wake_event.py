"""The bell, here and across processes."""

import asyncio

from sqlalchemy.engine import URL

from latchstring.worker.loop import listening
from latchstring.worker.wake_event import WakeEvent


async def test_a_ring_before_the_wait_is_heard() -> None:
    wake = WakeEvent()
    wake.ring()
    assert await asyncio.wait_for(wake.wait(60), 10)


async def test_without_a_ring_the_wait_ends_by_itself() -> None:
    assert not await asyncio.wait_for(WakeEvent().wait(0.01), 10)


async def test_a_ring_reaches_the_other_processes_of_a_database(postgres_url: URL) -> None:
    here, there = WakeEvent(), WakeEvent()
    async with listening(postgres_url, here), listening(postgres_url, there), asyncio.timeout(60):
        here.ring()
        while not await there.wait(0.1):  # listening takes a moment to begin; until then rings are lost, as they may be
            here.ring()


async def test_nobody_hears_his_own_ring_twice(postgres_url: URL) -> None:
    wake = WakeEvent()
    async with listening(postgres_url, wake):
        wake.ring()
        assert await wake.wait(60)
        assert not await wake.wait(0.5)


async def test_sqlite_needs_no_telling(sqlite_url: URL) -> None:
    async with listening(sqlite_url, WakeEvent()):
        pass
