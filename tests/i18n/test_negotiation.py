"""Language negotiation, dates, writing direction and catalogues."""

from datetime import UTC, datetime

import pytest

from latchstring.i18n.catalogues import translations
from latchstring.i18n.dates import format_date, format_instant, text_direction
from latchstring.i18n.negotiation import accepted_languages, available_locales, find_script, negotiate
from latchstring.i18n.pseudo import pseudo

AT = datetime(2026, 11, 27, 10, 40, tzinfo=UTC)


def test_english_and_german_are_shipped() -> None:
    assert available_locales()[0] == "en"
    assert "de" in available_locales()


@pytest.mark.parametrize(
    ("tags", "default", "expected"),
    [
        (["de"], "en", "de"),
        (["DE_at"], "en", "de"),
        (["de-Latn-AT-x-private"], "en", "de"),
        (["sw", "de"], "en", "de"),
        ([None, "", "de-CH"], "en", "de"),
        (["sw"], "de", "de"),
        (["sw"], "sw", "en"),
        (["en-XA"], "de", "en"),
        (["sw"], "en-XA", "en-XA"),
        (["d" * 5000, "../de", "de/../../etc"], "en", "en"),
        ([], "en", "en"),
    ],
)
def test_the_first_available_language_is_chosen(tags: list[str | None], default: str, expected: str) -> None:
    assert negotiate(tags, default) == expected


@pytest.mark.parametrize(
    ("tag", "script"),
    [
        ("zh-CN", "Hans"),
        ("zh", "Hans"),
        ("zh-TW", "Hant"),
        ("zh-Hant", "Hant"),
        ("zh-hans-HK", "Hans"),
        ("pt-PT", "Latn"),
    ],
)
def test_the_script_of_a_tag_is_found(tag: str, script: str) -> None:
    assert find_script(tag.lower().split("-")) == script


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
def test_accepted_languages_are_ordered_by_quality(header: str | None, tags: list[str]) -> None:
    assert accepted_languages(header) == tags


def test_dates_are_formatted_in_the_language() -> None:
    assert format_instant(AT, "en") == "Friday 27 November 2026, 10:40 (UTC)"
    assert format_instant(AT, "de", zone="Europe/Berlin") == "Freitag, 27. November 2026, 11:40 (Berlin)"
    assert format_date(AT, "en") == "Friday 27 November 2026"
    assert "2026" in format_date(AT, "no-such-tag")


def test_the_writing_direction_follows_the_language() -> None:
    assert [text_direction(tag) for tag in ("en", "de", "ar", "he", "fa", "nonsense")] == [
        "ltr",
        "ltr",
        "rtl",
        "rtl",
        "rtl",
        "ltr",
    ]


def test_the_pseudo_language_is_longer_and_preserves_placeholders_and_markup() -> None:
    text = translations("pages", "en-XA").gettext("<a href='/x'>Come in</a> to %(app)s")
    assert text.startswith("[<a href='/x'>Çömé îñ</a> tö %(app)s ~")
    assert len(pseudo("Create account and come in")) >= 1.4 * len("Create account and come in")
    assert translations("pages", "en-XA").ngettext("%(count)s day", "%(count)s days", 2).startswith("[%(count)s dáýs")
    assert "en-XA" not in available_locales()


def test_a_language_without_a_catalogue_falls_back_to_english() -> None:
    assert translations("mail", "sw").gettext("Open the invitation") == "Open the invitation"
    assert translations("no-such-domain", "de").gettext("Open the invitation") == "Open the invitation"
    assert translations("mail", "de-AT").gettext("Open the invitation") == "Einladung öffnen"
