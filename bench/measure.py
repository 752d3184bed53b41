"""What a run cost: rate, latency, and processor time of the server and of PostgreSQL from /proc."""

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
class Measured:
    """One line of the table. CPU is in milliseconds a request; database_ms is None where it is in the server."""

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
    """Processor time of a process, its threads and its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) * TICK_MS


def family_ms(pid: int) -> float:
    """Processor time of a process and all its children, such as a PostgreSQL postmaster."""
    total = processor_ms(pid)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            total += processor_ms(int(stat.parent.name)) if parent == pid else 0
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def database_ms(at: Installation) -> float:
    """Processor time of PostgreSQL so far; 0 on SQLite, which works in the server's process."""
    return 0.0 if at.postmaster is None else family_ms(at.postmaster)


def send(port: int, concurrency: int, requests: list[str]) -> tuple[float, list[float]]:
    """Run the load in a process of its own: seconds, and each latency in ms. Anything but success is an error."""
    spec = json.dumps({"port": port, "concurrency": concurrency, "requests": requests})
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=spec, capture_output=True, text=True, check=True, timeout=300
    )
    result = json.loads(done.stdout)
    bad = {status: count for status, count in result["statuses"].items() if not status.startswith("2")}
    if bad:
        raise RuntimeError(f"unexpected answers: {bad}; the first request was\n{requests[0]}")
    return result["seconds"], result["latencies"]


def summed_up(latencies: list[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile."""
    cuts = statistics.quantiles(latencies, n=100)
    return cuts[49], cuts[98]
