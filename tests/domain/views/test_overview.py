"""Counting occurrences, and building the figures of a period."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.ids import new_id
from latchstring.domain.views.overview import (
    BEYOND_LAST_BUCKET,
    MAX_INVITERS_PER_DAY,
    OTHER_INVITERS,
    CountedTerms,
    CountKey,
    Dimension,
    Measure,
    Occurrence,
    build_figures,
    build_inviter_key,
    count_occurrences,
    find_wait_bucket,
    merge_other_inviters,
    parse_inviter_key,
)

NOW = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIRA = Actor(ActorType.ADMIN, new_id(NOW))


@pytest.mark.parametrize(
    ("waited", "bucket"),
    [
        (timedelta(0), "5"),
        (5 * timedelta(minutes=1), "5"),
        (HOUR, "60"),
        (HOUR * 1.01, "120"),
        (40 * DAY, BEYOND_LAST_BUCKET),
    ],
)
def test_a_wait_is_in_the_first_bucket_that_covers_it(waited: timedelta, bucket: str) -> None:
    assert find_wait_bucket(waited) == bucket


def test_an_acceptance_counts_on_the_day_of_the_invitation_and_as_joined_on_its_own_day() -> None:
    counts = count_occurrences([Occurrence(Measure.ACCEPTED, NOW, NOW + HOUR, CountedTerms("team", MIRA))])
    assert counts == {
        CountKey("2026-11-20", Measure.ACCEPTED, Dimension.ALL, ""): 1,
        CountKey("2026-11-20", Measure.ACCEPTED, Dimension.ROLE, "team"): 1,
        CountKey("2026-11-20", Measure.ACCEPTED, Dimension.INVITER, f"ADMIN:{MIRA.id}"): 1,
        CountKey("2026-11-20", Measure.ACCEPTED, Dimension.WAIT, "60"): 1,
        CountKey("2026-11-21", Measure.JOINED, Dimension.ALL, ""): 1,
    }


@pytest.mark.parametrize("actor", [MIRA, OPERATOR])
def test_an_inviter_key_is_parsed_back_to_its_actor(actor: Actor) -> None:
    assert parse_inviter_key(build_inviter_key(actor)) == actor


def test_a_day_has_a_limited_number_of_inviters_and_the_same_total() -> None:
    invited = [CountKey("2026-11-20", Measure.INVITED, Dimension.INVITER, f"USER:{n:03}") for n in range(100)]
    counts = Counter({key: 100 - n for n, key in enumerate(invited)})
    known = {"2026-11-20": {"USER:099"}}
    merged = merge_other_inviters(counts, known)
    assert len(merged) == MAX_INVITERS_PER_DAY + 1
    assert merged.total() == counts.total()
    assert invited[99] in merged
    assert invited[0] in merged


def test_acceptances_of_merged_inviters_are_merged_too() -> None:
    accepted = CountKey("2026-11-20", Measure.ACCEPTED, Dimension.INVITER, "USER:1")
    assert merge_other_inviters({accepted: 2}, {}) == {accepted._replace(key=OTHER_INVITERS): 2}
    assert merge_other_inviters({accepted: 2}, {"2026-11-20": {"USER:1"}}) == {accepted: 2}


def test_a_period_has_every_day_and_shares_sorted_by_size() -> None:
    noon = NOW.replace(hour=12)
    counts = count_occurrences(
        [
            *(
                Occurrence(Measure.INVITED, noon, noon, CountedTerms(role, MIRA))
                for role in ("team", "customer", "customer")
            ),
            Occurrence(Measure.DELIVERED, noon, noon),
            Occurrence(Measure.ACCEPTED, noon - DAY, noon, CountedTerms("team", OPERATOR)),
        ]
    )
    figures = build_figures(
        counts, first=date(2026, 11, 18), last=date(2026, 11, 20), as_of=NOW, names={build_inviter_key(MIRA): "Mira"}
    )
    assert (figures.invited, figures.delivered, figures.visited, figures.accepted) == (3, 1, 0, 1)
    assert [(day.invited, day.accepted, day.joined) for day in figures.days] == [(0, 0, 0), (0, 1, 0), (3, 0, 1)]
    assert [(share.key, share.invited) for share in figures.by_role] == [("customer", 2), ("team", 1)]
    assert [(share.name, share.invited, share.accepted) for share in figures.by_inviter] == [
        ("Mira", 3, 0),
        (None, 0, 1),
    ]
    assert figures.median_minutes == 24 * 60


def test_without_acceptances_there_is_no_median() -> None:
    figures = build_figures({}, first=date(2026, 11, 20), last=date(2026, 11, 20), as_of=NOW, names={})
    assert figures.median_minutes is None
