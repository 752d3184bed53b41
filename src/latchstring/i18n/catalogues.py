"""Words and dates in the reader's language.

English is the message id, so English needs no catalogue. Every other language is a folder `locales/<tag>/` with one
`.po` file per domain; the files are read at first use and compiled in memory, so nothing generated is kept.
"""

import gettext
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import ceil
from typing import Literal

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date as babel_date
from babel.dates import (
    format_skeleton,
    format_time,
    format_timedelta,
    get_datetime_format,
    get_timezone,
    get_timezone_location,
)
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE = "en"
PSEUDO = "en-XA"  # English made longer and stranger, for those who build pages; see `pseudo`
_LONGEST_TAG = 35  # RFC 5646, section 4.4.1: what every implementation holds
_SECOND = timedelta(seconds=1)
_DAYS_COUNTED = 31
_SCRIPT_LENGTH, _REGION_LENGTH = 4, 2  # of subtags, RFC 5646 sections 2.2.3 and 2.2.4


def _folder() -> Traversable:
    return files("latchstring.i18n") / "locales"


@cache
def available_locales() -> tuple[str, ...]:
    """The languages we speak as BCP 47 tags, English first."""
    found = sorted(entry.name for entry in _folder().iterdir() if entry.is_dir() and not entry.name.startswith("_"))
    return (SOURCE, *(name for name in found if name != SOURCE))


@cache
def translations(domain: str, locale: str) -> gettext.NullTranslations:
    """The catalogue of a domain ("mail", "pages"); a language or domain without one speaks English."""
    if locale == PSEUDO:
        return _Pseudo()
    found = _match(locale)
    if found is None or found == SOURCE:
        return gettext.NullTranslations()
    file = _folder() / found / f"{domain}.po"
    if not file.is_file():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(file.read_bytes()), locale=found.replace("-", "_")))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def negotiate(wanted: Sequence[str | None], default: str) -> str:
    """The first wanted language we speak, else the default's.

    Each is looked up by RFC 4647, section 3.4 (`de-AT` is served by `de`), then by the script its readers use (`pt` and
    `pt-PT` are served by `pt-BR`, `zh-CN` by `zh-Hans`, `zh-TW` is not). What is no tag at all is passed over. The
    pseudo-language is spoken where configuration makes it the default, and never because a visitor wants it.
    """
    for tag in wanted:
        found = _match(tag) if tag else None
        if found:
            return found
    return PSEUDO if default == PSEUDO else _match(default) or SOURCE


def accepted_languages(header: str | None) -> list[str]:
    """The tags of an Accept-Language header, best first, for `negotiate`. Never raises."""
    ranked = [(_quality(part), part.split(";", 1)[0].strip()) for part in (header or "")[:1000].split(",")]
    ordered = sorted(ranked, key=lambda pair: -pair[0])  # a stable sort: equal qualities keep the reader's order
    return [tag for quality, tag in ordered if tag and tag != "*" and quality > 0]


def is_language_tag(text: str) -> bool:
    """Whether the text is a well-formed language tag that we can format dates for."""
    return _babel(text) is not None


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


@lru_cache(maxsize=1024)  # strangers name the tags
def _match(tag: str) -> str | None:
    if len(tag) > _LONGEST_TAG:
        return None
    parts = tag.strip().replace("_", "-").lower().split("-")
    parts[0] = get_global("language_aliases").get(parts[0], parts[0])  # `iw` of old means `he`
    return _truncated(parts) or _in_the_same_script(parts)


def _truncated(parts: Sequence[str]) -> str | None:
    known, left = _by_lower_case(), list(parts)
    while left:
        found = known.get("-".join(left))
        if found:
            return found
        left.pop()
        if left and len(left[-1]) == 1:  # a singleton goes with what followed it
            left.pop()
    return None


def _in_the_same_script(parts: Sequence[str]) -> str | None:
    """A language of ours that differs in its region only: better than a foreign one."""
    script = _script_of(parts)
    near = (name for low, name in _by_lower_case().items() if low.partition("-")[0] == parts[0])
    return next((name for name in near if _script_of(name.split("-")) == script), None)


def _script_of(parts: Sequence[str]) -> str:
    """The script a tag names, or the one its readers use most (Unicode CLDR, likely subtags)."""
    language, *rest = parts
    named = next((part.title() for part in rest if len(part) == _SCRIPT_LENGTH and part.isalpha()), "")
    region = next((part.upper() for part in rest if len(part) == _REGION_LENGTH), "")
    likely = get_global("likely_subtags")
    full = likely.get(f"{language}_{region}") or likely.get(language) or ""
    return named or next((part for part in full.split("_")[1:] if len(part) == _SCRIPT_LENGTH), "")


@cache
def _by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in available_locales()}


def _quality(part: str) -> float:
    _, _, weight = part.partition(";")
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def _dates(locale: str) -> Locale:
    # plain English means the day before the month and 24 hours here, as the house writes them
    first: Iterable[str] = ("en-GB",) if locale == SOURCE else (locale, SOURCE)
    return next(found for tag in (*first, "en-GB") if (found := _babel(tag)) is not None)


@cache
def _babel(tag: str) -> Locale | None:
    if len(tag) > _LONGEST_TAG:
        return None
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None


# ---- the pseudo-language ---------------------------------------------------------------------------------------------

_FIXED = re.compile(r"(%\(\w+\)s|<[^>]+>|&\w+;)")  # placeholders and markup stay what they are
_STRANGE = str.maketrans("aceinouyACEINOUY", "áçéîñöûýÁÇÉÎÑÖÛÝ")
_LONGER_BY = 0.4
_FRAME = 3  # the brackets and the blank


def pseudo(text: str) -> str:
    """English as a stranger language: two fifths longer, with accents, in brackets that show where a text is cut."""
    parts = _FIXED.split(text)
    letters = sum(len(part) for part in parts[::2])
    strange = "".join(part if place % 2 else part.translate(_STRANGE) for place, part in enumerate(parts))
    return f"[{strange} {'~' * max(1, ceil(letters * _LONGER_BY) - _FRAME)}]" if text else text


class _Pseudo(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(super().ngettext(msgid1, msgid2, n))
