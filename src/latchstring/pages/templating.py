"""The one Jinja2 environment of all pages: escaped by default, unknown names fail, words by gettext.

A template speaks the language of its context's `locale`; nothing is kept between two renderings, so one environment
serves every language at once.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.ext import InternationalizationExtension
from jinja2.runtime import Context
from markupsafe import Markup, escape

from latchstring.domain.clock import format_rfc3339
from latchstring.i18n.catalogues import translations
from latchstring.i18n.dates import format_clock, format_date, format_instant, format_relative, format_short
from latchstring.i18n.pseudo import PSEUDO, pseudo
from latchstring.pages.assets import asset_url

PAGES = "pages"  # the words of the invited person's pages; a context with `domain` speaks another
FACES = ("latchstring.invitee", "latchstring.admin")
PACKAGES = (*FACES, "latchstring.pages")  # packages with a folder `templates`

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


@cache
def environment() -> Environment:
    """The environment, made once."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in PACKAGES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=[InternationalizationExtension],
    )
    made.globals["asset"] = asset_url
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]  # by the extension
    made.filters |= {
        "isolated": isolated,
        "listed": _listed,
        "instant": _instant,
        "day": _day,
        "iso": _iso_seconds,
        "short": _short,
        "clock": _clock,
        "relative": _relative,
        "moment": _moment,
        "initials": initials,
        "autonym": autonym,
        "json": as_json,
    }
    return made


def render(template: str, values: Mapping[str, object]) -> str:
    """The page as text. values must hold `locale`; a name the template needs and does not get is an error."""
    return environment().get_template(template).render(values)


def isolated(text: str) -> str:
    """A name for places that take no markup (a title), kept from turning the text around it (Unicode UAX 9)."""
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"


def initials(name: str) -> str:
    """At most two letters that stand for a name: the first of its first and of its last word."""
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def as_json(value: object) -> str:
    """Data of an app as it sent them, to be read by people; escaped like any other text."""
    return json.dumps(value, ensure_ascii=False, indent=1)


@lru_cache(maxsize=512)  # tags come from strangers, too
def autonym(locale: str) -> str:
    """The language's name for itself, with its region or script where the tag names one; an unknown tag as it is."""
    if locale == PSEUDO:
        return pseudo("English")
    try:
        known = Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        return locale
    name = known.get_display_name() if known.territory or known.script else known.get_language_name()
    return (name or locale)[:1].upper() + (name or locale)[1:]


@pass_context
def _gettext(context: Context, message: str) -> str:
    return translations(context.get("domain", PAGES), context["locale"]).gettext(message)


@pass_context
def _ngettext(context: Context, one: str, many: str, number: int) -> str:
    return translations(context.get("domain", PAGES), context["locale"]).ngettext(one, many, number)


@pass_context
def _listed(context: Context, items: Iterable[object]) -> Markup:
    """Several things as the language lists them: "A, B and C". Each is escaped; CLDR's patterns are plain text."""
    safe = [str(escape(item)) for item in items]
    return Markup(format_list(safe, locale=_formats(context["locale"])))  # noqa: S704  # every part is escaped above


@pass_context
def _instant(context: Context, now: datetime) -> str:
    return format_instant(now, context["locale"])


@pass_context
def _day(context: Context, now: datetime) -> str:
    return format_date(now, context["locale"])


@pass_context
def _short(context: Context, now: datetime) -> str:
    """Day and time as tables show them, in UTC."""
    return format_short(now, context["locale"])


@pass_context
def _clock(context: Context, now: datetime) -> str:
    """The time of day, in UTC."""
    return format_clock(now, context["locale"])


@pass_context
def _relative(context: Context, at: datetime, now: datetime) -> str:
    """How far an instant is from now: `4 days ago`, `in 7 days`."""
    return format_relative(at, now, context["locale"])


@pass_context
def _moment(context: Context, at: datetime, now: datetime) -> Markup:
    """The same as a `<time>` that says the whole instant to programs, and to whoever points at it."""
    locale = context["locale"]
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _iso_seconds(at), format_instant(at, locale), format_relative(at, now, locale)
    )


def _iso_seconds(now: datetime) -> str:
    return format_rfc3339(now, "seconds")


def _formats(locale: str) -> Locale:
    return Locale.parse("en-GB" if locale in {"en", PSEUDO} else locale, sep="-")  # "A, B and C", as the house writes
