"""Formats dates and times in a language, and returns its writing direction."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date as babel_date
from babel.dates import (
    format_skeleton,
    format_time,
    format_timedelta,
    get_datetime_format,
    get_timezone,
    get_timezone_location,
)

from latchstring.domain.language_tag import MAX_LANGUAGE_TAG_LENGTH
from latchstring.i18n.negotiation import SOURCE

_SECOND = timedelta(seconds=1)
_MAX_DAYS = 31


def text_direction(locale: str) -> Literal["ltr", "rtl"]:
    """Return the writing direction of a language."""
    parsed = _parse_locale(locale)
    return "rtl" if parsed is not None and parsed.text_direction == "rtl" else "ltr"


def format_date(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """Format a date with weekday, as in `Friday 27 November 2026`."""
    pattern = "EEEE d MMMM y" if locale == SOURCE else "full"  # no comma after the English weekday
    return babel_date(at.astimezone(get_timezone(zone)), pattern, locale=_date_locale(locale))


def format_instant(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """Format date, time and time zone, as in `Friday 27 November 2026, 10:40 (UTC)`."""
    dates = _date_locale(locale)
    joined = _append_time(format_date(at, locale, zone=zone), at, dates, zone)
    zone_name = zone if zone == "UTC" else get_timezone_location(zone, locale=dates, return_city=True)
    return f"{joined} ({zone_name})"


def format_short(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """Format date and time for tables and timelines, as in `27 Nov 2026, 10:40`, without the time zone."""
    dates = _date_locale(locale)
    day = format_skeleton("yMMMd", at, tzinfo=get_timezone(zone), locale=dates)
    return _append_time(day, at, dates, zone)


def format_clock(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """Format the time of day with its time zone, as in `10:40 UTC`."""
    return f"{format_time(at, 'short', tzinfo=get_timezone(zone), locale=_date_locale(locale))} {zone}"


def format_relative(at: datetime, now: datetime, locale: str) -> str:
    """Format the distance to an instant, as in `4 days ago` or `in 7 days`: in days up to a month, never in weeks."""
    distance = at - now
    if abs(distance) < _SECOND:
        distance = -_SECOND  # avoids "in 0 seconds"
    days = abs(distance) / timedelta(days=1)
    # Babel uses the first unit whose count reaches the threshold. This one skips weeks, so that days follow.
    threshold = max(1.0, days / 7 + 0.01) if days < _MAX_DAYS else 1.0
    return format_timedelta(distance, threshold=threshold, add_direction=True, locale=_date_locale(locale))


def _append_time(day: str, at: datetime, dates: Locale, zone: str) -> str:
    time = format_time(at, "short", tzinfo=get_timezone(zone), locale=dates)
    return str(get_datetime_format("medium", locale=dates)).replace("{0}", time).replace("{1}", day)


def _date_locale(locale: str) -> Locale:
    # English without a region uses British formats: day before month, and 24 hours
    preferred: Iterable[str] = ("en-GB",) if locale == SOURCE else (locale, SOURCE)
    return next(parsed for tag in (*preferred, "en-GB") if (parsed := _parse_locale(tag)) is not None)


@cache
def _parse_locale(tag: str) -> Locale | None:
    if len(tag) > MAX_LANGUAGE_TAG_LENGTH:
        return None
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None
