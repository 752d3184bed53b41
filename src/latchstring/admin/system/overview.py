"""The overview: results of invitations, expiring invitations, and failed deliveries."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from latchstring.admin.context import Panel
from latchstring.admin.formatting import get_formats
from latchstring.admin.routing import get
from latchstring.domain.settings import Roles
from latchstring.domain.views.overview import OTHER_INVITERS, AcceptanceCount, DayCount, Figures
from latchstring.http.responses import Answer

PERIODS = (7, 30, 90)
DEFAULT_PERIOD = 30
MAX_INVITERS = 10
LABEL_COUNT = 5
HEIGHT, COLUMN = 80, 10  # of the plot, in units of its view box
_HOUR, _DAY = 60, 24 * 60
_SHOWN_WAITS = (_HOUR, 6 * _HOUR, _DAY, 2 * _DAY, 4 * _DAY, 7 * _DAY, None)
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """A step of the funnel: its name, its count, and the count of the step before."""

    name: str
    count: int
    before: int | None


@dataclass(frozen=True, slots=True)
class Bar:
    """How many accepted within a range of minutes. up_to: None for no limit. width: in percent of the longest bar."""

    above: int
    up_to: int | None
    count: int
    width: float


@dataclass(frozen=True, slots=True)
class ChartColumn:
    """A day of the plot: the positions of its rectangles."""

    day: DayCount
    x: int
    rest_y: float
    rest_height: float
    accepted_y: float
    accepted_height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """The columns, the grid lines with their values, the labels of the days, and the highest day."""

    columns: Sequence[ChartColumn]
    lines: Sequence[tuple[float, int]]
    labels: Sequence[date]
    highest: DayCount

    @property
    def width(self) -> int:
        return len(self.columns) * COLUMN


@dataclass(frozen=True, slots=True)
class Row:
    """A row by role or inviter. kind: what the name belongs to, or `none` and `others`."""

    kind: str
    name: str
    share: AcceptanceCount


@get("/admin", needs="invitations:read")
async def show_overview(panel: Panel) -> Answer:
    days = _period(panel.query_value("days"))
    overview = await panel.services.backoffice.overviews.read(days=days, by=panel.principal)
    figures = overview.figures
    return panel.show(
        "system/overview.html",
        days=days,
        periods=PERIODS,
        figures=figures,
        steps=_steps(figures),
        leak=_biggest_leak(_steps(figures)),
        waits=_waits(figures),
        quick=figures.within(0.75),
        plot=_plot(figures.days),
        by_role=[_role_row(share, panel.services.roles) for share in figures.by_role],
        by_inviter=[_inviter_row(share) for share in figures.by_inviter[:MAX_INVITERS]],
        expiring=overview.expiring,
        trouble=overview.trouble,
        n=get_formats(panel.locale),
    )


def _period(text: str) -> int:
    return int(text) if text in {str(days) for days in PERIODS} else DEFAULT_PERIOD


def _steps(figures: Figures) -> list[FunnelStep]:
    counts = {
        "invited": figures.invited,
        "delivered": figures.delivered,
        "visited": figures.visited,
        "accepted": figures.accepted,
    }
    befores = [None, *counts.values()]
    return [FunnelStep(name, count, before) for (name, count), before in zip(counts.items(), befores, strict=False)]


def _biggest_leak(steps: Sequence[FunnelStep]) -> tuple[str, int] | None:
    """The step with the largest loss, and its count; None without a loss."""
    losses = [(after.name, before.count - after.count) for before, after in pairwise(steps)]
    name, count = max(losses, key=lambda pair: pair[1])
    return (name, count) if count > 0 else None


def _waits(figures: Figures) -> list[Bar]:
    """Combine the fine buckets into few bars."""
    above, rows = 0, []
    for up_to in _SHOWN_WAITS:
        count = sum(
            wait.count
            for wait in figures.waits
            if (wait.minutes or math.inf) > above and (up_to is None or (wait.minutes or math.inf) <= up_to)
        )
        rows.append((above, up_to, count))
        above = up_to or 0
    longest = max(count for *_, count in rows)
    return [Bar(above, up_to, count, round(100 * count / longest, 1) if longest else 0) for above, up_to, count in rows]


def _plot(days: Sequence[DayCount]) -> Plot:
    # an acceptance may be counted without its invitation, so the accepted may exceed the invited: use the maximum
    highest = max(max(day.invited, day.accepted) for day in days)
    step = _nice_step(highest)
    top = step * max(1, math.ceil(highest / step))
    lines = [(HEIGHT - HEIGHT * value / top, value) for value in range(top, -1, -step)]
    every = (len(days) - 1) / (LABEL_COUNT - 1)
    labels = [days[round(index * every)].day for index in range(LABEL_COUNT)]
    return Plot(
        [_column(day, index, top) for index, day in enumerate(days)],
        lines,
        labels,
        max(days, key=lambda day: day.invited),
    )


def _nice_step(highest: int) -> int:
    """The distance of the grid lines: 1, 2 or 5 times a power of ten, for four or five lines."""
    rough = max(1.0, highest / 4)
    power = 10 ** math.floor(math.log10(rough))
    return int(next(power * step for step in _STEPS if power * step >= rough))


def _column(day: DayCount, index: int, top: int) -> ChartColumn:
    accepted = HEIGHT * day.accepted / top
    rest = HEIGHT * max(0, day.invited - day.accepted) / top
    return ChartColumn(
        day,
        index * COLUMN,
        round(HEIGHT - accepted - rest, 2),
        round(rest, 2),
        round(HEIGHT - accepted, 2),
        round(accepted, 2),
    )


def _role_row(share: AcceptanceCount, roles: Roles) -> Row:
    if not share.key:
        return Row("none", "", share)
    return Row("role", roles[share.key].name if share.key in roles else share.key, share)


def _inviter_row(share: AcceptanceCount) -> Row:
    if share.key == OTHER_INVITERS or share.actor is None:
        return Row("others", "", share)
    return Row(share.actor.type.value.lower(), share.name or "", share)


routes = [show_overview]
