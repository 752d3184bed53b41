"""Inviting many at once: rows a second and memory of one worker, beside multi-row INSERTs of the same rows.

The rows go to the server as a spreadsheet over HTTP; then one worker in a process of its own works on the job. The
floor writes the same rows by the bare driver, a thousand a transaction, without judging anything.
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
from bench.floor import INSERTS
from bench.installation import Installation
from bench.measure import Measured, database_ms, processor_ms

from latchstring.domain.ids import new_id

ROWS = {"PostgreSQL": 100_000, "SQLite": 100_000}
AT_ONCE = 1000
TYPES = {
    "invitations": "uuid text text uuid int2 text text uuid int4 int4 timestamptz timestamptz text uuid text",
    "events": "uuid uuid text text uuid json",
    "outbox": "uuid text uuid int4 int2 text timestamptz int4",
}


def measure_all(at: Installation, scale: float) -> list[Measured]:
    """The floor, the upload, and the work."""
    count = int(ROWS[at.name] * scale)
    floor = measure_floor(at, count)
    upload, job_id = measure_upload(at, count)
    work = measure_work(at, job_id, count)
    return [floor, replace(upload, ratio=upload.rate / floor.rate), replace(work, ratio=work.rate / floor.rate)]


def _measured(at: Installation, path: str, count: int, seconds: float, **more: Any) -> Measured:
    return Measured(at.name, path, 1, count, count / seconds, 0.0, 0.0, **more)


# ---- ours ------------------------------------------------------------------------------------------------------------


def measure_upload(at: Installation, count: int) -> tuple[Measured, str]:
    lines = ["inviteEmail,role,firstName,lastName"]
    lines += [f"bulk{i}@people{i % 97}.test,customer,First{i % 1000},Last{i % 700}" for i in range(count)]
    body = "\r\n".join(lines).encode()
    request = Request(
        f"http://127.0.0.1:{at.port}/api/invitations/bulk",
        data=body,
        headers={"Authorization": f"Bearer {at.key}", "Content-Type": "text/csv"},
    )
    used, database, start = processor_ms(at.server), database_ms(at), time.perf_counter()
    with urlopen(request, timeout=300) as answer:  # noqa: S310  # our own server
        job_id = str(json.load(answer)["jobId"])
    seconds = time.perf_counter() - start
    line = _measured(
        at,
        "bulk: upload as CSV",
        count,
        seconds,
        server_ms=(processor_ms(at.server) - used) / count,
        database_ms=None if at.postmaster is None else (database_ms(at) - database) / count,
    )
    return line, job_id


def measure_work(at: Installation, job_id: str, count: int) -> Measured:
    database = database_ms(at)
    done = subprocess.run(
        [sys.executable, "-m", "bench.bulk_worker", str(at.directory), job_id],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found = json.loads(done.stdout.splitlines()[-1])  # the log comes before
    if found["created"] != count:
        raise RuntimeError(f"the job ended otherwise: {found}")
    return _measured(
        at,
        f"bulk: one worker, {found['before_mib']:.0f} → {found['peak_mib']:.0f} MiB",
        count,
        found["seconds"],
        server_ms=found["processor_ms"] / count,
        database_ms=None if at.postmaster is None else (database_ms(at) - database) / count,
    )


# ---- the floor -------------------------------------------------------------------------------------------------------


def measure_floor(at: Installation, count: int) -> Measured:
    used, database = resource.getrusage(resource.RUSAGE_SELF), database_ms(at)
    if at.postmaster is None:
        seconds = _on_sqlite(at.database.partition(":///")[2], count)
    else:
        seconds = asyncio.run(_on_postgres(at.database.replace("postgresql+asyncpg", "postgresql"), count))
    after = resource.getrusage(resource.RUSAGE_SELF)
    mine = (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) * 1000
    return _measured(
        at,
        "floor: multi-row INSERTs",
        count,
        seconds,
        server_ms=mine / count,
        database_ms=None if at.postmaster is None else (database_ms(at) - database) / count,
    )


def _rows(first: int, *, for_sqlite: bool) -> dict[str, list[list[Any]]]:
    now = datetime.now(UTC)

    def instant(at: datetime) -> Any:
        return int(at.timestamp() * 1000) if for_sqlite else at

    def identify(one: UUID) -> Any:
        return str(one) if for_sqlite else one

    by, found = identify(new_id(now)), {"invitations": [], "events": [], "outbox": []}
    begins, ends = instant(now), instant(now + timedelta(days=7))
    for number in range(first, first + AT_ONCE):
        mine, terms, event, mail = (identify(new_id(now)) for _ in range(4))
        email = f"floor{number}@people{number % 97}.test"
        link = [604800, 1, begins, ends, "API_KEY", by, "0badcafe"]
        found["invitations"].append([mine, email, email, terms, 0, "customer", "API_KEY", by, *link])
        found["events"].append([event, mine, "invitation.created", "API_KEY", by, '{"role": "customer"}'])
        found["outbox"].append([mail, "invitation", mine, 1, 9, "QUEUED", begins, 0])
    return found


def _on_sqlite(path: str, count: int) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        start = time.perf_counter()
        for first in range(0, count, AT_ONCE):
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in _rows(first, for_sqlite=True).items():
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} ({INSERTS[table]}) VALUES ({marks})", rows)  # noqa: S608
            connection.execute("COMMIT")
        return time.perf_counter() - start


async def _on_postgres(url: str, count: int) -> float:
    connection = await asyncpg.connect(url)
    try:
        start = time.perf_counter()
        for first in range(0, count, AT_ONCE):
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
    from bench.installation import running

    for name in sys.argv[2:] or ("PostgreSQL", "SQLite"):
        with running(name) as installation:
            lines = measure_all(installation, float(sys.argv[1]))
            show(lines)
