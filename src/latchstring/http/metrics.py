"""The metrics of /metrics: requests of this server, and counts from the database.

If several processes share a socket, a scrape reaches any of them. prometheus-client then adds up the files that each
process writes below PROMETHEUS_MULTIPROC_DIR. Events are counted in the database, so that all servers report the same
counts: queries over servers need `max`, not `sum`.
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

STARTED_AT_VARIABLE = "LATCHSTRING_STARTED_AT"  # the same for all processes of a server
COMMIT_DELAY = timedelta(seconds=5)  # ids are created before their transaction commits; after this time it has


class EventCounts:
    """Counts of each event since the server started, updated incrementally."""

    def __init__(self, started_at: datetime) -> None:
        self._counted_until = started_at
        self._counts: Tally[str] = Tally()

    async def update(self, db: Database, now: datetime) -> Tally[str]:
        """Count new events and return all counts up to a few seconds before this instant."""
        end = now - COMMIT_DELAY
        if end > self._counted_until:
            start, self._counted_until = self._counted_until, end
            self._counts.update(await count_events(db, first=first_id_at(start), end=first_id_at(end)))
        return self._counts


class _DatabaseCollector(Collector):
    """The metrics of the database for one scrape."""

    def __init__(self, depth: OutboxDepth, counts: Tally[str], now: datetime) -> None:
        self._depth = depth
        self._counts = counts
        self._now = now

    def collect(self) -> Iterator[Metric]:
        overdue_seconds = (self._now - self._depth.first_due_at).total_seconds() if self._depth.first_due_at else 0.0
        yield GaugeMetricFamily("latchstring_outbox_depth", "Mails not finished yet.", value=self._depth.depth)
        yield GaugeMetricFamily(
            "latchstring_outbox_overdue_seconds", "How late the most overdue mail is.", value=max(overdue_seconds, 0.0)
        )
        events = CounterMetricFamily(
            "latchstring_events", "Audit events of the installation since this server started.", labels=["type"]
        )
        for name, count in sorted(self._counts.items()):
            events.add_metric([name], count)
        yield events


def server_started_at(now: datetime) -> datetime:
    """Return when the first process of this server started."""
    text = os.environ.get(STARTED_AT_VARIABLE)
    return datetime.fromtimestamp(float(text), UTC) if text else now


async def exposition(db: Database, counts: EventCounts, now: datetime) -> bytes:
    """Return all metrics in the format of Prometheus. Raises StorageUnreachable."""
    registry = CollectorRegistry(auto_describe=False)
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(_DatabaseCollector(await measure_outbox(db), await counts.update(db, now), now))
    return generate_latest(registry)
