"""Wake-ups within a process and across processes."""

import asyncio

from sqlalchemy.engine import URL

from latchstring.worker.loop import listening
from latchstring.worker.wake_event import WakeEvent


async def test_a_notification_before_the_wait_ends_the_wait() -> None:
    wake_event = WakeEvent()
    wake_event.notify()
    assert await asyncio.wait_for(wake_event.wait(60), 10)


async def test_the_wait_ends_after_its_timeout() -> None:
    assert not await asyncio.wait_for(WakeEvent().wait(0.01), 10)


async def test_a_notification_reaches_the_other_processes_of_a_database(postgres_url: URL) -> None:
    here, there = WakeEvent(), WakeEvent()
    async with listening(postgres_url, here), listening(postgres_url, there), asyncio.timeout(60):
        here.notify()
        while not await there.wait(0.1):  # notifications are lost until LISTEN is active
            here.notify()


async def test_a_process_ignores_its_own_notification(postgres_url: URL) -> None:
    wake_event = WakeEvent()
    async with listening(postgres_url, wake_event):
        wake_event.notify()
        assert await wake_event.wait(60)
        assert not await wake_event.wait(0.5)


async def test_sqlite_needs_no_notifications(sqlite_url: URL) -> None:
    async with listening(sqlite_url, WakeEvent()):
        pass
