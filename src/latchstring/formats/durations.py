"""ISO 8601 durations in units of fixed length: weeks, days, hours, minutes, seconds, but not months and years."""

import re
from datetime import timedelta

# The limited digits keep every duration within the range of timedelta.
_DURATION = re.compile(
    r"P(?=[0-9T])(?:(\d{1,6})W|(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,8})(?:\.(\d{1,3}))?S)?)?)",
    re.ASCII,
)


def parse_duration(text: str, *, allow_fractions: bool = False) -> timedelta | None:
    """Parse a duration such as `P7D`, `PT12H` or `P1W`. Returns None for other text.

    allow_fractions: whether seconds may have up to three decimal places, as in `PT0.5S`.
    """
    match = _DURATION.fullmatch(text)
    if match is None or (match[6] and not allow_fractions):
        return None
    weeks, days, hours, minutes, seconds = (int(digits or 0) for digits in match.groups()[:5])
    milliseconds = int((match[6] or "0").ljust(3, "0"))
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def format_duration(span: timedelta) -> str:
    """Format a duration to the second, as `parse_duration` reads it: `P7D`, `PT12H`, `P1DT30M`."""
    days, seconds = span.days, span.seconds
    amounts = ((seconds // 3600, "H"), (seconds % 3600 // 60, "M"), (seconds % 60, "S"))
    time = "".join(f"{amount}{unit}" for amount, unit in amounts if amount)
    date = f"{days}D" if days else ""
    return f"P{date}T{time}" if time else f"P{date or 'T0S'}"


def format_in_words(span: timedelta) -> str:
    """A duration in its largest whole unit: `7 days`, `1 hour`."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}{'' if seconds == size else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
