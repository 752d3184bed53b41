"""Limits for mails in flight, so that a slow recipient domain does not delay the others.

A mail is *sending* until all data is sent, then *waiting* for the server's final reply, possibly for minutes. The two
are counted separately, and no recipient domain gets all slots of either kind.
"""

from collections import Counter
from uuid import UUID

MAX_SENDING = 12
MAX_SENDING_PER_DOMAIN = 9
MAX_IN_FLIGHT = 36
MAX_IN_FLIGHT_PER_DOMAIN = 30
MAX_SLOW_DOMAINS = 1000  # remembered; a forgotten domain gets a few more attempts
RESERVED = 2  # of the sending ones, for mails that a user waits for


class DomainBusy(Exception):
    """The domain has no free slot. seconds: when to try again."""

    def __init__(self, seconds: float = 1.0) -> None:
        super().__init__()
        self.seconds = seconds


class Slots:
    """The slots of mails in flight."""

    def __init__(self, per_domain: int = MAX_SENDING_PER_DOMAIN) -> None:
        self._per_domain = per_domain
        self._sending: dict[UUID, str] = {}  # domain by mail, empty while unknown
        self._waiting: dict[UUID, str] = {}
        self._slow: set[str] = set()

    def free(self) -> int:
        """Return how many more mails may be started."""
        in_flight = len(self._sending) + len(self._waiting)
        return max(0, min(MAX_SENDING - len(self._sending), MAX_IN_FLIGHT - in_flight))

    def begin(self, mail_id: UUID) -> None:
        """Take a slot for a claimed mail."""
        self._sending[mail_id] = ""

    def assign_domain(self, mail_id: UUID, domain: str) -> None:
        """Set the domain of a mail. Raises DomainBusy."""
        sending, in_flight = Counter(self._sending.values()), Counter(self._waiting.values())
        in_flight.update(sending)
        limit = 1 if domain in self._slow else self._per_domain
        if sending[domain] >= limit or in_flight[domain] >= MAX_IN_FLIGHT_PER_DOMAIN:
            raise DomainBusy
        self._sending[mail_id] = domain

    def begin_waiting(self, mail_id: UUID) -> None:
        """Move a mail from sending to waiting."""
        self._waiting[mail_id] = self._sending.pop(mail_id)

    def is_waiting(self, mail_id: UUID) -> bool:
        """Whether all data of the mail is sent."""
        return mail_id in self._waiting

    def end(self, mail_id: UUID, *, was_deferred: bool | None = None) -> None:
        """Free the slot of a mail. was_deferred: limit the domain to one mail at a time until it accepts one."""
        domain = self._sending.pop(mail_id, "") or self._waiting.pop(mail_id, "")
        if was_deferred and domain:
            if len(self._slow) >= MAX_SLOW_DOMAINS:
                self._slow.clear()
            self._slow.add(domain)
        elif was_deferred is False:
            self._slow.discard(domain)
