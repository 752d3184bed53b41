"""Which language is spoken, and how it says a day."""

from datetime import UTC, datetime

import pytest

from latchstring.i18n import (
    accepted_languages,
    available_locales,
    format_date,
    format_instant,
    is_language_tag,
    negotiate,
    text_direction,
    translations,
)

AT = datetime(2026, 11, 27, 10, 40, tzinfo=UTC)


def test_english_and_german_are_shipped() -> None:
    assert available_locales()[0] == "en"
    assert "de" in available_locales()


@pytest.mark.parametrize(
    ("wanted", "default", "found"),
    [
        (["de"], "en", "de"),
        (["DE_at"], "en", "de"),
        (["de-Latn-AT-x-private"], "en", "de"),
        (["fr", "de"], "en", "de"),
        ([None, "", "de-CH"], "en", "de"),
        (["fr"], "de", "de"),
        (["fr"], "fr", "en"),
        (["d" * 5000, "../de", "de/../../etc"], "en", "en"),
        ([], "en", "en"),
    ],
)
def test_the_first_wanted_language_we_speak(wanted: list[str | None], default: str, found: str) -> None:
    assert negotiate(wanted, default) == found


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("de-CH;q=0.8, fr, en;q=0, *;q=0.1", ["fr", "de-CH"]),
        ("", []),
        (None, []),
        (";;;,,q=,de;q=x", ["q="]),
        ("de;level=1", ["de"]),
    ],
)
def test_what_a_browser_accepts(header: str | None, tags: list[str]) -> None:
    assert accepted_languages(header) == tags


def test_days_are_said_as_the_language_says_them() -> None:
    assert format_instant(AT, "en") == "Friday 27 November 2026, 10:40 (UTC)"
    assert format_instant(AT, "de", zone="Europe/Berlin") == "Freitag, 27. November 2026, 11:40 (Berlin)"
    assert format_date(AT, "en") == "Friday 27 November 2026"
    assert "2026" in format_date(AT, "no-such-tag")


def test_directions() -> None:
    assert [text_direction(tag) for tag in ("en", "de", "ar", "he", "fa", "nonsense")] == [
        "ltr",
        "ltr",
        "rtl",
        "rtl",
        "rtl",
        "ltr",
    ]


def test_tags() -> None:
    assert is_language_tag("de-AT")
    assert not is_language_tag("not a tag")
    assert not is_language_tag("x" * 200)


def test_a_language_without_a_catalogue_speaks_english() -> None:
    assert translations("mail", "fr").gettext("Come in") == "Come in"
    assert translations("no-such-domain", "de").gettext("Come in") == "Come in"
    assert translations("mail", "de-AT").gettext("Come in") == "Komm herein"
