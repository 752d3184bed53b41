"""Telling the other processes that there is mail, over PostgreSQL's NOTIFY.

One connection of its own per process, never inside a transaction: a NOTIFY in a transaction makes commits wait for each
other. Losing one is harmless, everybody polls.
"""

import asyncio
import contextlib
from collections.abc import Callable
from uuid import uuid4

import asyncpg
import structlog
from sqlalchemy.engine import URL

from latchstring.storage.engine.postgres import UNREACHABLE, connect_arguments

CHANNEL = "latchstring_outbox"
SPACING_SECONDS = 0.05  # at most 20 a second from one process
_PAUSE_SECONDS = 5.0
_FAILURES = (*UNREACHABLE, asyncpg.PostgresError, TimeoutError)

_log = structlog.get_logger(__name__)


async def share_wakeups(url: URL, *, rung: asyncio.Event, on_wakeup: Callable[[], None]) -> None:
    """Pass on what this process rings and hear what others ring, until cancelled. Survives a database that is away.

    rung: set whenever something was committed; cleared here. on_wakeup: called when another process rang.
    """
    me = uuid4().hex
    while True:
        try:
            await _share(url, me, rung, on_wakeup)
        except _FAILURES as error:
            _log.info("wake-ups paused", error=type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _share(url: URL, me: str, rung: asyncio.Event, on_wakeup: Callable[[], None]) -> None:
    def hear(_connection: object, _pid: int, _channel: str, sender: object) -> None:
        if sender != me:
            on_wakeup()

    connection = await asyncpg.connect(
        **connect_arguments(url), server_settings={"application_name": "latchstring wake-ups"}
    )
    try:
        await connection.add_listener(CHANNEL, hear)
        while True:
            await _next_notify_at(rung, connection)
            await connection.execute(f"NOTIFY {CHANNEL}, '{me}'")  # two constants of ours, and nothing to prepare
            await asyncio.sleep(SPACING_SECONDS)
    finally:
        with contextlib.suppress(*_FAILURES):
            await connection.close(timeout=2)


async def _next_notify_at(rung: asyncio.Event, connection: asyncpg.Connection) -> None:
    """Wait for a ring; look after the connection meanwhile, because a broken one hears nothing and says nothing."""
    while True:
        try:
            async with asyncio.timeout(30):
                await rung.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")
            continue
        rung.clear()
        return
