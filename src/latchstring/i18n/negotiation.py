"""Language negotiation: matches the preferred languages of a reader with the available ones (RFC 4647)."""

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
    """Return the folder of the catalogues, which has a folder for each language."""
    return files("latchstring.i18n") / "locales"


@cache
def available_locales() -> tuple[str, ...]:
    """List the available languages as BCP 47 tags, English first."""
    names = sorted(
        entry.name for entry in locale_folder().iterdir() if entry.is_dir() and not entry.name.startswith("_")
    )
    return (SOURCE, *(name for name in names if name != SOURCE))


def negotiate(tags: Sequence[str | None], default: str) -> str:
    """Return the first available language among the tags, otherwise the default.

    Each tag is looked up by RFC 4647, section 3.4 (`de-AT` matches `de`), then by script (`pt` and `pt-PT` match
    `pt-BR`, `zh-CN` matches `zh-Hans`, `zh-TW` matches none). Malformed tags are ignored. The pseudo-language is used
    only if it is the configured default, never because a visitor requests it.
    """
    for tag in tags:
        locale = find_locale(tag) if tag else None
        if locale:
            return locale
    return PSEUDO if default == PSEUDO else find_locale(default) or SOURCE


def accepted_languages(header: str | None) -> list[str]:
    """Parse an Accept-Language header into tags for `negotiate`, in order of preference. Never raises."""
    ranked = [(_parse_quality(part), part.split(";", 1)[0].strip()) for part in (header or "")[:1000].split(",")]
    ordered = sorted(ranked, key=lambda pair: -pair[0])  # a stable sort: equal qualities keep the order of the header
    return [tag for quality, tag in ordered if tag and tag != "*" and quality > 0]


@lru_cache(maxsize=1024)  # bounded, because clients choose the tags
def find_locale(tag: str) -> str | None:
    """Return the available language that matches a tag, None if there is none."""
    if len(tag) > MAX_LANGUAGE_TAG_LENGTH:
        return None
    subtags = tag.strip().replace("_", "-").lower().split("-")
    subtags[0] = get_global("language_aliases").get(subtags[0], subtags[0])  # such as `he` for the deprecated `iw`
    return _find_by_truncation(subtags) or _find_by_script(subtags)


def _find_by_truncation(subtags: Sequence[str]) -> str | None:
    known, remaining = _locales_by_lower_case(), list(subtags)
    while remaining:
        locale = known.get("-".join(remaining))
        if locale:
            return locale
        remaining.pop()
        if (
            remaining and len(remaining[-1]) == 1
        ):  # a singleton is removed with the subtag after it (RFC 4647 section 3.4)
            remaining.pop()
    return None


def _find_by_script(subtags: Sequence[str]) -> str | None:
    """Return an available variant of the same language in the same script."""
    script = find_script(subtags)
    candidates = (name for low, name in _locales_by_lower_case().items() if low.partition("-")[0] == subtags[0])
    return next((name for name in candidates if find_script(name.split("-")) == script), None)


def find_script(subtags: Sequence[str]) -> str:
    """Return the script that a tag names, or its most likely one (Unicode CLDR, likely subtags)."""
    language, *rest = subtags
    named = next((subtag.title() for subtag in rest if len(subtag) == _SCRIPT_LENGTH and subtag.isalpha()), "")
    region = next((subtag.upper() for subtag in rest if len(subtag) == _REGION_LENGTH), "")
    likely = get_global("likely_subtags")
    likely_tag = likely.get(f"{language}_{region}") or likely.get(language) or ""
    return named or next((subtag for subtag in likely_tag.split("_")[1:] if len(subtag) == _SCRIPT_LENGTH), "")


@cache
def _locales_by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in available_locales()}


def _parse_quality(part: str) -> float:
    _, _, weight = part.partition(";")
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
