"""The catalogues of mails are complete in every language."""

import io
import re
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from latchstring.i18n.negotiation import available_locales

PACKAGE = Path(str(files("latchstring.mail")))
METHODS = [("templates/**.txt", "jinja2"), ("templates/**.mjml", "jinja2"), ("**.py", "python")]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def list_messages() -> set[object]:
    return {message for _, _, message, _, _ in extract_from_dir(PACKAGE, method_map=METHODS)}


def catalogue(locale: str) -> Catalog:
    return read_po(
        io.BytesIO((files("latchstring.i18n") / "locales" / locale / "mail.po").read_bytes()),
        locale=locale.replace("-", "_"),
    )


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != "en"])
def test_catalogues_are_complete_and_not_fuzzy(locale: str) -> None:
    entries = {message.id: message for message in catalogue(locale) if message.id}
    assert set(entries) == list_messages()
    for message in entries.values():
        assert not message.fuzzy, message.id
        for text in [message.string] if isinstance(message.string, str) else message.string or [""]:
            assert text, message.id


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != "en"])
def test_translations_have_the_same_placeholders(locale: str) -> None:
    for message in catalogue(locale):
        if message.id and isinstance(message.id, str):
            assert sorted(PLACEHOLDER.findall(message.id)) == sorted(PLACEHOLDER.findall(str(message.string))), (
                message.id
            )


def test_messages_have_no_exclamation_mark_and_no_please() -> None:
    for message in list_messages():
        for text in message if isinstance(message, tuple) else (message,):
            assert "!" not in str(text)
            assert "please" not in str(text).lower()
