"""Giving a mail server a rest when it does not let us in, so that its trouble costs one try and not every mail's."""

from collections.abc import Callable
from datetime import timedelta

LONGEST_REST = timedelta(seconds=30)
_MAIL_REFUSALS = 3


class Circuit:
    """Closed while all is well. Trouble opens it for a growing rest; after that one mail at a time may probe."""

    def __init__(self, clock: Callable[[], float], *, first_rest: timedelta, factor: float) -> None:
        self._clock = clock  # monotonic seconds
        self._first = min(first_rest, LONGEST_REST).total_seconds()
        self._factor = max(factor, 1.0)
        self._troubles = 0
        self._refusals = 0
        self._open_until = 0.0

    @property
    def is_probing(self) -> bool:
        """Whether the last thing known about the server is trouble."""
        return self._troubles > 0

    def rest_left(self) -> timedelta:
        """How long nothing should be tried."""
        return timedelta(seconds=max(0.0, self._open_until - self._clock()))

    def report_trouble(self) -> None:
        """The server could not be reached or did not let us in."""
        if self._clock() < self._open_until:
            return  # several tries found out together: one finding
        rest = min(self._first * self._factor**self._troubles, LONGEST_REST.total_seconds())
        self._troubles = min(self._troubles + 1, 30)
        self._open_until = self._clock() + rest

    def report_mail_refused(self) -> None:
        """The server let us in but refused MAIL: trouble of one mail (its size, say), until it happens in a row."""
        self._refusals += 1
        if self._refusals >= _MAIL_REFUSALS:
            self.report_trouble()

    def report_well(self) -> None:
        """The server let us in and took a MAIL."""
        self._troubles = self._refusals = 0
        self._open_until = 0.0
