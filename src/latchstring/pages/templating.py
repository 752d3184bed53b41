"""The Jinja2 environment of all pages: autoescape, strict undefined names, gettext.

The language of a rendering is the `locale` of its context. Renderings share no state, so one environment serves all
languages.
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

PAGES = "pages"  # the gettext domain of the invitee pages; a context may set another as `domain`
FACES = ("latchstring.invitee", "latchstring.admin")
PACKAGES = (*FACES, "latchstring.pages")  # packages with a folder `templates`

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


@cache
def environment() -> Environment:
    """Create the environment, once."""
    jinja = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in PACKAGES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=[InternationalizationExtension],
    )
    jinja.globals["asset"] = asset_url
    jinja.policies["ext.i18n.trimmed"] = True
    jinja.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]  # by the extension
    jinja.filters |= {
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
    return jinja


def render(template: str, values: Mapping[str, object]) -> str:
    """Render a template. values must contain `locale` and every name that the template uses."""
    return environment().get_template(template).render(values)


def isolated(text: str) -> str:
    """Isolate the direction of a name with control characters, where markup is not possible (UAX 9)."""
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"


def initials(name: str) -> str:
    """At most two initials: of the first and of the last word of a name."""
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def as_json(value: object) -> str:
    """Format data of an app as JSON. Templates escape the result like any text."""
    return json.dumps(value, ensure_ascii=False, indent=1)


@lru_cache(maxsize=512)  # tags also come from unauthenticated clients
def autonym(locale: str) -> str:
    """The name of a language in itself, with its region or script if the tag has one; an unknown tag unchanged."""
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
def _ngettext(context: Context, singular: str, plural: str, number: int) -> str:
    return translations(context.get("domain", PAGES), context["locale"]).ngettext(singular, plural, number)


@pass_context
def _listed(context: Context, items: Iterable[object]) -> Markup:
    """Join items in the style of the language: "A, B and C". Items are escaped; CLDR patterns are plain text."""
    safe = [str(escape(item)) for item in items]
    return Markup(format_list(safe, locale=_formats(context["locale"])))  # noqa: S704  # every part is escaped above


@pass_context
def _instant(context: Context, at: datetime) -> str:
    return format_instant(at, context["locale"])


@pass_context
def _day(context: Context, at: datetime) -> str:
    return format_date(at, context["locale"])


@pass_context
def _short(context: Context, at: datetime) -> str:
    """Date and time in the short format of tables, in UTC."""
    return format_short(at, context["locale"])


@pass_context
def _clock(context: Context, at: datetime) -> str:
    """The time of day, in UTC."""
    return format_clock(at, context["locale"])


@pass_context
def _relative(context: Context, at: datetime, now: datetime) -> str:
    """The distance of an instant from now: `4 days ago`, `in 7 days`."""
    return format_relative(at, now, context["locale"])


@pass_context
def _moment(context: Context, at: datetime, now: datetime) -> Markup:
    """The same as a `<time>` element, with the exact instant in `datetime` and in the title."""
    locale = context["locale"]
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _iso_seconds(at), format_instant(at, locale), format_relative(at, now, locale)
    )


def _iso_seconds(at: datetime) -> str:
    return format_rfc3339(at, "seconds")


def _formats(locale: str) -> Locale:
    return Locale.parse(
        "en-GB" if locale in {"en", PSEUDO} else locale, sep="-"
    )  # "A, B and C", without the comma of en-US
