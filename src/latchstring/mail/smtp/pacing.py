"""The rate limit of mails per minute and recipient domain in this process."""

import time
from collections.abc import Callable
from uuid import UUID

from latchstring.domain.settings import PaceRules

MAX_REMEMBERED = 200_000
MINUTE = 60.0


class Pace:
    """Assigns each mail to a rate-limited domain its own moment.

    A mail that comes back at its moment may be sent. So each waiting mail is claimed twice, and not every second.
    """

    def __init__(self, rules: PaceRules, ticks: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._ticks = ticks
        self._next: dict[str, float] = {}  # the next free moment of each domain
        self._moments: dict[UUID, float] = {}

    def seconds_until(self, mail_id: UUID, domain: str) -> float:
        """Return how long the mail has to wait; 0 when it may be sent now."""
        rate = self._rules.domains.get(domain, self._rules.per_minute)
        if rate <= 0:
            return 0.0
        now = self._ticks()
        moment = self._moments.pop(mail_id, None)
        if moment is None:
            moment = max(now, self._next.get(domain, 0.0))
            self._next[domain] = moment + MINUTE / rate
        if moment <= now:
            return 0.0
        if len(self._moments) >= MAX_REMEMBERED:
            self._moments.clear()
            self._next.clear()
        self._moments[mail_id] = moment
        return moment - now
