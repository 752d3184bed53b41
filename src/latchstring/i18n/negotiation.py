"""Which language a reader gets: what is wanted, matched with the languages there are (RFC 4647)."""

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from babel.core import get_global

from latchstring.domain.language_tag import MAX_LANGUAGE_TAG_LENGTH
from latchstring.i18n.pseudo import PSEUDO

SOURCE = "en"
_SCRIPT_LENGTH, _REGION_LENGTH = 4, 2  # of subtags, RFC 5646 sections 2.2.3 and 2.2.4


def locale_folder() -> Traversable:
    """Where the catalogues are, a folder for each language."""
    return files("latchstring.i18n") / "locales"


@cache
def available_locales() -> tuple[str, ...]:
    """The languages we speak as BCP 47 tags, English first."""
    found = sorted(
        entry.name for entry in locale_folder().iterdir() if entry.is_dir() and not entry.name.startswith("_")
    )
    return (SOURCE, *(name for name in found if name != SOURCE))


def negotiate(wanted: Sequence[str | None], default: str) -> str:
    """The first wanted language we speak, else the default's.

    Each is looked up by RFC 4647, section 3.4 (`de-AT` is served by `de`), then by the script its readers use (`pt` and
    `pt-PT` are served by `pt-BR`, `zh-CN` by `zh-Hans`, `zh-TW` is not). What is no tag at all is passed over. The
    pseudo-language is spoken where configuration makes it the default, and never because a visitor wants it.
    """
    for tag in wanted:
        found = find_locale(tag) if tag else None
        if found:
            return found
    return PSEUDO if default == PSEUDO else find_locale(default) or SOURCE


def accepted_languages(header: str | None) -> list[str]:
    """The tags of an Accept-Language header, best first, for `negotiate`. Never raises."""
    ranked = [(_quality(part), part.split(";", 1)[0].strip()) for part in (header or "")[:1000].split(",")]
    ordered = sorted(ranked, key=lambda pair: -pair[0])  # a stable sort: equal qualities keep the reader's order
    return [tag for quality, tag in ordered if tag and tag != "*" and quality > 0]


@lru_cache(maxsize=1024)  # strangers name the tags
def find_locale(tag: str) -> str | None:
    """The language of ours that serves a tag; None when there is none."""
    if len(tag) > MAX_LANGUAGE_TAG_LENGTH:
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
