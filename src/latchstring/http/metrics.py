"""The answer of /metrics: what this process served, and what the database knows.

With several processes on one socket a scrape meets any of them; prometheus-client then adds up the files that each
writes below PROMETHEUS_MULTIPROC_DIR. Events are counted from the database, the same from wherever one asks, so they
are to be read with `max`, not `sum`, over servers.
"""

import os
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from latchstring.domain.ids import first_id_at
from latchstring.storage.engine.database import Database
from latchstring.storage.overview.metrics_queries import OutboxDepth, count_events, measure_outbox

STARTED_AT_VARIABLE = "LATCHSTRING_STARTED_AT"  # one beginning for all processes of a server
SETTLING = timedelta(seconds=5)  # ids are made before their transaction commits; by then it has


class EventCounts:
    """How often each event happened since the server started, read on from where it last stopped."""

    def __init__(self, started_at: datetime) -> None:
        self._read_to = started_at
        self._counts: Tally[str] = Tally()

    async def read_on(self, db: Database, now: datetime) -> Tally[str]:
        """All counts up to a few seconds before this instant."""
        end = now - SETTLING
        if end > self._read_to:
            first, self._read_to = self._read_to, end
            self._counts.update(await count_events(db, first=first_id_at(first), end=first_id_at(end)))
        return self._counts


class _FromDatabase(Collector):
    """What the database told, for the length of one answer."""

    def __init__(self, depth: OutboxDepth, counts: Tally[str], now: datetime) -> None:
        self._depth = depth
        self._counts = counts
        self._at = now

    def collect(self) -> Iterator[Metric]:
        late = (self._at - self._depth.first_due_at).total_seconds() if self._depth.first_due_at else 0.0
        yield GaugeMetricFamily("latchstring_outbox_depth", "Mails not finished yet.", value=self._depth.depth)
        yield GaugeMetricFamily(
            "latchstring_outbox_overdue_seconds", "How late the most overdue mail is.", value=max(late, 0.0)
        )
        events = CounterMetricFamily(
            "latchstring_events", "Audit events of the installation since this server started.", labels=["type"]
        )
        for name, count in sorted(self._counts.items()):
            events.add_metric([name], count)
        yield events


def server_started_at(now: datetime) -> datetime:
    """When the first process of this server started."""
    text = os.environ.get(STARTED_AT_VARIABLE)
    return datetime.fromtimestamp(float(text), UTC) if text else now


async def exposition(db: Database, counts: EventCounts, now: datetime) -> bytes:
    """Everything as Prometheus reads it. Raises StorageUnreachable."""
    registry = CollectorRegistry(auto_describe=False)
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(_FromDatabase(await measure_outbox(db), await counts.read_on(db, now), now))
    return generate_latest(registry)
