"""Bulk invitations: rows per second and memory of one worker, compared with multi-row INSERTs of the same rows.

The rows are uploaded as CSV over HTTP; then one worker in a process of its own processes the job. The baseline writes
the same rows with the bare driver, a thousand per transaction, without validation.
"""

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

import asyncpg
from bench.baseline import INSERTS
from bench.installation import Installation
from bench.measure import Measurement, database_ms, processor_ms

from latchstring.domain.ids import new_id

ROWS = {"PostgreSQL": 100_000, "SQLite": 100_000}
ROWS_PER_TRANSACTION = 1000
TYPES = {
    "invitations": "uuid text text uuid int2 text text uuid int4 int4 timestamptz timestamptz text uuid text",
    "events": "uuid uuid text text uuid json",
    "outbox": "uuid text uuid int4 int2 text timestamptz int4",
}


def measure_all(installation: Installation, scale: float) -> list[Measurement]:
    """Measure the baseline, the upload, and the worker."""
    count = int(ROWS[installation.name] * scale)
    baseline = measure_baseline(installation, count)
    upload, job_id = measure_upload(installation, count)
    processing = measure_worker(installation, job_id, count)
    return [
        baseline,
        replace(upload, ratio=upload.rate / baseline.rate),
        replace(processing, ratio=processing.rate / baseline.rate),
    ]


def _measurement(installation: Installation, path: str, count: int, seconds: float, **more: Any) -> Measurement:
    return Measurement(installation.name, path, 1, count, count / seconds, 0.0, 0.0, **more)


# ---- Latchstring -----------------------------------------------------------------------------------------------------


def measure_upload(installation: Installation, count: int) -> tuple[Measurement, str]:
    lines = ["inviteEmail,role,firstName,lastName"]
    lines += [f"bulk{i}@people{i % 97}.test,customer,First{i % 1000},Last{i % 700}" for i in range(count)]
    body = "\r\n".join(lines).encode()
    request = Request(
        f"http://127.0.0.1:{installation.port}/api/invitations/bulk",
        data=body,
        headers={"Authorization": f"Bearer {installation.key}", "Content-Type": "text/csv"},
    )
    server_start, database_start, start = (
        processor_ms(installation.server),
        database_ms(installation),
        time.perf_counter(),
    )
    with urlopen(request, timeout=300) as response:  # noqa: S310  # our own server
        job_id = str(json.load(response)["jobId"])
    seconds = time.perf_counter() - start
    line = _measurement(
        installation,
        "bulk: upload as CSV",
        count,
        seconds,
        server_ms=(processor_ms(installation.server) - server_start) / count,
        database_ms=None if installation.postmaster is None else (database_ms(installation) - database_start) / count,
    )
    return line, job_id


def measure_worker(installation: Installation, job_id: str, count: int) -> Measurement:
    database_start = database_ms(installation)
    process = subprocess.run(
        [sys.executable, "-m", "bench.bulk_worker", str(installation.directory), job_id],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    worker = json.loads(process.stdout.splitlines()[-1])  # after the log
    if worker["created"] != count:
        raise RuntimeError(f"not all rows were invited: {worker}")
    return _measurement(
        installation,
        f"bulk: one worker, {worker['before_mib']:.0f} → {worker['peak_mib']:.0f} MiB",
        count,
        worker["seconds"],
        server_ms=worker["processor_ms"] / count,
        database_ms=None if installation.postmaster is None else (database_ms(installation) - database_start) / count,
    )


# ---- baseline --------------------------------------------------------------------------------------------------------


def measure_baseline(installation: Installation, count: int) -> Measurement:
    start, database_start = resource.getrusage(resource.RUSAGE_SELF), database_ms(installation)
    if installation.postmaster is None:
        seconds = _on_sqlite(installation.database.partition(":///")[2], count)
    else:
        seconds = asyncio.run(_on_postgres(installation.database.replace("postgresql+asyncpg", "postgresql"), count))
    end = resource.getrusage(resource.RUSAGE_SELF)
    own_ms = (end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime) * 1000
    return _measurement(
        installation,
        "baseline: multi-row INSERTs",
        count,
        seconds,
        server_ms=own_ms / count,
        database_ms=None if installation.postmaster is None else (database_ms(installation) - database_start) / count,
    )


def _rows(first: int, *, for_sqlite: bool) -> dict[str, list[list[Any]]]:
    now = datetime.now(UTC)

    def format_instant(instant: datetime) -> Any:
        return int(instant.timestamp() * 1000) if for_sqlite else instant

    def format_id(id_: UUID) -> Any:
        return str(id_) if for_sqlite else id_

    inviter, rows = format_id(new_id(now)), {"invitations": [], "events": [], "outbox": []}
    starts_at, expires_at = format_instant(now), format_instant(now + timedelta(days=7))
    for number in range(first, first + ROWS_PER_TRANSACTION):
        invitation, terms, event, mail = (format_id(new_id(now)) for _ in range(4))
        email = f"baseline{number}@people{number % 97}.test"
        link = [604800, 1, starts_at, expires_at, "API_KEY", inviter, "0badcafe"]
        rows["invitations"].append([invitation, email, email, terms, 0, "customer", "API_KEY", inviter, *link])
        rows["events"].append([event, invitation, "invitation.created", "API_KEY", inviter, '{"role": "customer"}'])
        rows["outbox"].append([mail, "invitation", invitation, 1, 9, "QUEUED", starts_at, 0])
    return rows


def _on_sqlite(path: str, count: int) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        start = time.perf_counter()
        for first in range(0, count, ROWS_PER_TRANSACTION):
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in _rows(first, for_sqlite=True).items():
                placeholders = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} ({INSERTS[table]}) VALUES ({placeholders})", rows)  # noqa: S608
            connection.execute("COMMIT")
        return time.perf_counter() - start


async def _on_postgres(url: str, count: int) -> float:
    connection = await asyncpg.connect(url)
    try:
        start = time.perf_counter()
        for first in range(0, count, ROWS_PER_TRANSACTION):
            async with connection.transaction():
                for table, rows in _rows(first, for_sqlite=False).items():
                    lists = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(TYPES[table].split(), 1))
                    insert = f"INSERT INTO {table} ({INSERTS[table]}) SELECT * FROM unnest({lists})"  # noqa: S608
                    await connection.execute(insert, *map(list, zip(*rows, strict=True)))
        return time.perf_counter() - start
    finally:
        await connection.close()


if __name__ == "__main__":
    from bench.__main__ import show
    from bench.installation import running_installation

    for name in sys.argv[2:] or ("PostgreSQL", "SQLite"):
        with running_installation(name) as installation:
            lines = measure_all(installation, float(sys.argv[1]))
            show(lines)
