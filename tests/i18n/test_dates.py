"""Instants in words, as pages show them."""

from datetime import UTC, datetime, timedelta

import pytest

from latchstring.i18n.dates import format_relative, format_short
from latchstring.pages.templating import environment

NOW = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(0), "1 second ago"),
        (timedelta(seconds=30), "in 30 seconds"),
        (timedelta(minutes=-2), "2 minutes ago"),
        (timedelta(days=-4), "4 days ago"),
        (timedelta(days=7), "in 7 days"),
        (timedelta(days=6, hours=23, minutes=59), "in 7 days"),
        (timedelta(days=30), "in 30 days"),
        (timedelta(days=-90), "3 months ago"),
    ],
)
def test_a_distance_in_words(distance: timedelta, words: str) -> None:
    assert format_relative(NOW + distance, NOW, "en") == words


def test_a_distance_in_the_readers_language() -> None:
    assert format_relative(NOW - timedelta(days=4), NOW, "de") == "vor 4 Tagen"


def test_a_short_instant_has_day_and_time() -> None:
    assert format_short(NOW, "en") == "20 Nov 2026, 10:40"


def test_a_moment_is_a_time_with_the_whole_instant_beside_it() -> None:
    template = environment().from_string("{{ at|moment(now) }}")
    shown = template.render(at=NOW - timedelta(days=4), now=NOW, locale="en")
    title = "Monday 16 November 2026, 10:40 (UTC)"
    assert shown == f'<time datetime="2026-11-16T10:40:00Z" title="{title}">4 days ago</time>'
