"""The events of a subject, oldest or newest first."""

from uuid import UUID

from sqlalchemy import bindparam

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import Event, RecordedEvent
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import events
from latchstring.storage.engine.types import Id
from latchstring.storage.events.actor_names import name_of
from latchstring.storage.lists.declaration import KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import IndexScan
from latchstring.storage.lists.keyset import KeysetList

PAGE_SIZE = 30
_e = events.c
_OLDEST_FIRST, _NEWEST_FIRST = SortOrder("createdAt"), SortOrder("createdAt", descending=True)


def recorded_event(row: Row) -> RecordedEvent:
    """Convert a row of `events` with `actor_name`."""
    actor = Actor(ActorType(row.actor_type), row.actor_id)
    return RecordedEvent(Event(row.id, row.subject_id, row.type, actor, row.data), row.actor_name)


_OF_SUBJECT: KeysetList[RecordedEvent] = KeysetList(
    ListDeclaration(
        table=events,
        columns=[*_e, name_of(_e.actor_type, _e.actor_id).label("actor_name")],
        id_=_e.id,
        read=recorded_event,
        orders={"createdAt": lambda e: [e.id]},
        scans=lambda _: {"all": IndexScan([_e.id], prefix=[(_e.subject_id, bindparam("subject_id", type_=Id))])},
    )
)


def _query(subject_id: UUID, *, is_counted: bool) -> KeysetQuery:
    values, scan = {"subject_id": subject_id}, Scan("all", is_exact=True)
    return KeysetQuery((), values, [scan], identity=str(subject_id), is_counted=is_counted)


async def list_events(
    db: Database, subject_id: UUID, *, cursor: Cursor | None = None, limit: int
) -> Page[RecordedEvent]:
    """Return a page of the events of a subject, oldest first, with the total."""
    query = _query(subject_id, is_counted=True)
    return await _OF_SUBJECT.page(db, query, order=_OLDEST_FIRST, cursor=cursor, limit=limit)


async def list_history(db: Database, subject_id: UUID, *, cursor: Cursor | None = None) -> Page[RecordedEvent]:
    """Return a page of the events of a subject, newest first, without a total."""
    query = _query(subject_id, is_counted=False)
    return await _OF_SUBJECT.page(db, query, order=_NEWEST_FIRST, cursor=cursor, limit=PAGE_SIZE)
