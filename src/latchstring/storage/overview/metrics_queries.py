"""What is counted for operators. Every count is bounded or covers only what is new since the last one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, bindparam, cast, func, select

from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import events, outbox

LARGEST_DEPTH = 100_000  # beyond it an operator knows enough

_unfinished = select(outbox.c.due_at).where(outbox.c.due_at.is_not(None)).limit(LARGEST_DEPTH).subquery()
_OUTBOX_DEPTH = select(func.count().label("depth"), func.min(_unfinished.c.due_at).label("first_due_at"))
_COUNT_EVENTS = (
    select(events.c.type, func.count().label("count"))
    .where(
        events.c.id >= bindparam("first", type_=events.c.id.type),
        events.c.id < bindparam("end", type_=events.c.id.type),
    )
    .group_by(events.c.type)
)
_SERVER_VERSION = select(cast(func.current_setting("server_version_num"), Integer).label("number"))


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """Mails that are not finished. first_due_at: when the most overdue one should have gone, if there is one."""

    depth: int
    first_due_at: datetime | None


async def measure_outbox(db: Database) -> OutboxDepth:
    """How much mail waits."""
    (row,) = await db.fetch(_OUTBOX_DEPTH)
    return OutboxDepth(row.depth, row.first_due_at)


async def count_events(db: Database, *, first: UUID, end: UUID) -> Mapping[str, int]:
    """How often each event happened from one id on, up to but without another."""
    return {row.type: row.count for row in await db.fetch(_COUNT_EVENTS, first=first, end=end)}


async def server_version(db: Database) -> int:
    """The major version of a PostgreSQL server."""
    (row,) = await db.fetch(_SERVER_VERSION)
    return int(row.number) // 10_000
