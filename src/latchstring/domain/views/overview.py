"""The counts of the overview: invitations by day of creation, with the steps that followed.

All measures except `joined` belong to the day of the invitation, so that the steps of a day are about the same people.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from latchstring.domain.actor import Actor, ActorType

MAX_INVITERS_PER_DAY = 40
OTHER_INVITERS = "*"  # the key of all further inviters of a day


class Measure(StrEnum):
    """A step of an invitation. Each happens at most once."""

    INVITED = "invited"
    DELIVERED = "delivered"
    VISITED = "visited"
    ACCEPTED = "accepted"
    JOINED = "joined"  # accepted, by day of acceptance


class Dimension(StrEnum):
    """What a measure is grouped by. wait: time until acceptance, as the upper bound of a bucket in minutes."""

    ALL = "all"
    ROLE = "role"
    INVITER = "inviter"
    WAIT = "wait"


class CountKey(NamedTuple):
    """The key of one count. day: ISO date, UTC."""

    day: str
    measure: Measure
    dimension: Dimension
    key: str


@dataclass(frozen=True, slots=True)
class CountedTerms:
    """The terms of an invitation that are counted."""

    role: str | None
    inviter: Actor


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One step of one invitation. terms: None when the invitation was deleted before the step was counted."""

    measure: Measure
    invited_at: datetime
    at: datetime
    terms: CountedTerms | None = None


_HOUR, _DAY = 60, 24 * 60
# Fine enough for a median, coarse enough for few rows.
WAIT_BUCKETS = (
    *(5, 15, 30),
    *(hours * _HOUR for hours in (1, 2, 3, 4, 6, 9, 12, 18)),
    *(days * _DAY for days in (1, 2, 3, 4, 5, 7, 10, 14, 21, 30)),
)
BEYOND_LAST_BUCKET = ""  # the key of waits longer than the last bucket


def find_wait_bucket(waited: timedelta) -> str:
    """Return the key of the bucket: the first upper bound, in minutes, that was not exceeded."""
    minutes = waited.total_seconds() / 60
    return next((str(end) for end in WAIT_BUCKETS if minutes <= end), BEYOND_LAST_BUCKET)


def format_day(now: datetime) -> str:
    """Return the UTC date of an instant in ISO format."""
    return now.astimezone(UTC).date().isoformat()


def build_inviter_key(inviter: Actor) -> str:
    return f"{inviter.type.value}:{inviter.id or ''}"


def count_occurrences(occurrences: Iterable[Occurrence]) -> Counter[CountKey]:
    counts: Counter[CountKey] = Counter()
    for occurrence in occurrences:
        counts.update(_list_count_keys(occurrence))
    return counts


def _list_count_keys(occurrence: Occurrence) -> Iterable[CountKey]:
    day = format_day(occurrence.invited_at)
    yield CountKey(day, occurrence.measure, Dimension.ALL, "")
    if occurrence.terms is not None and occurrence.measure in {Measure.INVITED, Measure.ACCEPTED}:
        yield CountKey(day, occurrence.measure, Dimension.ROLE, occurrence.terms.role or "")
        yield CountKey(day, occurrence.measure, Dimension.INVITER, build_inviter_key(occurrence.terms.inviter))
    if occurrence.measure is Measure.ACCEPTED:
        yield CountKey(day, occurrence.measure, Dimension.WAIT, find_wait_bucket(occurrence.at - occurrence.invited_at))
        yield CountKey(format_day(occurrence.at), Measure.JOINED, Dimension.ALL, "")


def merge_other_inviters(counts: Mapping[CountKey, int], known: Mapping[str, set[str]]) -> Counter[CountKey]:
    """Merge the counts of all inviters of a day beyond MAX_INVITERS_PER_DAY, to limit the rows of a day.

    known: by day, the keys that have separate counts already. Acceptances never add a separate key.
    """
    separate_keys = {day: set(keys) for day, keys in known.items()}
    merged: Counter[CountKey] = Counter()
    for count_key in sorted(counts, key=lambda count_key: -counts[count_key]):
        if count_key.dimension is Dimension.INVITER and count_key.measure is Measure.INVITED:
            keys = separate_keys.setdefault(count_key.day, set())
            if len(keys) < MAX_INVITERS_PER_DAY:
                keys.add(count_key.key)
    for count_key, count in counts.items():
        is_inviter = count_key.dimension is Dimension.INVITER
        is_merged = is_inviter and count_key.key not in separate_keys.get(count_key.day, ())
        merged[count_key._replace(key=OTHER_INVITERS) if is_merged else count_key] += count
    return merged


# ---- figures of a period ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DayCount:
    """The counts of one day. joined: acceptances on that day of invitations of any day."""

    day: date
    invited: int
    accepted: int
    joined: int


@dataclass(frozen=True, slots=True)
class AcceptanceCount:
    """Invited and accepted, of one role or inviter. key: the role, empty for none; name: of the inviter."""

    key: str
    invited: int
    accepted: int
    actor: Actor | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class WaitCount:
    """How many accepted within this bucket. minutes: its upper bound; None beyond the last bucket."""

    minutes: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a period, counted up to the instant `as_of`."""

    first: date
    last: date
    as_of: datetime
    invited: int
    delivered: int
    visited: int
    accepted: int
    days: tuple[DayCount, ...]
    waits: tuple[WaitCount, ...]
    by_role: tuple[AcceptanceCount, ...]
    by_inviter: tuple[AcceptanceCount, ...]

    @property
    def median_minutes(self) -> int | None:
        """The upper bound of the bucket with the median; None without acceptances or beyond the last bucket."""
        return self.within(0.5)

    def within(self, share: float) -> int | None:
        """Return the upper bound in minutes of the bucket within which this share of the acceptances happened.

        None without acceptances or beyond the last bucket.
        """
        total = sum(wait.count for wait in self.waits)
        reached = 0
        for wait in self.waits:
            reached += wait.count
            if total and reached >= share * total:
                return wait.minutes
        return None


def build_figures(
    counts: Mapping[CountKey, int], *, first: date, last: date, as_of: datetime, names: Mapping[str, str]
) -> Figures:
    """Build the figures of a period from its counts. names: of inviters, by key."""
    by_day: Counter[tuple[str, Measure]] = Counter()
    totals: Counter[tuple[Measure, Dimension, str]] = Counter()
    for count_key, count in counts.items():
        totals[count_key.measure, count_key.dimension, count_key.key] += count
        if count_key.dimension is Dimension.ALL:
            by_day[count_key.day, count_key.measure] += count
    return Figures(
        first=first,
        last=last,
        as_of=as_of,
        **{measure.value: totals[measure, Dimension.ALL, ""] for measure in Measure if measure is not Measure.JOINED},
        days=tuple(_build_day_count(day, by_day) for day in _days(first, last)),
        waits=tuple(_build_waits(totals)),
        by_role=_build_shares(totals, Dimension.ROLE),
        by_inviter=tuple(_add_actor(share, names) for share in _build_shares(totals, Dimension.INVITER)),
    )


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _build_day_count(day: date, counts: Mapping[tuple[str, Measure], int]) -> DayCount:
    text = day.isoformat()
    day_counts = (counts.get((text, measure), 0) for measure in (Measure.INVITED, Measure.ACCEPTED, Measure.JOINED))
    return DayCount(day, *day_counts)


def _build_waits(totals: Mapping[tuple[Measure, Dimension, str], int]) -> Iterable[WaitCount]:
    for end in (*WAIT_BUCKETS, None):
        key = BEYOND_LAST_BUCKET if end is None else str(end)
        yield WaitCount(end, totals.get((Measure.ACCEPTED, Dimension.WAIT, key), 0))


def _build_shares(
    totals: Mapping[tuple[Measure, Dimension, str], int], dimension: Dimension
) -> tuple[AcceptanceCount, ...]:
    """Sort by invited, highest first; the merged inviters come last."""
    keys = {key for _, by, key in totals if by is dimension}
    shares = [
        AcceptanceCount(
            key, totals.get((Measure.INVITED, dimension, key), 0), totals.get((Measure.ACCEPTED, dimension, key), 0)
        )
        for key in keys
    ]
    return tuple(
        sorted(shares, key=lambda share: (share.key == OTHER_INVITERS, -share.invited, -share.accepted, share.key))
    )


def _add_actor(share: AcceptanceCount, names: Mapping[str, str]) -> AcceptanceCount:
    if share.key == OTHER_INVITERS:
        return share
    actor = parse_inviter_key(share.key)
    return AcceptanceCount(share.key, share.invited, share.accepted, actor, names.get(share.key))


def parse_inviter_key(key: str) -> Actor:
    """Return the actor of a key of the dimension `inviter`."""
    kind, _, id_ = key.partition(":")
    return Actor(ActorType(kind), UUID(id_) if id_ else None)
