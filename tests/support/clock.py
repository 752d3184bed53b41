"""The clock of tests, and time limits."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FULL = bool(os.environ.get("LATCHSTRING_TEST_FULL"))  # set by make test-full
PATIENCE_SECONDS = 60  # a test stops waiting after this time; only failing tests take that long


def min_cpu_seconds(work: Callable[[], object], *, times: int = 5) -> float:
    """Return the least CPU seconds of several runs. Other load on the machine does not count."""
    seconds = []
    for _ in range(times):
        started_at = time.thread_time()
        work()
        seconds.append(time.thread_time() - started_at)
    return min(seconds)


class Clock:
    """A clock that only tests advance."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


def time_limit(seconds: float) -> float:
    """Return the promised seconds under make test-full, and PATIENCE_SECONDS or more on a busy machine."""
    return seconds if FULL else max(seconds, PATIENCE_SECONDS)
