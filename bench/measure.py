"""Measures rate, latency, and the processor time of the server and of PostgreSQL (from /proc)."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.installation import Installation

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
Ticks = Callable[[], float]


@dataclass(frozen=True)
class Measurement:
    """A line of the table. server_ms, database_ms: processor time per request; database_ms is None on SQLite."""

    database: str
    path: str
    concurrency: int
    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    server_ms: float
    database_ms: float | None
    ratio: float = 1.0

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def processor_ms(pid: int) -> float:
    """Processor time of a process, its threads and its ended children, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) * TICK_MS


def process_tree_ms(pid: int) -> float:
    """Processor time of a process and all its children, such as a PostgreSQL postmaster, in ms."""
    total = processor_ms(pid)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            total += processor_ms(int(stat.parent.name)) if parent == pid else 0
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def database_ms(installation: Installation) -> float:
    """Processor time of PostgreSQL so far, in ms; 0 on SQLite, which runs in the server process."""
    return 0.0 if installation.postmaster is None else process_tree_ms(installation.postmaster)


def send(port: int, concurrency: int, requests: list[str]) -> tuple[float, list[float]]:
    """Send the requests from another process. Returns seconds and each latency in ms. Raises if a request fails."""
    spec = json.dumps({"port": port, "concurrency": concurrency, "requests": requests})
    process = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=spec, capture_output=True, text=True, check=True, timeout=300
    )
    result = json.loads(process.stdout)
    failures = {status: count for status, count in result["statuses"].items() if not status.startswith("2")}
    if failures:
        raise RuntimeError(f"unexpected responses: {failures}; the first request was\n{requests[0]}")
    return result["seconds"], result["latencies"]


def percentiles(latencies: list[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile."""
    quantiles = statistics.quantiles(latencies, n=100)
    return quantiles[49], quantiles[98]
