"""Queries for metrics. Every count is bounded or covers only rows since the last one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, bindparam, cast, func, select

from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import events, outbox

MAX_DEPTH = 100_000  # a larger queue is reported as this depth

_unfinished = select(outbox.c.due_at).where(outbox.c.due_at.is_not(None)).limit(MAX_DEPTH).subquery()
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
    """The number of unfinished mails. first_due_at: when the most overdue mail was due, if there is one."""

    depth: int
    first_due_at: datetime | None


async def measure_outbox(db: Database) -> OutboxDepth:
    """Count the unfinished mails, up to MAX_DEPTH."""
    (row,) = await db.fetch(_OUTBOX_DEPTH)
    return OutboxDepth(row.depth, row.first_due_at)


async def count_events(db: Database, *, first: UUID, end: UUID) -> Mapping[str, int]:
    """Count the events by type, from the id `first` up to but excluding `end`."""
    return {row.type: row.count for row in await db.fetch(_COUNT_EVENTS, first=first, end=end)}


async def server_version(db: Database) -> int:
    """Return the major version of a PostgreSQL server."""
    (row,) = await db.fetch(_SERVER_VERSION)
    return int(row.number) // 10_000
