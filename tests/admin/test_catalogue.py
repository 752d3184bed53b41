"""Every word of the panel is there in every language it speaks, with the same names in it and the same markup."""

import io
import re
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

import latchstring
from latchstring.admin.context import DOMAIN, LANGUAGES
from latchstring.admin.navigation import sections_for
from latchstring.domain.account import Admin
from latchstring.domain.panel import principal_of_admin
from latchstring.i18n.negotiation import SOURCE, available_locales

HOUSE = Path(latchstring.__file__).parent
PANEL = HOUSE / "admin"
OPTIONS = {
    "trimmed": "true",
    "newstyle_gettext": "true",
    "silent": "false",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}
WHERE = [("**.html", "jinja2"), ("**.py", "python")]
FIXED = re.compile(r"%\(\w+\)s|<[^>]+>")
TRANSLATED = [tag for tag in LANGUAGES if tag != SOURCE]
UNHEARD = re.compile(r"!|\b(please|oops)\b", re.IGNORECASE)
UNHEARD_IN_GERMAN = re.compile(r"!|\b(hoppla|leider)\b|[a-zäöüß,] (Sie|Ihnen|Ihre?[mnrs]?)\b")


@cache
def words() -> set[Any]:
    found = extract_from_dir(PANEL, method_map=WHERE, options_map={"**.html": OPTIONS})
    return {message for _, _, message, _, _ in found}


def catalogue(locale: str) -> Catalog:
    return read_po(io.BytesIO((HOUSE / "i18n" / "locales" / locale / f"{DOMAIN}.po").read_bytes()), locale=locale)


def messages(locale: str) -> dict[Any, Message]:
    return {message.id: message for message in catalogue(locale) if message.id}


def forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def test_the_panel_speaks_what_it_has_words_for() -> None:
    spoken = {tag for tag in available_locales() if (HOUSE / "i18n" / "locales" / tag / f"{DOMAIN}.po").is_file()}
    assert spoken == set(TRANSLATED)


def test_templates_of_both_faces_have_no_text_of_their_own() -> None:
    shared = HOUSE / "pages" / "templates"
    assert list(extract_from_dir(shared, method_map=WHERE, options_map={"**.html": OPTIONS})) == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_word_is_translated_and_none_is_left_over(locale: str) -> None:
    kept = messages(locale)
    assert words() - set(kept) == set()
    assert set(kept) - words() == set()
    assert [id_ for id_, message in kept.items() if message.fuzzy or not all(forms(message.string))] == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_what_is_counted_has_every_plural_form_of_the_language(locale: str) -> None:
    plural = get_plural(locale)
    assert catalogue(locale).num_plurals == plural.num_plurals
    for id_, message in messages(locale).items():
        wanted = plural.num_plurals if isinstance(id_, tuple) else 1
        assert len(forms(message.string)) == wanted, id_


@pytest.mark.parametrize("locale", TRANSLATED)
def test_names_markup_and_dots_stay_what_they_are(locale: str) -> None:
    for id_, message in messages(locale).items():
        wanted = [sorted(FIXED.findall(form)) for form in forms(id_)]
        for form in forms(message.string):
            assert sorted(FIXED.findall(form)) in wanted, form
            assert form.endswith("…") == forms(id_)[0].endswith("…"), form
            assert form.strip() == form, form


def test_the_voice_of_the_house() -> None:
    for id_ in words():
        for form in forms(id_):
            assert not UNHEARD.search(form), form
    for message in messages("de").values():
        for form in forms(message.string):
            assert not UNHEARD_IN_GERMAN.search(form), form


def test_every_page_of_the_navigation_has_a_word() -> None:
    everybody = principal_of_admin(Admin(UUID(int=1), "", "", "super-admin", ""))
    template = (PANEL / "templates" / "panel" / "layout" / "navigation.html").read_text()
    for section in sections_for(everybody, "/admin"):
        for name in filter(None, (section.name, *(entry.name for entry in section.entries))):
            assert f'text == "{name}" %}}{{% trans %}}{name}{{% endtrans %}}' in template, name
