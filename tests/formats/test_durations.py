"""ISO 8601 durations, optionally with fractions of seconds."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchstring.formats.durations import format_duration, parse_duration


@given(st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_a_formatted_duration_can_be_parsed(span: timedelta) -> None:
    whole = timedelta(seconds=int(span.total_seconds()))
    assert parse_duration(format_duration(whole)) == whole


def test_fractions_are_parsed_only_if_allowed() -> None:
    assert parse_duration("PT1.5S") is None
    assert parse_duration("PT1.5S", allow_fractions=True) == timedelta(seconds=1.5)
    assert parse_duration("PT0.001S", allow_fractions=True) == timedelta(milliseconds=1)
    assert parse_duration("PT0.0001S", allow_fractions=True) is None


@pytest.mark.parametrize("text", ["", "P", "PT", "P1M", "P1Y", "P1W2D", "p1d", "P-1D", "P1.5D", "PT1H ", "P٣D", "P1DT"])
def test_other_text_is_refused_as_a_duration(text: str) -> None:
    assert parse_duration(text, allow_fractions=True) is None


def test_the_longest_duration_is_within_the_range_of_timedelta() -> None:
    assert parse_duration("P999999DT99999999H99999999M99999999S") is not None
    assert parse_duration("P9999999D") is None
