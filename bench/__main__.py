"""`make bench`: the cost of the hot paths on PostgreSQL and SQLite, compared with a baseline of the bare driver.

The baseline of invitations is the INSERTs of one create; that of content one SELECT by key; that of bulk, where a
request is a row, multi-row INSERTs.

Measures rate, latency, and processor time per request (ms) of the server process and of PostgreSQL. The ratio is the
rate divided by that of the baseline at the same concurrency. Everything runs on this machine, the load generator too.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
from bench import baseline, bulk, content, panel
from bench.installation import Installation, running_installation
from bench.measure import Measurement, database_ms, percentiles, processor_ms, send
from bench.requests import Requests
from rich.console import Console
from rich.table import Table

SEQUENTIAL, CONCURRENT = 1, 32
COUNTS = {SEQUENTIAL: 1000, CONCURRENT: 6000}
ACCEPT_COUNTS = {SEQUENTIAL: 600, CONCURRENT: 3000}
WARM_UP_REQUESTS = 300


@click.command()
@click.option("--json", "json_path", default="var/bench.json", help="The file for the results.", show_default=True)
@click.option(
    "--database", type=click.Choice(["PostgreSQL", "SQLite"]), multiple=True, help="Measure only this database."
)
@click.option("--scale", default=1.0, help="Factor for the number of requests.", show_default=True)
def main(json_path: str, database: tuple[str, ...], scale: float) -> None:
    """Measure the hot paths and their baselines."""
    results = list[Measurement]()
    for name in database or ("PostgreSQL", "SQLite"):
        with running_installation(name) as installation:
            results += measure_all(installation, scale)
    show(results)
    pages = panel.measure_all(scale) if "SQLite" not in database or len(database) > 1 else []
    if pages:
        panel.show(pages)
    path = Path(json_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": os.cpu_count()}
    sections = {"results": [line.as_json() for line in results], "panel": [line.as_json() for line in pages]}
    path.write_text(json.dumps(report | sections, indent=2) + "\n")
    click.echo(f"Results: {path}")


def measure_all(installation: Installation, scale: float) -> list[Measurement]:
    requests = Requests(installation)
    paths: dict[str, tuple[Callable[[int], list[str]], dict[int, int]]] = {
        "create": (requests.create, COUNTS),
        "create, Idempotency-Key": (requests.create_idempotent, COUNTS),
        "lookup": (requests.lookup, COUNTS),
        "accept, account exists": (requests.accept, ACCEPT_COUNTS),
        "list of 25": (requests.list_page, COUNTS),
    }
    results = list[Measurement]()
    for concurrency in (SEQUENTIAL, CONCURRENT):
        baseline_result = measure_baseline(installation, concurrency, int(COUNTS[concurrency] * scale))
        results.append(baseline_result)
        for name, (make_requests, counts) in paths.items():
            line = measure_path(installation, name, make_requests, concurrency, int(counts[concurrency] * scale))
            results.append(replace(line, ratio=line.rate / baseline_result.rate))
    results += content.measure_all(installation, requests, scale, measure_path)
    return results + bulk.measure_all(installation, scale)


def measure_path(
    installation: Installation, name: str, make_requests: Callable[[int], list[str]], concurrency: int, count: int
) -> Measurement:
    send(installation.port, concurrency, make_requests(WARM_UP_REQUESTS))
    requests = make_requests(count)
    server_start, database_start = processor_ms(installation.server), database_ms(installation)
    seconds, latencies = send(installation.port, concurrency, requests)
    p50, p99 = percentiles(latencies)
    database_used = None if installation.postmaster is None else (database_ms(installation) - database_start) / count
    used = (processor_ms(installation.server) - server_start) / count
    return Measurement(installation.name, name, concurrency, count, count / seconds, p50, p99, used, database_used)


def measure_baseline(installation: Installation, concurrency: int, count: int) -> Measurement:
    """Measure the baseline in this process. SQLite has one writer, so its baseline is the same at every concurrency."""
    own_start, database_start = processor_ms(os.getpid()), database_ms(installation)
    if installation.postmaster is None:
        seconds, latencies = baseline.on_sqlite(installation.database.partition(":///")[2], count)
    else:
        url = installation.database.replace("postgresql+asyncpg", "postgresql")
        seconds, latencies = baseline.on_postgres(url, concurrency, count)
    p50, p99 = percentiles(latencies)
    database_used = None if installation.postmaster is None else (database_ms(installation) - database_start) / count
    used = (processor_ms(os.getpid()) - own_start) / count
    return Measurement(
        installation.name, "baseline: bare INSERTs", concurrency, count, count / seconds, p50, p99, used, database_used
    )


def show(results: list[Measurement]) -> None:
    table = Table(title="Latchstring compared with the bare driver")
    table.add_column("")
    table.add_column("path")
    for name in ("concurrency", "requests/s", "p50 ms", "p99 ms", "CPU ms server", "CPU ms PostgreSQL", "to baseline"):
        table.add_column(name, justify="right")
    for line in results:
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
            end_section=line.path.startswith("list"),  # the last line of each group
        )
    Console(width=max(120, Console().width)).print(table)


if __name__ == "__main__":
    main()
