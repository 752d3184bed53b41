"""How many mails may be under way, so that nobody's slowness stops the others.

A mail is *talking* until everything is said, then *waiting* for the server's last word, for minutes if need be. The
two are counted apart, and no recipient domain gets all places of either kind.
"""

from collections import Counter
from uuid import UUID

TALKING = 12
TALKING_PER_DOMAIN = 9
MAX_IN_FLIGHT = 36
MAX_IN_FLIGHT_PER_DOMAIN = 30
MOST_SLOW_DOMAINS = 1000  # remembered; forgetting one costs it a few more tries
RESERVED = 2  # of the talking ones, for mails somebody waits for at the screen


class DomainBusy(Exception):
    """The domain has its share already. seconds: when to look again."""

    def __init__(self, seconds: float = 1.0) -> None:
        super().__init__()
        self.seconds = seconds


class Slots:
    """Places taken by mails."""

    def __init__(self, per_domain: int = TALKING_PER_DOMAIN) -> None:
        self._per_domain = per_domain
        self._talking: dict[UUID, str] = {}  # to which domain, empty as long as nobody knows
        self._waiting: dict[UUID, str] = {}
        self._slow: set[str] = set()

    def free(self) -> int:
        """How many more mails may be begun."""
        under_way = len(self._talking) + len(self._waiting)
        return max(0, min(TALKING - len(self._talking), MAX_IN_FLIGHT - under_way))

    def begin(self, mail_id: UUID) -> None:
        """A mail was claimed."""
        self._talking[mail_id] = ""

    def name_domain(self, mail_id: UUID, domain: str) -> None:
        """The mail's domain is known now. Raises DomainBusy."""
        talking, all_of_them = Counter(self._talking.values()), Counter(self._waiting.values())
        all_of_them.update(talking)
        most = 1 if domain in self._slow else self._per_domain
        if talking[domain] >= most or all_of_them[domain] >= MAX_IN_FLIGHT_PER_DOMAIN:
            raise DomainBusy
        self._talking[mail_id] = domain

    def wait_for_last_word(self, mail_id: UUID) -> None:
        """Everything about this mail is said."""
        self._waiting[mail_id] = self._talking.pop(mail_id)

    def is_waiting(self, mail_id: UUID) -> bool:
        """Whether the mail is in the server's hands already."""
        return mail_id in self._waiting

    def end(self, mail_id: UUID, *, put_off: bool | None = None) -> None:
        """The mail is over. put_off: the domain asked for patience, so one at a time goes there until one is taken."""
        domain = self._talking.pop(mail_id, "") or self._waiting.pop(mail_id, "")
        if put_off and domain:
            if len(self._slow) >= MOST_SLOW_DOMAINS:
                self._slow.clear()
            self._slow.add(domain)
        elif put_off is False:
            self._slow.discard(domain)
