"""Formatting of instants on pages."""

from datetime import UTC, datetime, timedelta

import pytest

from latchstring.i18n.dates import format_relative, format_short
from latchstring.pages.templating import environment

NOW = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("distance", "expected"),
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
def test_a_distance_is_formatted_in_the_largest_fitting_unit(distance: timedelta, expected: str) -> None:
    assert format_relative(NOW + distance, NOW, "en") == expected


def test_a_distance_is_formatted_in_the_language() -> None:
    assert format_relative(NOW - timedelta(days=4), NOW, "de") == "vor 4 Tagen"


def test_the_short_format_has_date_and_time() -> None:
    assert format_short(NOW, "en") == "20 Nov 2026, 10:40"


def test_the_moment_filter_has_the_full_date_as_its_title() -> None:
    template = environment().from_string("{{ at|moment(now) }}")
    rendered = template.render(at=NOW - timedelta(days=4), now=NOW, locale="en")
    title = "Monday 16 November 2026, 10:40 (UTC)"
    assert rendered == f'<time datetime="2026-11-16T10:40:00Z" title="{title}">4 days ago</time>'
