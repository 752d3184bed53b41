"""`make bench`: what the hot paths cost on PostgreSQL and SQLite, beside the floor of the bare driver.

The floor of invitations is the INSERTs of one create; that of content one SELECT by key; that of bulk, where a request
is a row, multi-row INSERTs.

Rate, latency, and processor milliseconds a request of the server process and of PostgreSQL. The ratio is the rate to
the floor's at the same concurrency. Everything runs on this machine, the load generator, too.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
from bench import bulk, content, floor, panel
from bench.installation import Installation, running
from bench.measure import Measured, database_ms, processor_ms, send, summed_up
from bench.requests import Requests
from rich.console import Console
from rich.table import Table

ONE, MANY = 1, 32
COUNTS = {ONE: 1000, MANY: 6000}
ACCEPTS = {ONE: 600, MANY: 3000}
WARM_UP = 300


@click.command()
@click.option("--json", "json_path", default="var/bench.json", help="Where the numbers are kept.", show_default=True)
@click.option("--database", type=click.Choice(["PostgreSQL", "SQLite"]), multiple=True, help="Only this one.")
@click.option("--scale", default=1.0, help="More or fewer requests.", show_default=True)
def main(json_path: str, database: tuple[str, ...], scale: float) -> None:
    """Measure the hot paths beside the floor."""
    found = list[Measured]()
    for name in database or ("PostgreSQL", "SQLite"):
        with running(name) as installation:
            found += measure_all(installation, scale)
    show(found)
    pages = panel.measure_all(scale) if "SQLite" not in database or len(database) > 1 else []
    if pages:
        panel.show(pages)
    path = Path(json_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": os.cpu_count()}
    results = {"results": [line.as_json() for line in found], "panel": [line.as_json() for line in pages]}
    path.write_text(json.dumps(report | results, indent=2) + "\n")
    click.echo(f"The numbers are in {path}.")


def measure_all(installation: Installation, scale: float) -> list[Measured]:
    requests = Requests(installation)
    paths: dict[str, tuple[Callable[[int], list[str]], dict[int, int]]] = {
        "create": (requests.create, COUNTS),
        "create, Idempotency-Key": (requests.create_once, COUNTS),
        "lookup": (requests.lookup, COUNTS),
        "accept, account exists": (requests.accept, ACCEPTS),
        "list of 25": (requests.list_page, COUNTS),
    }
    found = list[Measured]()
    for concurrency in (ONE, MANY):
        base = measure_floor(installation, concurrency, int(COUNTS[concurrency] * scale))
        found.append(base)
        for name, (make, counts) in paths.items():
            line = measure_path(installation, name, make, concurrency, int(counts[concurrency] * scale))
            found.append(replace(line, ratio=line.rate / base.rate))
    found += content.measure_all(installation, requests, scale, measure_path)
    return found + bulk.measure_all(installation, scale)


def measure_path(
    at: Installation, name: str, make: Callable[[int], list[str]], concurrency: int, count: int
) -> Measured:
    send(at.port, concurrency, make(WARM_UP))
    todo = make(count)
    server, database = processor_ms(at.server), database_ms(at)
    seconds, latencies = send(at.port, concurrency, todo)
    p50, p99 = summed_up(latencies)
    database_used = None if at.postmaster is None else (database_ms(at) - database) / count
    used = (processor_ms(at.server) - server) / count
    return Measured(at.name, name, concurrency, count, count / seconds, p50, p99, used, database_used)


def measure_floor(at: Installation, concurrency: int, count: int) -> Measured:
    """SQLite has one writer, so its floor is the same at every concurrency. The driver is this process."""
    mine, database = processor_ms(os.getpid()), database_ms(at)
    if at.postmaster is None:
        seconds, latencies = floor.on_sqlite(at.database.partition(":///")[2], count)
    else:
        plain = at.database.replace("postgresql+asyncpg", "postgresql")
        seconds, latencies = floor.on_postgres(plain, concurrency, count)
    p50, p99 = summed_up(latencies)
    database_used = None if at.postmaster is None else (database_ms(at) - database) / count
    used = (processor_ms(os.getpid()) - mine) / count
    return Measured(at.name, "floor: bare INSERTs", concurrency, count, count / seconds, p50, p99, used, database_used)


def show(found: list[Measured]) -> None:
    table = Table(title="Latchstring beside the floor of the bare driver")
    table.add_column("")
    table.add_column("path")
    for name in ("at once", "requests/s", "p50 ms", "p99 ms", "CPU ms server", "CPU ms PostgreSQL", "to floor"):
        table.add_column(name, justify="right")
    for line in found:
        database = "" if line.database_ms is None else f"{line.database_ms:.3f}"
        table.add_row(
            line.database,
            line.path,
            str(line.concurrency),
            f"{line.rate:,.0f}",
            f"{line.p50_ms:.2f}",
            f"{line.p99_ms:.2f}",
            f"{line.server_ms:.3f}",
            database,
            f"{line.ratio:.2f}",
            end_section=line.path.startswith("list"),  # the last of each group
        )
    Console(width=max(120, Console().width)).print(table)


if __name__ == "__main__":
    main()
