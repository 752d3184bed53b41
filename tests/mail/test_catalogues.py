"""Every word of the mails is said in every language we ship."""

import io
import re
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from latchstring.i18n.negotiation import available_locales

ROOM = Path(str(files("latchstring.mail")))
METHODS = [("templates/**.txt", "jinja2"), ("templates/**.mjml", "jinja2"), ("**.py", "python")]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def words() -> set[object]:
    return {message for _, _, message, _, _ in extract_from_dir(ROOM, method_map=METHODS)}


def catalogue(locale: str) -> Catalog:
    return read_po(
        io.BytesIO((files("latchstring.i18n") / "locales" / locale / "mail.po").read_bytes()),
        locale=locale.replace("-", "_"),
    )


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != "en"])
def test_nothing_is_untranslated_unsure_or_left_over(locale: str) -> None:
    entries = {message.id: message for message in catalogue(locale) if message.id}
    assert set(entries) == words()
    for message in entries.values():
        assert not message.fuzzy, message.id
        for text in [message.string] if isinstance(message.string, str) else message.string or [""]:
            assert text, message.id


@pytest.mark.parametrize("locale", [tag for tag in available_locales() if tag != "en"])
def test_translations_name_the_same_things(locale: str) -> None:
    for message in catalogue(locale):
        if message.id and isinstance(message.id, str):
            assert sorted(PLACEHOLDER.findall(message.id)) == sorted(PLACEHOLDER.findall(str(message.string))), (
                message.id
            )


def test_we_say_you_in_one_way_and_never_shout() -> None:
    for message in words():
        for text in message if isinstance(message, tuple) else (message,):
            assert "!" not in str(text)
            assert "please" not in str(text).lower()
