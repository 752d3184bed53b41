"""Notify the other processes of new mail through PostgreSQL's NOTIFY.

Each process has its own connection for this and never notifies inside a transaction: a NOTIFY in a transaction makes
commits wait for each other. A lost notification is harmless, because every worker polls.
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
SPACING_SECONDS = 0.05  # at most 20 notifications per second and process
_PAUSE_SECONDS = 5.0
_FAILURES = (*UNREACHABLE, asyncpg.PostgresError, TimeoutError)

_log = structlog.get_logger(__name__)


async def share_wakeups(url: URL, *, notify_requested: asyncio.Event, on_wakeup: Callable[[], None]) -> None:
    """Send and receive wake-ups until cancelled. Reconnects after an outage of the database.

    notify_requested: set after each commit with work; cleared here. on_wakeup: called for a wake-up of another process.
    """
    sender_id = uuid4().hex
    while True:
        try:
            await _share(url, sender_id, notify_requested, on_wakeup)
        except _FAILURES as error:
            _log.info("wake-ups paused", error=type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _share(url: URL, sender_id: str, notify_requested: asyncio.Event, on_wakeup: Callable[[], None]) -> None:
    def on_notification(_connection: object, _pid: int, _channel: str, sender: object) -> None:
        if sender != sender_id:
            on_wakeup()

    connection = await asyncpg.connect(
        **connect_arguments(url), server_settings={"application_name": "latchstring wake-ups"}
    )
    try:
        await connection.add_listener(CHANNEL, on_notification)
        while True:
            await _wait_for_request(notify_requested, connection)
            await connection.execute(f"NOTIFY {CHANNEL}, '{sender_id}'")  # no user input; NOTIFY takes no parameters
            await asyncio.sleep(SPACING_SECONDS)
    finally:
        with contextlib.suppress(*_FAILURES):
            await connection.close(timeout=2)


async def _wait_for_request(notify_requested: asyncio.Event, connection: asyncpg.Connection) -> None:
    """Wait for a request. Probe the connection meanwhile, because a broken one receives nothing and reports nothing."""
    while True:
        try:
            async with asyncio.timeout(30):
                await notify_requested.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")
            continue
        notify_requested.clear()
        return
