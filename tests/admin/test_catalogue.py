"""Every text of the panel is translated into every language, with the same placeholders and markup."""

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

PACKAGE = Path(latchstring.__file__).parent
PANEL = PACKAGE / "admin"
OPTIONS = {
    "trimmed": "true",
    "newstyle_gettext": "true",
    "silent": "false",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}
EXTRACTORS = [("**.html", "jinja2"), ("**.py", "python")]
PLACEHOLDERS = re.compile(r"%\(\w+\)s|<[^>]+>")
TRANSLATED = [tag for tag in LANGUAGES if tag != SOURCE]
FORBIDDEN = re.compile(r"!|\b(please|oops)\b", re.IGNORECASE)
FORBIDDEN_IN_GERMAN = re.compile(r"!|\b(hoppla|leider)\b|[a-zäöüß,] (Sie|Ihnen|Ihre?[mnrs]?)\b")


@cache
def source_texts() -> set[Any]:
    extracted = extract_from_dir(PANEL, method_map=EXTRACTORS, options_map={"**.html": OPTIONS})
    return {message for _, _, message, _, _ in extracted}


def catalogue(locale: str) -> Catalog:
    return read_po(io.BytesIO((PACKAGE / "i18n" / "locales" / locale / f"{DOMAIN}.po").read_bytes()), locale=locale)


def messages(locale: str) -> dict[Any, Message]:
    return {message.id: message for message in catalogue(locale) if message.id}


def forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def test_the_languages_of_the_panel_are_those_with_a_catalogue() -> None:
    languages = {tag for tag in available_locales() if (PACKAGE / "i18n" / "locales" / tag / f"{DOMAIN}.po").is_file()}
    assert languages == set(TRANSLATED)


def test_shared_templates_have_no_text() -> None:
    shared = PACKAGE / "pages" / "templates"
    assert list(extract_from_dir(shared, method_map=EXTRACTORS, options_map={"**.html": OPTIONS})) == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_text_is_translated_and_none_is_unused(locale: str) -> None:
    translated = messages(locale)
    assert source_texts() - set(translated) == set()
    assert set(translated) - source_texts() == set()
    assert [id_ for id_, message in translated.items() if message.fuzzy or not all(forms(message.string))] == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_plural_texts_have_every_plural_form_of_the_language(locale: str) -> None:
    plural = get_plural(locale)
    assert catalogue(locale).num_plurals == plural.num_plurals
    for id_, message in messages(locale).items():
        expected = plural.num_plurals if isinstance(id_, tuple) else 1
        assert len(forms(message.string)) == expected, id_


@pytest.mark.parametrize("locale", TRANSLATED)
def test_translations_keep_placeholders_markup_and_ellipses(locale: str) -> None:
    for id_, message in messages(locale).items():
        expected = [sorted(PLACEHOLDERS.findall(form)) for form in forms(id_)]
        for form in forms(message.string):
            assert sorted(PLACEHOLDERS.findall(form)) in expected, form
            assert form.endswith("…") == forms(id_)[0].endswith("…"), form
            assert form.strip() == form, form


def test_texts_avoid_forbidden_words() -> None:
    for id_ in source_texts():
        for form in forms(id_):
            assert not FORBIDDEN.search(form), form
    for message in messages("de").values():
        for form in forms(message.string):
            assert not FORBIDDEN_IN_GERMAN.search(form), form


def test_every_name_of_the_navigation_is_translatable() -> None:
    super_admin = principal_of_admin(Admin(UUID(int=1), "", "", "super-admin", ""))
    template = (PANEL / "templates" / "panel" / "layout" / "navigation.html").read_text()
    for section in sections_for(super_admin, "/admin"):
        for name in filter(None, (section.name, *(entry.name for entry in section.entries))):
            assert f'text == "{name}" %}}{{% trans %}}{name}{{% endtrans %}}' in template, name
