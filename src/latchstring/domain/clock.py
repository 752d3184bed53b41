"""The clock: aware UTC instants, truncated to milliseconds, the precision of both databases."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the present instant in UTC, truncated to milliseconds."""
    return to_millisecond(datetime.now(UTC))


def to_millisecond(now: datetime) -> datetime:
    """Truncate an instant to milliseconds, so that it equals its stored value."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def format_rfc3339(now: datetime, precision: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """Format an aware instant as RFC 3339 text in UTC: `2026-03-01T09:30:00.000Z`."""
    return now.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
