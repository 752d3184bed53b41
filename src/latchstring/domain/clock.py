"""The clock: aware UTC instants, cut to the millisecond that both databases keep."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present instant, aware UTC, cut to the millisecond that both databases keep."""
    return to_millisecond(datetime.now(UTC))


def to_millisecond(now: datetime) -> datetime:
    """Cut an instant to whole milliseconds, so that what is stored equals what was meant."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def format_rfc3339(now: datetime, precision: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """An aware instant as RFC 3339 text in UTC: `2026-03-01T09:30:00.000Z`."""
    return now.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
