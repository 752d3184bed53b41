"""The clock of tests, and how long they wait for what must happen."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def least_seconds(work: Callable[[], object], *, times: int = 5) -> float:
    """The least time of the processor that work takes, of several times: other work on the machine does not count."""
    seconds = []
    for _ in range(times):
        began = time.thread_time()
        work()
        seconds.append(time.thread_time() - began)
    return min(seconds)


PATIENCE_SECONDS = 60  # until a test gives up waiting; no test is slower for it, unless it fails


class Clock:
    """The present instant, moved by tests only."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by
