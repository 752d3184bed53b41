"""What became of invitations, and what needs attention."""

from dataclasses import dataclass
from datetime import UTC, timedelta

from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.domain.pagination import Page
from latchstring.domain.principal import Principal
from latchstring.domain.views.attention import ExpiringInvitation, UndeliveredMail
from latchstring.domain.views.overview import Dimension, Figures, build_figures, parse_inviter_key
from latchstring.storage.events.actor_names import OPERATOR_NAME, find_named
from latchstring.storage.overview.attention import list_expiring, list_trouble
from latchstring.storage.overview.daily_counts import Source, add_up, read_figures

READ = "invitations:read"
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the page shows."""

    figures: Figures
    expiring: Page[ExpiringInvitation]
    trouble: Page[UndeliveredMail]


@dataclass(frozen=True, slots=True)
class Overviews:
    """Reads what sweeps have added up, and adds up."""

    deps: BackofficeDependencies

    async def read(self, *, by: Principal, days: int) -> Overview:
        """The invitations of the last so many days, today among them, and what needs attention now."""
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

    async def add_up(self) -> bool:
        """Count the next batch of what happened, for the sweep. True when there is more at once."""
        now = self.deps.clock()
        more = [await add_up(self.deps.db, source, now=now) for source in Source]
        return any(more)

    async def _names(self, keys: set[str]) -> dict[str, str]:
        actors = {key: parse_inviter_key(key) for key in keys if ":" in key}
        named = await find_named(self.deps.db, (actor.id for actor in actors.values() if actor.id))
        found = {key: named[actor.id].label for key, actor in actors.items() if actor.id and actor.id in named}
        return found | {key: OPERATOR_NAME for key, actor in actors.items() if actor.type == "OPERATOR"}
