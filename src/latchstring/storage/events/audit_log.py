"""The audit log with filters, newest first.

One filter chooses the index: objects, else actors, else action, else the order of time. The other filters are checked
row by row, for a limited number of rows per page; the next page continues there.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal_column, select, union_all

from latchstring.domain.event import RecordedEvent
from latchstring.domain.ids import NIL_ID, first_id_at, id_before
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

MAX_MATCHES = 50
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
    values_by_filter = {
        "objects": audit_filter.objects,
        "actors": audit_filter.actors,
        "action": audit_filter.action,
        "actor_type": None if audit_filter.actor_type is None else audit_filter.actor_type.value,
    }
    filters = [name for name, value in values_by_filter.items() if value is not None]
    values: dict[str, Any] = {f"any_{name}": value is None for name, value in values_by_filter.items()}
    values |= values_by_filter | {"objects": audit_filter.objects or (), "actors": audit_filter.actors or ()}
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
    first = NIL_ID if audit_filter.since is None else first_id_at(audit_filter.since)
    return None if first == NIL_ID else (id_before(first),)


def _highest(audit_filter: AuditFilter) -> Key | None:
    return None if audit_filter.until is None else (first_id_at(audit_filter.until),)


async def list_audit(
    db: Database, audit_filter: AuditFilter, *, cursor: Cursor | None = None, limit: int
) -> Page[AuditEntry]:
    """Return a page of the audit log, newest first."""
    page = await _LIST.page(db, _query(audit_filter), order=NEWEST_FIRST, cursor=cursor, limit=limit)
    named = await find_named(db, (recorded.event.subject_id for recorded in page.items))
    return page.map(lambda recorded: AuditEntry(recorded, named.get(recorded.event.subject_id)))


# ---- lookup by name or address ---------------------------------------------------------------------------------------

_TEXT = bindparam("text", type_=CanonicalText)
_LIMIT: ColumnElement[int] = literal_column(str(MAX_MATCHES))
_ACTORS_BY_ADDRESS = union_all(
    select(users.c.id).where(users.c.email_key == _TEXT),
    select(admins.c.id).where(admins.c.email_key == _TEXT),
)
_invited = (
    select(invitations.c.id).where(invitations.c.email_key == _TEXT).order_by(invitations.c.id.desc()).limit(_LIMIT)
).subquery()
_OBJECTS_BY_KEY = union_all(
    select(users.c.id).where(users.c.email_key == _TEXT),
    select(admins.c.id).where(admins.c.email_key == _TEXT),
    select(groups.c.id).where(groups.c.key == _TEXT),
    select(_invited.c.id),
)
_CONTENT_BY_KEY = select(content.c.id).where(
    content.c.type == bindparam("type", type_=CanonicalText), content.c.key == bindparam("key", type_=CanonicalText)
)
_API_KEYS_BY_NAME = (
    select(api_keys.c.id).where(api_keys.c.name == bindparam("name", type_=api_keys.c.name.type)).limit(_LIMIT)
)


async def find_actors_by_name(db: Database, email_key: str, name: str) -> tuple[UUID, ...]:
    """Return the ids of people with this canonical address, and of API keys with this name."""
    people = await db.fetch(_ACTORS_BY_ADDRESS, text=email_key)
    keys = await db.fetch(_API_KEYS_BY_NAME, name=name)
    return tuple(row.id for row in (*people, *keys))


async def find_objects_by_name(db: Database, text: str, name: str) -> tuple[UUID, ...]:
    """Return the ids of people, the newest invitations, groups, API keys and content (`type/key`) with this name.

    text: the canonical address, or the key. name: the input as typed, for API keys and content.
    """
    rows = await db.fetch(_OBJECTS_BY_KEY, text=text)
    rows += await db.fetch(_API_KEYS_BY_NAME, name=name)
    type_, slash, key = name.partition("/")
    if slash:
        rows += await db.fetch(_CONTENT_BY_KEY, type=type_, key=key)
    return tuple(row.id for row in rows)
