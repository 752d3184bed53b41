"""Numbers and days in the format of a language, for tables and charts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache

from babel import Locale
from babel.dates import format_skeleton
from babel.numbers import format_decimal, format_percent


@cache
def _formats(locale: str) -> Locale:
    return Locale.parse("en-GB" if locale == "en" else locale, sep="-")  # English dates have the day before the month


def number(locale: str) -> Callable[[int], str]:
    """Whole numbers with grouping: `1,284`."""
    return lambda value: format_decimal(value, locale=_formats(locale))


def share(locale: str) -> Callable[[int, int], str]:
    """A part of a whole in whole percent; empty if the whole is 0."""
    return lambda part, whole: format_percent(part / whole, "#,##0 %", locale=_formats(locale)) if whole else ""


def day(locale: str) -> Callable[[date], str]:
    """A day without its year, short: `22 Oct`."""
    return lambda value: format_skeleton("MMMd", value, locale=_formats(locale))


def long_day(locale: str) -> Callable[[date], str]:
    """A day without its year, long: `22 October`."""
    return lambda value: format_skeleton("MMMMd", value, locale=_formats(locale))


@dataclass(frozen=True, slots=True)
class NumberFormats:
    """The formats that templates use."""

    number: Callable[[int], str]
    share: Callable[[int, int], str]
    day: Callable[[date], str]
    long_day: Callable[[date], str]


@cache
def get_formats(locale: str) -> NumberFormats:
    """All formats of one language."""
    return NumberFormats(number(locale), share(locale), day(locale), long_day(locale))
