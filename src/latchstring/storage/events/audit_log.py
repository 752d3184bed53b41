"""Reading history newest first, with filters, at a bounded cost.

One filter chooses the index: that of the objects, else of the actor, else of the action, else the order of time. The
others are checked row by row, for at most WALK rows a page; whoever wants more goes on from where that ended.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select, union_all
from sqlalchemy.sql import Executable

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.event import Event, RecordedEvent
from latchstring.domain.ids import first_id_at, id_instant
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter, AuditPage
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import admins, api_keys, content, events, groups, invitations, users
from latchstring.storage.engine.types import CanonicalText, Id, any_of
from latchstring.storage.events.actor_names import find_named, name_of

WALK = 5000
MOST_FOUND = 50
NOWHERE, EVERYWHERE = UUID(int=0), UUID(int=(1 << 128) - 1)

_INDEXED = ("objects", "actor", "actors", "action")  # the most selective first
_Names = tuple[str, ...]  # of the filters in use: a statement for each such set, direction and length


def _condition(name: str, columns: Any) -> ColumnElement[bool]:
    match name:
        case "objects":
            return any_of(columns.subject_id, "objects")
        case "actor":  # an equality comes in the order of the index; of a list all would have to be sorted
            return columns.actor_id == bindparam("actor", type_=Id)  # type: ignore[no-any-return]
        case "actors":
            return any_of(columns.actor_id, "actors")
        case "action":
            return columns.type == bindparam("action", type_=events.c.type.type)  # type: ignore[no-any-return]
        case _:
            return columns.actor_type == bindparam("actor_type", type_=events.c.actor_type.type)  # type: ignore[no-any-return]


def _walk(names: _Names, *, newest_first: bool) -> Select[Any]:
    """The rows of one index between two ids, in the order wanted."""
    after, before = bindparam("after", type_=Id), bindparam("before", type_=Id)
    leading = next((name for name in _INDEXED if name in names), None)
    indexed = [_condition(leading, events.c)] if leading else []
    order = events.c.id.desc() if newest_first else events.c.id
    return select(events).where(events.c.id > after, events.c.id < before, *indexed).order_by(order)


@cache
def _page(names: _Names, limit: int, *, newest_first: bool) -> Executable:
    walked = _walk(names, newest_first=newest_first).limit(literal_column(str(WALK))).subquery("walked")
    order = walked.c.id.desc() if newest_first else walked.c.id
    kept = select(walked).where(*(_condition(name, walked.c) for name in names)).order_by(order)
    few = kept.limit(literal_column(str(limit))).subquery("few")
    name = name_of(few.c.actor_type, few.c.actor_id, among_administrators=True).label("actor_name")
    return select(few, name).order_by(few.c.id.desc() if newest_first else few.c.id)


@cache
def _last_walked(names: _Names, *, newest_first: bool) -> Executable:
    walk = _walk(names, newest_first=newest_first).with_only_columns(events.c.id)
    return walk.offset(literal_column(str(WALK - 1))).limit(literal_column("1"))


async def list_audit(
    db: Database, wanted: AuditFilter, *, before: UUID | None = None, after: UUID | None = None, limit: int
) -> AuditPage:
    """A page of history, newest first: before an id, or after one when walking back, else from the newest."""
    names, values = _filters(wanted)
    newest_first = after is None
    bounds = {"after": after or _lower(wanted), "before": before or _upper(wanted)}
    statement = _page(names, limit + 1, newest_first=newest_first)
    rows = await db.fetch(statement, **bounds, **values)
    more, rows = len(rows) > limit, rows[:limit]
    stopped_at = None
    if not more and newest_first:  # the end of history, or only of the walk
        last = await db.fetch(_last_walked(names, newest_first=True), **bounds, **values)
        stopped_at = last[0].id if last else None
    shown = rows if newest_first else rows[::-1]
    entries = await _with_names(db, shown)
    came_from = before is not None or after is not None
    return AuditPage(
        entries,
        older=_older(shown, more=more if newest_first else True, stopped_at=stopped_at),
        newer=shown[0].id if shown and came_from and (newest_first or more) else None,
        looked_until=id_instant(stopped_at) if stopped_at else None,
    )


def _older(shown: Sequence[Row], *, more: bool, stopped_at: UUID | None) -> UUID | None:
    if stopped_at is not None:
        return stopped_at
    return shown[-1].id if shown and more else None


def _filters(wanted: AuditFilter) -> tuple[_Names, dict[str, Any]]:
    values: dict[str, Any] = {}
    if wanted.objects is not None:
        values["objects"] = wanted.objects
    if wanted.actors is not None and len(wanted.actors) == 1:
        values["actor"] = wanted.actors[0]
    elif wanted.actors is not None:
        values["actors"] = wanted.actors
    if wanted.action is not None:
        values["action"] = wanted.action
    if wanted.actor_type is not None:
        values["actor_type"] = wanted.actor_type.value
    return tuple(values), values


def _lower(wanted: AuditFilter) -> UUID:
    return UUID(int=first_id_at(wanted.since).int - 1) if wanted.since and first_id_at(wanted.since).int else NOWHERE


def _upper(wanted: AuditFilter) -> UUID:
    return first_id_at(wanted.until) if wanted.until else EVERYWHERE


async def _with_names(db: Database, rows: Sequence[Row]) -> list[AuditEntry]:
    named = await find_named(db, (row.subject_id for row in rows))
    return [AuditEntry(_recorded(row), named.get(row.subject_id)) for row in rows]


def _recorded(row: Row) -> RecordedEvent:
    actor = Actor(ActorType(row.actor_type), row.actor_id)
    return RecordedEvent(Event(row.id, row.subject_id, row.type, actor, row.data), row.actor_name)


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
