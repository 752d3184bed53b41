"""Days, times and the direction of writing, in the reader's language."""

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
_DAYS_COUNTED = 31


def text_direction(locale: str) -> Literal["ltr", "rtl"]:
    """The direction the language is written in."""
    found = _babel(locale)
    return "rtl" if found is not None and found.text_direction == "rtl" else "ltr"


def format_date(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """The day in words, as in `Friday 27 November 2026`."""
    pattern = "EEEE d MMMM y" if locale == SOURCE else "full"  # the house writes English days without a comma
    return babel_date(at.astimezone(get_timezone(zone)), pattern, locale=_dates(locale))


def format_instant(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """Day, time and the zone they are meant in, as in `Friday 27 November 2026, 10:40 (UTC)`."""
    dates = _dates(locale)
    joined = _with_time(format_date(at, locale, zone=zone), at, dates, zone)
    place = zone if zone == "UTC" else get_timezone_location(zone, locale=dates, return_city=True)
    return f"{joined} ({place})"


def format_short(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """Day and time for tables and timelines, as in `27 Nov 2026, 10:40`; say the zone elsewhere."""
    dates = _dates(locale)
    day = format_skeleton("yMMMd", at, tzinfo=get_timezone(zone), locale=dates)
    return _with_time(day, at, dates, zone)


def format_clock(at: datetime, locale: str, *, zone: str = "UTC") -> str:
    """The time of a day that is known already, with its zone, as in `10:40 UTC`."""
    return f"{format_time(at, 'short', tzinfo=get_timezone(zone), locale=_dates(locale))} {zone}"


def format_relative(at: datetime, now: datetime, locale: str) -> str:
    """How far away an instant is, as in `4 days ago` or `in 7 days`. Days count up to a month; weeks say less."""
    distance = at - now
    if abs(distance) < _SECOND:
        distance = -_SECOND  # nothing is "in 0 seconds"
    days = abs(distance) / timedelta(days=1)
    # the first unit of which there are this many is taken: never a week, so days come next
    threshold = max(1.0, days / 7 + 0.01) if days < _DAYS_COUNTED else 1.0
    return format_timedelta(distance, threshold=threshold, add_direction=True, locale=_dates(locale))


def _with_time(day: str, at: datetime, dates: Locale, zone: str) -> str:
    time = format_time(at, "short", tzinfo=get_timezone(zone), locale=dates)
    return str(get_datetime_format("medium", locale=dates)).replace("{0}", time).replace("{1}", day)


def _dates(locale: str) -> Locale:
    # plain English means the day before the month and 24 hours here, as the house writes them
    first: Iterable[str] = ("en-GB",) if locale == SOURCE else (locale, SOURCE)
    return next(found for tag in (*first, "en-GB") if (found := _babel(tag)) is not None)


@cache
def _babel(tag: str) -> Locale | None:
    if len(tag) > MAX_LANGUAGE_TAG_LENGTH:
        return None
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None
