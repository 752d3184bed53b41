"""A circuit breaker for a mail server, so that an outage costs one attempt and not one of every mail."""

from collections.abc import Callable
from datetime import timedelta

MAX_COOLDOWN = timedelta(seconds=30)
_MAIL_REFUSALS = 3


class Circuit:
    """Closed while the server works. A failure opens it for a growing cooldown; then one mail at a time may probe."""

    def __init__(self, clock: Callable[[], float], *, first_cooldown: timedelta, factor: float) -> None:
        self._clock = clock  # monotonic seconds
        self._first = min(first_cooldown, MAX_COOLDOWN).total_seconds()
        self._factor = max(factor, 1.0)
        self._failures = 0
        self._refusals = 0
        self._open_until = 0.0

    @property
    def is_probing(self) -> bool:
        """Whether the last report was a failure."""
        return self._failures > 0

    def cooldown_left(self) -> timedelta:
        """Return how long no attempt should be made."""
        return timedelta(seconds=max(0.0, self._open_until - self._clock()))

    def report_failure(self) -> None:
        """Report that the server could not be reached or refused the connection."""
        if self._clock() < self._open_until:
            return  # concurrent attempts failed together: count them once
        cooldown = min(self._first * self._factor**self._failures, MAX_COOLDOWN.total_seconds())
        self._failures = min(self._failures + 1, 30)
        self._open_until = self._clock() + cooldown

    def report_mail_refused(self) -> None:
        """Report that the server refused MAIL. It may concern one mail (its size, say), unless it is repeated."""
        self._refusals += 1
        if self._refusals >= _MAIL_REFUSALS:
            self.report_failure()

    def report_success(self) -> None:
        """Report that the server accepted a MAIL command."""
        self._failures = self._refusals = 0
        self._open_until = 0.0
