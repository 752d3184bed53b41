"""Rate limits per inviter, recipient, network and login, counted in the memory of this process.

The services count what they do, so that no face can forget it; `rest` and `pages` count the requests of each client.
Each process counts for itself, so several processes together allow more. That bounds a flood and costs no round trip.
Limits that must be exact (a fresh link once in five minutes) are stored in rows by their services.
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

MAX_COUNTERS = 100_000  # about 20 MB; beyond that, the oldest counter is removed


class CountersInMemory(Storage):
    """Counters with a constant cost per hit.

    The memory storage of the library scans all counters in a thread after each hit, so a flood of different addresses
    would make every request slower. Here each hit checks at most two old counters.
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
            if oldest is None or (oldest[1][1] > now and len(self._counters) < MAX_COUNTERS):
                return
            del self._counters[oldest[0]]


_TEST_MAIL_RATES = parse_many("30/hour")  # enough for every message in a few languages, too few to flood a mailbox


class Limiter:
    """Applies the rate limits of an installation. Every check counts one request and may raise TooManyRequests."""

    def __init__(self, limits: Limits) -> None:
        self._enabled = limits.enabled
        self._rates = FixedWindowRateLimiter(CountersInMemory())
        self._per_inviter = parse_many(limits.per_inviter)
        self._per_recipient = parse_many(limits.per_recipient)
        self._per_address_prefix = parse_many(limits.per_address_prefix)
        self._login = parse_many(limits.login_per_account)
        self._login_anywhere = [type(rate)(rate.amount * 10, rate.multiples) for rate in self._login]

    def check_inviter(self, inviter: UUID | None) -> None:
        """Count an invitation for its inviter. None, the operator, has no limit."""
        if inviter is not None:
            self._check(self._per_inviter, "inviter", inviter.hex)

    def check_test_mail(self, admin_id: UUID | None) -> None:
        """Count a test mail that an administrator sends to any address. None, the operator, has no limit."""
        if admin_id is not None:
            self._check(_TEST_MAIL_RATES, "test-mail", admin_id.hex)

    def check_recipient(self, email_key: str) -> None:
        """Count a mail for its recipient."""
        self._check(self._per_recipient, "recipient", email_key)

    def check_invited(self, email_key: str, *, by: Actor) -> None:
        """Count an invitation mail for its recipient. The operator has no limit."""
        if by.type is not ActorType.OPERATOR:
            self.check_recipient(email_key)

    def check_requested(self, email_key: str) -> None:
        """Count a mail that an anonymous client requests for an address.

        Counted apart from invitations: otherwise anyone could use up the limit of an address and block invitations.
        """
        self._check(self._per_recipient, "requested", email_key)

    def check_login(self, email_key: str, network: str) -> None:
        """Count a login before its password is checked, whether or not the address has an account.

        Counted per network, so that an attacker who guesses does not lock the user out. The sum of all networks has a
        limit ten times higher.
        """
        if self._enabled:
            # the address may be any text of the client: counters of a megabyte each would fill the memory
            account = hashlib.sha256(email_key.encode()).hexdigest()
            self._check(self._login, "login", account, network)
            self._check(self._login_anywhere, "login-anywhere", account)

    def check_code(self, email_key: str) -> None:
        """Count a one-time code before it is checked.

        All networks share one counter: the client has proved the password already, and from many networks an attacker
        could soon try a million codes.
        """
        if self._enabled:
            self._check(self._login, "code", email_key)

    def check_client(self, network: str) -> None:
        """Count an anonymous request for its network: the /24 or /64 that it comes from."""
        if self._enabled:
            self._check(self._per_address_prefix, "client", network)

    def _check(self, rates: Sequence[RateLimitItem], *key: str) -> None:
        if not self._enabled:
            return
        for rate in rates:
            if not self._rates.hit(rate, *key):
                seconds_left = self._rates.get_window_stats(rate, *key).reset_time - time.time()
                raise TooManyRequests(max(1, math.ceil(seconds_left)))


def recipient_rates(limits: Limits) -> tuple[tuple[int, timedelta], ...]:
    """How many invitations an address may get in which time, for bulk jobs, which count them in the database."""
    rates = parse_many(limits.per_recipient) if limits.enabled else []
    return tuple((rate.amount, timedelta(seconds=rate.get_expiry())) for rate in rates)
