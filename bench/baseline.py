"""The baseline: the INSERTs of one create in one transaction by the bare driver, into the same tables, without HTTP."""

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


def rows(format_instant: Callable[[datetime], Any], format_id: Callable[[UUID], Any]) -> Rows:
    """The rows of one create. format_instant, format_id: convert values for the driver."""
    now = datetime.now(UTC)
    invitation, terms, target, event, mail, inviter = (format_id(new_id(now)) for _ in range(6))
    email = f"{invitation}@baseline.test"
    starts_at, expires_at = format_instant(now), format_instant(now + timedelta(days=7))
    link = [604800, 1, starts_at, expires_at, "API_KEY", inviter, "0badcafe"]
    return [
        ("invitations", [invitation, email, email, terms, 0, "customer", "API_KEY", inviter, *link]),
        ("invitation_grants", [invitation, target, 0, "readers"]),
        ("events", [event, invitation, "invitation.created", "API_KEY", inviter, '{"role": "customer"}']),
        ("outbox", [mail, "invitation", invitation, 1, 5, "QUEUED", starts_at, 0]),
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
            started_at = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            for table, values in rows(lambda instant: int(instant.timestamp() * 1000), str):
                connection.execute(statements[table], values)
            connection.execute("COMMIT")
            latencies.append((time.perf_counter() - started_at) * 1000)
        return time.perf_counter() - start, latencies


def on_postgres(url: str, concurrency: int, count: int) -> tuple[float, list[float]]:
    """Seconds and latencies of `count` creates over `concurrency` connections."""
    return asyncio.run(_on_postgres(url, concurrency, count))


async def _on_postgres(url: str, concurrency: int, count: int) -> tuple[float, list[float]]:
    connections = [await asyncpg.connect(url) for _ in range(concurrency)]
    statements = {table: _statement(table, columns, "$") for table, columns in INSERTS.items()}
    latencies = list[float]()
    remaining = iter(range(count))

    async def create(connection: Any) -> None:
        for _ in remaining:
            started_at = time.perf_counter()
            async with connection.transaction():
                for table, values in rows(lambda instant: instant, lambda id_: id_):
                    await connection.execute(statements[table], *values)
            latencies.append((time.perf_counter() - started_at) * 1000)

    start = time.perf_counter()
    await asyncio.gather(*map(create, connections))
    seconds = time.perf_counter() - start
    for connection in connections:
        await connection.close()
    return seconds, latencies


def _statement(table: str, columns: str, placeholder: str) -> str:
    count = columns.count(",") + 1
    placeholders = ", ".join("?" if placeholder == "?" else f"${number}" for number in range(1, count + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({placeholders})"  # noqa: S608  # our own names
