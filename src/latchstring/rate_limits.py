"""Rates: how often one inviter, one recipient, one network and one login may come, counted in this process.

Counting in memory makes each process generous by itself; it bounds a flood and costs no round trip. Limits that must
hold to the letter (a fresh link once in five minutes) are kept in rows by their services.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from limits import RateLimitItem, parse_many
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import TooManyRequests
from latchstring.domain.settings import Limits

MOST_COUNTERS = 100_000  # about 20 MB; beyond, the oldest counter is forgotten


class CountersInMemory(Storage):
    """Counters that cost the same however many there are.

    The memory storage of the library walks all counters in a thread of its own after each hit, so a flood of
    different addresses would make every request slower. Here each hit looks at two old counters at most.
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._counters: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        self._forget_old(now)
        count, ends_at = self._counters.get(key, (0, 0.0))
        if ends_at <= now:
            self._counters.pop(key, None)
            count, ends_at = 0, now + expiry
        self._counters[key] = (count + amount, ends_at)
        return count + amount

    def get(self, key: str) -> int:
        count, ends_at = self._counters.get(key, (0, 0.0))
        return count if ends_at > time.time() else 0

    def get_expiry(self, key: str) -> float:
        return self._counters.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        self._counters.pop(key, None)

    def _forget_old(self, now: float) -> None:
        for _ in range(2):
            oldest = next(iter(self._counters.items()), None)
            if oldest is None or (oldest[1][1] > now and len(self._counters) < MOST_COUNTERS):
                return
            del self._counters[oldest[0]]


_TEST_MAILS = parse_many("30/hour")  # every message in a few languages, and no way to flood a mailbox


class Limiter:
    """Counts what the limits of an installation bound. Every check counts one and raises TooManyRequests."""

    def __init__(self, limits: Limits) -> None:
        self._enabled = limits.enabled
        self._rates = FixedWindowRateLimiter(CountersInMemory())
        self._per_inviter = parse_many(limits.per_inviter)
        self._per_recipient = parse_many(limits.per_recipient)
        self._per_address_prefix = parse_many(limits.per_address_prefix)
        self._login = parse_many(limits.login_per_account)
        self._login_anywhere = [type(rate)(rate.amount * 10, rate.multiples) for rate in self._login]

    def check_inviter(self, inviter: UUID | None) -> None:
        """Before one sends an invitation. None, the operator, is not bounded."""
        if inviter is not None:
            self._check(self._per_inviter, "inviter", inviter.hex)

    def check_test_mail(self, admin: UUID) -> None:
        """Before an administrator has a sample sent to an address of his choosing."""
        self._check(_TEST_MAILS, "test-mail", admin.hex)

    def check_recipient(self, email_key: str) -> None:
        """Before a mail to this address is asked for."""
        self._check(self._per_recipient, "recipient", email_key)

    def check_invited(self, email_key: str, *, by: Actor) -> None:
        """Before an invitation is mailed to this address. The operator is not bounded."""
        if by.type is not ActorType.OPERATOR:
            self.check_recipient(email_key)

    def check_requested(self, email_key: str) -> None:
        """Before a stranger has a mail sent to this address; counted apart, or anybody could use up its invitations."""
        self._check(self._per_recipient, "requested", email_key)

    def check_login(self, email_key: str, network: str) -> None:
        """Before a password is looked at; the address counts whether or not an account has it.

        Counted for each network apart, so that a stranger who guesses does not lock the person out; the sum of all
        networks is bounded, too, ten times higher. The address may be any text of a stranger's, so counters hold a
        digest: a megabyte each would fill the memory.
        """
        if self._enabled:
            account = hashlib.sha256(email_key.encode()).hexdigest()
            self._check(self._login, "login", account, network)
            self._check(self._login_anywhere, "login-anywhere", account)

    def check_code(self, email_key: str) -> None:
        """Before a one-time code is looked at. Whoever is asked for one has the password already, so all networks count
        as one: from many of them, a million codes would soon be tried.
        """
        if self._enabled:
            self._check(self._login, "code", email_key)

    def check_client(self, network: str) -> None:
        """Before an anonymous caller costs anything: by the /24 or /64 the request comes from."""
        if self._enabled:
            self._check(self._per_address_prefix, "client", network)

    def _check(self, rates: Sequence[RateLimitItem], *key: str) -> None:
        if not self._enabled:
            return
        for rate in rates:
            if not self._rates.hit(rate, *key):
                waiting = self._rates.get_window_stats(rate, *key).reset_time - time.time()
                raise TooManyRequests(max(1, math.ceil(waiting)))


def recipient_rates(limits: Limits) -> tuple[tuple[int, timedelta], ...]:
    """How many invitations one address gets in what time, for rows of many: those are counted in the database."""
    rates = parse_many(limits.per_recipient) if limits.enabled else []
    return tuple((rate.amount, timedelta(seconds=rate.get_expiry())) for rate in rates)
