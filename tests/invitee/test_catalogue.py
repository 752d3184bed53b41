"""Every word of the pages is there in every language, with the same names in it and the same markup around it."""

import io
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import latchstring
from latchstring.i18n.negotiation import SOURCE, available_locales

HOUSE = Path(latchstring.__file__).parent
TEMPLATES = HOUSE / "invitee" / "templates"
OPTIONS = {
    "trimmed": "true",
    "newstyle_gettext": "true",
    "silent": "false",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}
FIXED = re.compile(r"%\(\w+\)s|<[^>]+>")


@cache
def words_of_templates() -> set[Any]:
    found = extract_from_dir(TEMPLATES, method_map=[("**.html", "jinja2")], options_map={"**.html": OPTIONS})
    return {message for _, _, message, _, _ in found}


def catalogue(locale: str) -> dict[Any, Message]:
    text = (HOUSE / "i18n" / "locales" / locale / "pages.po").read_bytes()
    return {message.id: message for message in read_po(io.BytesIO(text)) if message.id}


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != SOURCE])
def test_every_word_is_translated_and_none_is_left_over(locale: str) -> None:
    assert set(catalogue(locale)) == words_of_templates()
    untranslated = [
        id_ for id_, message in catalogue(locale).items() if message.fuzzy or not all(forms(message.string))
    ]
    assert untranslated == []


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != SOURCE])
def test_names_and_markup_stay_what_they_are(locale: str) -> None:
    for id_, message in catalogue(locale).items():
        wanted = [sorted(FIXED.findall(form)) for form in forms(id_)]
        counted = ["%(count)s"] if isinstance(id_, tuple) else []  # "one day" may be said without the number
        for form in forms(message.string):
            found = FIXED.findall(form)
            assert sorted(found) in wanted or sorted(found + counted) in wanted, form


def test_the_voice_of_the_house() -> None:
    for words in words_of_templates():
        for form in forms(words):
            assert not re.search(r"!|\b(please|oops|successful\w*|invalid|submit)\b", form, re.IGNORECASE), form


def forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)
