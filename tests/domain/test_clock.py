"""Formatting of instants."""

from datetime import UTC, datetime, timedelta, timezone

from latchstring.domain.clock import format_rfc3339

INSTANT = datetime(2026, 3, 1, 9, 30, 5, 123_456, tzinfo=UTC)


def test_an_instant_is_formatted_in_utc_with_the_given_precision() -> None:
    assert format_rfc3339(INSTANT) == "2026-03-01T09:30:05.123Z"
    assert format_rfc3339(INSTANT, "seconds") == "2026-03-01T09:30:05Z"
    assert format_rfc3339(INSTANT.astimezone(timezone(timedelta(hours=-5)))) == "2026-03-01T09:30:05.123Z"
