"""Reading history with filters, newest first.

One filter chooses the index: that of the objects, else of the actors, else of the action, else the order of time. The
others are judged row by row, for a limited number of rows a page; the next page continues where that ended.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal_column, select, union_all

from latchstring.domain.event import RecordedEvent
from latchstring.domain.ids import first_id_at
from latchstring.domain.pagination import Cursor, Key, Page, SortOrder
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import admins, api_keys, content, events, groups, invitations, users
from latchstring.storage.engine.types import CanonicalText, any_of
from latchstring.storage.events.actor_names import find_named, name_of
from latchstring.storage.events.subject_history import recorded_event
from latchstring.storage.lists.declaration import Filter, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import EACH, IndexScan
from latchstring.storage.lists.keyset import KeysetList

MOST_FOUND = 50
NEWEST_FIRST = SortOrder("createdAt", descending=True)

_e = events.c
_ACTION = bindparam("action", type_=_e.type.type)
_ACTOR_TYPE = bindparam("actor_type", type_=_e.actor_type.type)
_LIST: KeysetList[RecordedEvent] = KeysetList(
    ListDeclaration(
        table=events,
        columns=[*_e, name_of(_e.actor_type, _e.actor_id, among_administrators=True).label("actor_name")],
        id_=_e.id,
        read=recorded_event,
        orders={"createdAt": lambda e: [e.id]},
        scans=lambda _: {
            "all": IndexScan([_e.id]),
            "objects": IndexScan([_e.id], prefix=[(_e.subject_id, EACH)]),
            "actors": IndexScan([_e.id], prefix=[(_e.actor_id, EACH)]),
            "action": IndexScan([_e.id], prefix=[(_e.type, _ACTION)]),
        },
        filters={
            "objects": Filter(lambda e: any_of(e.subject_id, "objects")),
            "actors": Filter(lambda e: any_of(e.actor_id, "actors")),
            "action": Filter(lambda e: e.type == _ACTION),
            "actor_type": Filter(lambda e: e.actor_type == _ACTOR_TYPE),
        },
    )
)


def _query(audit_filter: AuditFilter) -> KeysetQuery:
    given = {
        "objects": audit_filter.objects,
        "actors": audit_filter.actors,
        "action": audit_filter.action,
        "actor_type": None if audit_filter.actor_type is None else audit_filter.actor_type.value,
    }
    filters = [name for name, value in given.items() if value is not None]
    values: dict[str, Any] = {f"any_{name}": value is None for name, value in given.items()}
    values |= given | {"objects": audit_filter.objects or (), "actors": audit_filter.actors or ()}
    return KeysetQuery(filters, values, [_scan(audit_filter, filters)], identity=repr(audit_filter), is_counted=False)


def _scan(audit_filter: AuditFilter, filters: list[str]) -> Scan:
    low, high, is_exact = _lowest(audit_filter), _highest(audit_filter), len(filters) <= 1
    if audit_filter.objects is not None:
        return Scan("objects", "objects", is_exact, audit_filter.objects, low, high)
    if audit_filter.actors is not None:
        return Scan("actors", "actors", is_exact, audit_filter.actors, low, high)
    if audit_filter.action is not None:
        return Scan("action", "action", is_exact, None, low, high)
    return Scan("all", "", not filters, None, low, high)


def _lowest(audit_filter: AuditFilter) -> Key | None:
    first = 0 if audit_filter.since is None else first_id_at(audit_filter.since).int
    return (UUID(int=first - 1),) if first else None


def _highest(audit_filter: AuditFilter) -> Key | None:
    return None if audit_filter.until is None else (first_id_at(audit_filter.until),)


async def list_audit(
    db: Database, audit_filter: AuditFilter, *, cursor: Cursor | None = None, limit: int
) -> Page[AuditEntry]:
    """A page of history, newest first."""
    page = await _LIST.page(db, _query(audit_filter), order=NEWEST_FIRST, cursor=cursor, limit=limit)
    named = await find_named(db, (recorded.event.subject_id for recorded in page.items))
    return page.map(lambda recorded: AuditEntry(recorded, named.get(recorded.event.subject_id)))


# ---- finding whom or what somebody means -----------------------------------------------------------------------------

_TEXT = bindparam("text", type_=CanonicalText)
_MOST: ColumnElement[int] = literal_column(str(MOST_FOUND))
_ACTORS_CALLED = union_all(
    select(users.c.id).where(users.c.email_key == _TEXT),
    select(admins.c.id).where(admins.c.email_key == _TEXT),
)
_invited = (
    select(invitations.c.id).where(invitations.c.email_key == _TEXT).order_by(invitations.c.id.desc()).limit(_MOST)
).subquery()
_OBJECTS_CALLED = union_all(
    select(users.c.id).where(users.c.email_key == _TEXT),
    select(admins.c.id).where(admins.c.email_key == _TEXT),
    select(groups.c.id).where(groups.c.key == _TEXT),
    select(_invited.c.id),
)
_CONTENT_CALLED = select(content.c.id).where(
    content.c.type == bindparam("type", type_=CanonicalText), content.c.key == bindparam("key", type_=CanonicalText)
)
_KEYS_CALLED = (
    select(api_keys.c.id).where(api_keys.c.name == bindparam("name", type_=api_keys.c.name.type)).limit(_MOST)
)


async def find_actors_called(db: Database, email_key: str, name: str) -> tuple[UUID, ...]:
    """People of this canonical address, and API keys of this name."""
    people = await db.fetch(_ACTORS_CALLED, text=email_key)
    keys = await db.fetch(_KEYS_CALLED, name=name)
    return tuple(row.id for row in (*people, *keys))


async def find_objects_called(db: Database, text: str, name: str) -> tuple[UUID, ...]:
    """What has this canonical address or key: people, the newest invitations, a group; `type/key` names content.

    text: the address in its canonical form, or the key. name: as it was typed, for API keys.
    """
    rows = await db.fetch(_OBJECTS_CALLED, text=text)
    rows += await db.fetch(_KEYS_CALLED, name=name)
    type_, slash, key = name.partition("/")
    if slash:
        rows += await db.fetch(_CONTENT_CALLED, type=type_, key=key)
    return tuple(row.id for row in rows)
