"""The clock of tests, and how long they wait for what must happen."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FULL = bool(os.environ.get("LATCHSTRING_TEST_FULL"))  # set by make test-full
PATIENCE_SECONDS = 60  # until a test gives up waiting; no test is slower for it, unless it fails


def least_seconds(work: Callable[[], object], *, times: int = 5) -> float:
    """The least time of the processor that work takes, of several times: other work on the machine does not count."""
    seconds = []
    for _ in range(times):
        began = time.thread_time()
        work()
        seconds.append(time.thread_time() - began)
    return min(seconds)


class Clock:
    """The present instant, moved by tests only."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


def within(seconds: float) -> float:
    """What the product promises, on a machine that has nothing else to do: make test-full holds it to that."""
    return seconds if FULL else max(seconds, PATIENCE_SECONDS)
