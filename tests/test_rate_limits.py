"""Rate limits: their counters, the client address behind proxies, and disabling them."""

from typing import Any
from uuid import UUID

import httpx2
import pytest

from latchstring import rate_limits as limits_module
from latchstring.domain.errors import TooManyRequests
from latchstring.domain.settings import Limits
from latchstring.http.client_address import client_address, client_network, client_prefix
from latchstring.rate_limits import CountersInMemory, Limiter
from tests.support.sample_app import USER_ID

TIGHT = Limits(per_inviter="2/hour", per_recipient="1/day", per_address_prefix="1/minute", login_per_account="1/minute")


def scope_from(client: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"client": (client, 1) if client else None, "headers": headers}


NETWORK = "198.51.100.0/24"


async def test_over_the_limit_is_429_with_the_time_to_wait(limited_client: httpx2.AsyncClient) -> None:
    for _ in range(2):
        assert (await limited_client.post("/api/lenient", json={})).status_code == 200
    response = await limited_client.post("/api/lenient", json={})
    assert (response.status_code, response.json()["code"]) == (429, "too-many-requests")
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert (await limited_client.post("/api/optional")).status_code == 200


def test_each_subject_has_its_own_counter() -> None:
    limiter = Limiter(TIGHT)
    for inviter in (USER_ID, UUID(int=1)):
        limiter.check_inviter(inviter)
        limiter.check_inviter(inviter)
        with pytest.raises(TooManyRequests):
            limiter.check_inviter(inviter)
    limiter.check_recipient("ada@people.test")
    with pytest.raises(TooManyRequests):
        limiter.check_recipient("ada@people.test")
    limiter.check_login("ada@people.test", NETWORK)
    with pytest.raises(TooManyRequests):
        limiter.check_login("ada@people.test", NETWORK)


def test_failed_logins_of_other_networks_do_not_lock_a_user_out() -> None:
    limiter = Limiter(TIGHT)
    for number in range(9):
        limiter.check_login("ada@people.test", f"192.0.{number}.0/24")
    limiter.check_login("ada@people.test", NETWORK)
    with pytest.raises(TooManyRequests):  # attempts from many networks are limited as well
        limiter.check_login("ada@people.test", "203.0.113.0/24")


def test_several_rates_apply_together() -> None:
    limiter = Limiter(Limits(per_inviter="100/minute; 2/hour"))
    limiter.check_inviter(USER_ID)
    limiter.check_inviter(USER_ID)
    with pytest.raises(TooManyRequests) as refused:
        limiter.check_inviter(USER_ID)
    assert refused.value.retry_after_seconds > 60


def test_the_operator_has_no_limit() -> None:
    limiter = Limiter(TIGHT)
    for _ in range(10):
        limiter.check_inviter(None)


def test_all_limits_can_be_disabled() -> None:
    limiter = Limiter(Limits(enabled=False, per_inviter="1/day", per_recipient="1/day", login_per_account="1/day"))
    for _ in range(10):
        limiter.check_inviter(USER_ID)
        limiter.check_recipient("a@b.test")
        limiter.check_login("a@b.test", NETWORK)
        limiter.check_client(client_network(scope_from("192.0.2.1"), TIGHT))


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),  # not a trusted proxy, so its header is ignored
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.7, 10.0.0.2"), "198.51.100.7"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("198.51.100.7:4711",), "198.51.100.7"),
        ("10.0.0.1", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        (None, (), None),
    ],
)
def test_the_client_is_the_last_hop_that_is_not_a_trusted_proxy(
    client: str | None, forwarded: tuple[str, ...], expected: str | None
) -> None:
    address = client_address(scope_from(client, *forwarded), ("10.0.0.0/8",))
    assert (None if address is None else str(address)) == expected


def test_clients_of_one_network_share_a_counter() -> None:
    limiter = Limiter(TIGHT)
    limiter.check_client(client_network(scope_from("192.0.2.1"), TIGHT))
    with pytest.raises(TooManyRequests):
        limiter.check_client(client_network(scope_from("192.0.2.250"), TIGHT))
    limiter.check_client(client_network(scope_from("192.0.3.1"), TIGHT))
    limiter.check_client(client_network(scope_from("2001:db8:0:1::1"), TIGHT))
    with pytest.raises(TooManyRequests):
        limiter.check_client(client_network(scope_from("2001:db8:0:1:ffff::2"), TIGHT))
    assert client_prefix(None) == "unknown"


def test_a_login_counter_has_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = CountersInMemory()
    monkeypatch.setattr(limits_module, "CountersInMemory", lambda: counters)
    limiter = Limiter(TIGHT)
    limiter.check_login("x" * 1_000_000, NETWORK)
    with pytest.raises(TooManyRequests):
        limiter.check_login("x" * 1_000_000, NETWORK)
    limiter.check_login("y" * 1_000_000, NETWORK)
    assert all(len(key) < 200 for key in counters._counters)  # private, but the size of its keys is what is tested


def test_counters_are_removed_after_their_period_or_above_the_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("latchstring.rate_limits.time.time", lambda: now)
    monkeypatch.setattr(limits_module, "MAX_COUNTERS", 3)
    counters = CountersInMemory()
    assert [counters.incr("a", 10), counters.incr("a", 10), counters.incr("b", 10)] == [1, 2, 1]
    now = 1010.0
    assert (counters.get("a"), counters.incr("a", 10)) == (0, 1)
    for name in "cdefg":
        counters.incr(name, 10)
    assert counters.reset() <= 3
