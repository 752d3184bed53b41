"""What the overview counts: invitations by the day they were made, and what became of them.

Everything but `joined` belongs to the day of the invitation, so that a day's steps are about the same people.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from latchstring.domain.actor import Actor, ActorType

MOST_INVITERS_A_DAY = 40
OTHERS = "*"  # the key of every inviter of a day beyond those


class Measure(StrEnum):
    """A step of an invitation. Each happens to it once."""

    INVITED = "invited"
    DELIVERED = "delivered"
    VISITED = "visited"
    ACCEPTED = "accepted"
    JOINED = "joined"  # accepted, by the day of the acceptance


class Dimension(StrEnum):
    """By what a measure is counted. wait: how long until the acceptance, as the upper end of a bucket in minutes."""

    ALL = "all"
    ROLE = "role"
    INVITER = "inviter"
    WAIT = "wait"


class Figure(NamedTuple):
    """What one count is of. day: ISO date, UTC."""

    day: str
    measure: Measure
    dimension: Dimension
    key: str


@dataclass(frozen=True, slots=True)
class CountedTerms:
    """What is counted of an invitation. It may be gone when something that happened to it is counted."""

    role: str | None
    inviter: Actor


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One step of one invitation."""

    measure: Measure
    invited_at: datetime
    at: datetime
    terms: CountedTerms | None = None


_HOUR, _DAY = 60, 24 * 60
# Fine enough to state a median, coarse enough to be few.
WAIT_BUCKETS = (
    *(5, 15, 30),
    *(hours * _HOUR for hours in (1, 2, 3, 4, 6, 9, 12, 18)),
    *(days * _DAY for days in (1, 2, 3, 4, 5, 7, 10, 14, 21, 30)),
)
LONGER = ""  # the key of what took longer than the last bucket


def wait_bucket(waited: timedelta) -> str:
    """The key of the bucket: the first upper end, in minutes, that was not passed."""
    minutes = waited.total_seconds() / 60
    return next((str(end) for end in WAIT_BUCKETS if minutes <= end), LONGER)


def day_of(now: datetime) -> str:
    """The day an instant is counted under."""
    return now.astimezone(UTC).date().isoformat()


def inviter_key(inviter: Actor) -> str:
    return f"{inviter.type.value}:{inviter.id or ''}"


def tally(happened: Iterable[Occurrence]) -> Counter[Figure]:
    """Add occurrences up."""
    counts: Counter[Figure] = Counter()
    for one in happened:
        counts.update(_figures_of(one))
    return counts


def _figures_of(one: Occurrence) -> Iterable[Figure]:
    day = day_of(one.invited_at)
    yield Figure(day, one.measure, Dimension.ALL, "")
    if one.terms is not None and one.measure in {Measure.INVITED, Measure.ACCEPTED}:
        yield Figure(day, one.measure, Dimension.ROLE, one.terms.role or "")
        yield Figure(day, one.measure, Dimension.INVITER, inviter_key(one.terms.inviter))
    if one.measure is Measure.ACCEPTED:
        yield Figure(day, one.measure, Dimension.WAIT, wait_bucket(one.at - one.invited_at))
        yield Figure(day_of(one.at), Measure.JOINED, Dimension.ALL, "")


def fold_inviters(counts: Mapping[Figure, int], known: Mapping[str, set[str]]) -> Counter[Figure]:
    """Count inviters beyond the first few of each day together, so that a day is never more than so many rows.

    known: by day, the keys that are counted apart already. Whoever was not is not counted apart at an acceptance.
    """
    kept = {day: set(keys) for day, keys in known.items()}
    folded: Counter[Figure] = Counter()
    for figure in sorted(counts, key=lambda figure: -counts[figure]):
        if figure.dimension is Dimension.INVITER and figure.measure is Measure.INVITED:
            keys = kept.setdefault(figure.day, set())
            if len(keys) < MOST_INVITERS_A_DAY:
                keys.add(figure.key)
    for figure, count in counts.items():
        apart = figure.dimension is not Dimension.INVITER or figure.key in kept.get(figure.day, ())
        folded[figure if apart else figure._replace(key=OTHERS)] += count
    return folded


# ---- what is shown ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DayCount:
    """One day of invitations. joined: who came in on that day, whenever invited."""

    day: date
    invited: int
    accepted: int
    joined: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the invited accepted, of one role or inviter. key: the role, or empty; name: of the inviter."""

    key: str
    invited: int
    accepted: int
    actor: Actor | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class WaitCount:
    """How many accepted within so many minutes, and after the bucket before. None: longer than all of them."""

    minutes: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a period, up to the instant `as_of`."""

    first: date
    last: date
    as_of: datetime
    invited: int
    delivered: int
    visited: int
    accepted: int
    days: tuple[DayCount, ...]
    waits: tuple[WaitCount, ...]
    by_role: tuple[Share, ...]
    by_inviter: tuple[Share, ...]

    @property
    def median_minutes(self) -> int | None:
        """The upper end of the bucket the median lies in; None without acceptances or beyond all buckets."""
        return self.within(0.5)

    def within(self, share: float) -> int | None:
        """The upper end of the bucket by which this share of the acceptances had happened."""
        total = sum(wait.count for wait in self.waits)
        reached = 0
        for wait in self.waits:
            reached += wait.count
            if total and reached >= share * total:
                return wait.minutes
        return None


def make_figures(
    counts: Mapping[Figure, int], *, first: date, last: date, as_of: datetime, names: Mapping[str, str]
) -> Figures:
    """Arrange the counts of a period. names: of inviters, by key."""
    by_day: Counter[tuple[str, Measure]] = Counter()
    totals: Counter[tuple[Measure, Dimension, str]] = Counter()
    for figure, count in counts.items():
        totals[figure.measure, figure.dimension, figure.key] += count
        if figure.dimension is Dimension.ALL:
            by_day[figure.day, figure.measure] += count
    return Figures(
        first=first,
        last=last,
        as_of=as_of,
        **{measure.value: totals[measure, Dimension.ALL, ""] for measure in Measure if measure is not Measure.JOINED},
        days=tuple(_day_count(day, by_day) for day in _days(first, last)),
        waits=tuple(_waits(totals)),
        by_role=_shares(totals, Dimension.ROLE),
        by_inviter=tuple(_with_actor(share, names) for share in _shares(totals, Dimension.INVITER)),
    )


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _day_count(day: date, counts: Mapping[tuple[str, Measure], int]) -> DayCount:
    text = day.isoformat()
    found = (counts.get((text, measure), 0) for measure in (Measure.INVITED, Measure.ACCEPTED, Measure.JOINED))
    return DayCount(day, *found)


def _waits(totals: Mapping[tuple[Measure, Dimension, str], int]) -> Iterable[WaitCount]:
    for end in (*WAIT_BUCKETS, None):
        key = LONGER if end is None else str(end)
        yield WaitCount(end, totals.get((Measure.ACCEPTED, Dimension.WAIT, key), 0))


def _shares(totals: Mapping[tuple[Measure, Dimension, str], int], dimension: Dimension) -> tuple[Share, ...]:
    """The greatest first; those counted together last."""
    keys = {key for _, by, key in totals if by is dimension}
    found = [
        Share(key, totals.get((Measure.INVITED, dimension, key), 0), totals.get((Measure.ACCEPTED, dimension, key), 0))
        for key in keys
    ]
    return tuple(sorted(found, key=lambda share: (share.key == OTHERS, -share.invited, -share.accepted, share.key)))


def _with_actor(share: Share, names: Mapping[str, str]) -> Share:
    if share.key == OTHERS:
        return share
    actor = actor_of_key(share.key)
    return Share(share.key, share.invited, share.accepted, actor, names.get(share.key))


def actor_of_key(key: str) -> Actor:
    """Who a key of the dimension inviter stands for."""
    kind, _, id_ = key.partition(":")
    return Actor(ActorType(kind), UUID(id_) if id_ else None)
