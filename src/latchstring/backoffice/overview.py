"""The overview: figures of invitations, and what needs attention."""

from dataclasses import dataclass
from datetime import UTC, timedelta

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.pagination import Page
from latchstring.domain.principal import Principal
from latchstring.domain.views.attention import ExpiringInvitation, UndeliveredMail
from latchstring.domain.views.overview import Dimension, Figures, build_figures, parse_inviter_key
from latchstring.storage.events.actor_names import OPERATOR_NAME, find_named
from latchstring.storage.overview.attention import list_expiring, list_trouble
from latchstring.storage.overview.daily_counts import Source, count_next_batch, read_figures

READ = "invitations:read"
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Overview:
    """The content of the overview page."""

    figures: Figures
    expiring: Page[ExpiringInvitation]
    trouble: Page[UndeliveredMail]


@dataclass(frozen=True, slots=True)
class Overviews:
    """Reads the daily counts, and updates them in sweeps."""

    deps: BackofficeDependencies

    async def read(self, *, by: Principal, days: int) -> Overview:
        """The figures of the last `days` days, including today, and what needs attention now."""
        by.require(READ)
        db, now = self.deps.db, self.deps.clock()
        last = now.astimezone(UTC).date()
        first = last - timedelta(days=days - 1)
        counted = await read_figures(db, first=first.isoformat(), last=last.isoformat(), now=now)
        keys = {figure.key for figure in counted.counts if figure.dimension is Dimension.INVITER}
        figures = build_figures(
            counted.counts, first=first, last=last, as_of=counted.as_of, names=await self._names(keys)
        )
        return Overview(figures, await list_expiring(db, now=now, until=now + SOON), await list_trouble(db, now=now))

    async def count_next_batch(self) -> bool:
        """Add the next batch of events to the daily counts. True when there is more to count at once."""
        now = self.deps.clock()
        has_more = [await count_next_batch(self.deps.db, source, now=now) for source in Source]
        return any(has_more)

    async def _names(self, keys: set[str]) -> dict[str, str]:
        actors = {key: parse_inviter_key(key) for key in keys if ":" in key}
        named = await find_named(self.deps.db, (actor.id for actor in actors.values() if actor.id))
        names = {key: named[actor.id].label for key, actor in actors.items() if actor.id and actor.id in named}
        return names | {key: OPERATOR_NAME for key, actor in actors.items() if actor.type == "OPERATOR"}
