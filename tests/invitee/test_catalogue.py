"""Every text of the pages is translated into every language, with the same placeholders and markup."""

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

PACKAGE = Path(latchstring.__file__).parent
TEMPLATES = PACKAGE / "invitee" / "templates"
OPTIONS = {
    "trimmed": "true",
    "newstyle_gettext": "true",
    "silent": "false",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}
PLACEHOLDERS_AND_TAGS = re.compile(r"%\(\w+\)s|<[^>]+>")


@cache
def messages_of_templates() -> set[Any]:
    messages = extract_from_dir(TEMPLATES, method_map=[("**.html", "jinja2")], options_map={"**.html": OPTIONS})
    return {message for _, _, message, _, _ in messages}


def catalogue(locale: str) -> dict[Any, Message]:
    text = (PACKAGE / "i18n" / "locales" / locale / "pages.po").read_bytes()
    return {message.id: message for message in read_po(io.BytesIO(text)) if message.id}


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != SOURCE])
def test_every_message_is_translated_and_none_is_unused(locale: str) -> None:
    assert set(catalogue(locale)) == messages_of_templates()
    untranslated = [
        id_ for id_, message in catalogue(locale).items() if message.fuzzy or not all(forms(message.string))
    ]
    assert untranslated == []


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != SOURCE])
def test_translations_keep_placeholders_and_markup(locale: str) -> None:
    for id_, message in catalogue(locale).items():
        expected = [sorted(PLACEHOLDERS_AND_TAGS.findall(form)) for form in forms(id_)]
        optional = ["%(count)s"] if isinstance(id_, tuple) else []  # a singular form may omit the number
        for form in forms(message.string):
            actual = PLACEHOLDERS_AND_TAGS.findall(form)
            assert sorted(actual) in expected or sorted(actual + optional) in expected, form


def test_texts_follow_the_style_rules() -> None:
    for message in messages_of_templates():
        for form in forms(message):
            assert not re.search(r"!|\b(please|oops|successful\w*|invalid|submit)\b", form, re.IGNORECASE), form


def forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)
