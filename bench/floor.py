"""The floor: the INSERTs of one create in one transaction by the bare driver, into the same tables, with no HTTP."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from latchstring.domain.ids import new_id

INSERTS = {
    "invitations": (
        "id, email_key, email, terms_key, state, role, inviter_type, inviter_id, lifetime_seconds, generation,"
        " link_starts_at, expires_at, sponsor_type, sponsor_id, master_key_id"
    ),
    "invitation_grants": "invitation_id, target_id, kind, target_key",
    "events": "id, subject_id, type, actor_type, actor_id, data",
    "outbox": "id, kind, subject_id, generation, priority, state, due_at, attempts",
}
Rows = list[tuple[str, list[Any]]]


def rows(instant: Callable[[datetime], Any], identify: Callable[[UUID], Any]) -> Rows:
    """The rows of one create. instant and identify turn values into what the driver wants."""
    now = datetime.now(UTC)
    mine, terms, target, event, mail, by = (identify(new_id(now)) for _ in range(6))
    email, begins, ends = f"{mine}@floor.test", instant(now), instant(now + timedelta(days=7))
    link = [604800, 1, begins, ends, "API_KEY", by, "0badcafe"]
    return [
        ("invitations", [mine, email, email, terms, 0, "customer", "API_KEY", by, *link]),
        ("invitation_grants", [mine, target, 0, "readers"]),
        ("events", [event, mine, "invitation.created", "API_KEY", by, '{"role": "customer"}']),
        ("outbox", [mail, "invitation", mine, 1, 5, "QUEUED", begins, 0]),
    ]


def on_sqlite(path: str, count: int) -> tuple[float, list[float]]:
    """Seconds and latencies of `count` creates, one after the other, with synchronous=FULL."""
    statements = {table: _statement(table, columns, "?") for table, columns in INSERTS.items()}
    latencies = list[float]()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        start = time.perf_counter()
        for _ in range(count):
            begun = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            for table, values in rows(lambda at: int(at.timestamp() * 1000), str):
                connection.execute(statements[table], values)
            connection.execute("COMMIT")
            latencies.append((time.perf_counter() - begun) * 1000)
        return time.perf_counter() - start, latencies


def on_postgres(url: str, concurrency: int, count: int) -> tuple[float, list[float]]:
    """Seconds and latencies of `count` creates over `concurrency` connections."""
    return asyncio.run(_on_postgres(url, concurrency, count))


async def _on_postgres(url: str, concurrency: int, count: int) -> tuple[float, list[float]]:
    connections = [await asyncpg.connect(url) for _ in range(concurrency)]
    statements = {table: _statement(table, columns, "$") for table, columns in INSERTS.items()}
    latencies = list[float]()
    todo = iter(range(count))

    async def create(connection: Any) -> None:
        for _ in todo:
            begun = time.perf_counter()
            async with connection.transaction():
                for table, values in rows(lambda at: at, lambda one: one):
                    await connection.execute(statements[table], *values)
            latencies.append((time.perf_counter() - begun) * 1000)

    start = time.perf_counter()
    await asyncio.gather(*map(create, connections))
    seconds = time.perf_counter() - start
    for connection in connections:
        await connection.close()
    return seconds, latencies


def _statement(table: str, columns: str, mark: str) -> str:
    count = columns.count(",") + 1
    marks = ", ".join("?" if mark == "?" else f"${number}" for number in range(1, count + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  # our own names
