"""Content objects: rows, locks, changes, and the levels of users.

Changes of an object or its grants first lock its row (`lock_objects`), so that two changes of access run one after the
other. The order of locks is always: objects by id, then groups, invitations, accounts.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import content, content_grants, group_members
from latchstring.storage.engine.types import CanonicalText, Id, any_of
from latchstring.storage.lists.prefix_search import fold_name

UNIQUE_KEY = "uq_content_type_key"
PRIVATE: ColumnElement[int] = literal_column(str(int(Visibility.PRIVATE)))
SHARED: ColumnElement[int] = literal_column(str(int(Visibility.SHARED)))
PUBLIC: ColumnElement[int] = literal_column(str(int(Visibility.PUBLIC)))
_c = content.c


def read_object(row: Row) -> ContentObject:
    """Read an object from a row with all columns."""
    return ContentObject(
        id=row.id,
        type=row.type,
        key=row.key,
        owner_id=row.owner_id,
        visibility=Visibility(row.visibility),
        title=row.title,
        url=row.url,
        data=row.data,
        version=row.version,
        updated_at=row.updated_at,
    )


# ---- lookup ----------------------------------------------------------------------------------------------------------

_TYPE, _KEY = bindparam("type", type_=_c.type.type), bindparam("key", type_=_c.key.type)
_FIND = select(content).where(_c.type == _TYPE, _c.key == _KEY)
_FIND_MANY = select(content).where(any_of(_c.type, "types", CanonicalText), any_of(_c.key, "keys", CanonicalText))
_BY_IDS = select(content).where(any_of(_c.id, "ids"))


async def find_object(db: Database, type_: str, key: str) -> ContentObject | None:
    rows = await db.fetch(_FIND, type=type_, key=key)
    return read_object(rows[0]) if rows else None


async def find_objects(db: Database, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ContentObject]:
    """Return the existing objects of these (type, key) pairs."""
    pairs = set(names)
    if not pairs:
        return {}
    types, keys = ({name[index] for name in pairs} for index in (0, 1))
    rows = await db.fetch(_FIND_MANY, types=sorted(types), keys=sorted(keys))
    return {(row.type, row.key): read_object(row) for row in rows if (row.type, row.key) in pairs}


# ---- locks -----------------------------------------------------------------------------------------------------------

# NO KEY UPDATE: conflicts with itself, but not with the foreign key checks of new grants on the locked object
_LOCK = _BY_IDS.order_by(_c.id).with_for_update(key_share=True)
_LOCK_EXCLUSIVELY = _BY_IDS.with_for_update()
_SHARE_LOCK = select(_c.id).where(any_of(_c.id, "ids")).order_by(_c.id).with_for_update(read=True, key_share=True)


def lock_objects(ids: Iterable[UUID]) -> Work[dict[UUID, ContentObject]]:
    """Return the existing objects, locked against changes and deletion of them and their grants until the commit."""
    sorted_ids = sorted(set(ids))
    if not sorted_ids:
        return {}
    return {row.id: read_object(row) for row in (yield step(_LOCK, ids=sorted_ids))}


def lock_object_exclusively(content_id: UUID) -> Work[ContentObject | None]:
    """Lock an object to delete it or make it private. Waits for shared locks too, which invitations take."""
    rows = yield step(_LOCK_EXCLUSIVELY, ids=[content_id])
    return read_object(rows[0]) if rows else None


def share_lock_objects(ids: Iterable[UUID]) -> Work[set[UUID]]:
    """Return the ids of existing objects, locked against deletion until the commit. Changing them stays possible."""
    rows = yield step(_SHARE_LOCK, ids=sorted(set(ids)))
    return {row.id for row in rows}


# ---- objects ---------------------------------------------------------------------------------------------------------

_INSERT = insert(content).values({column.name: bindparam(column.name, type_=column.type) for column in content.columns})
_UPDATED_COLUMNS = ("owner_id", "visibility", "title", "url", "data", "version", "updated_at", "search_title")
_UPDATE = (
    update(content)
    .where(_c.id == bindparam("content_id", type_=Id))
    .values({name: bindparam(f"new_{name}", type_=_c[name].type) for name in _UPDATED_COLUMNS})
)
_DELETE = delete(content).where(_c.id == bindparam("content_id", type_=Id))


def insert_object(object_: ContentObject) -> Step:
    """Insert an object. Raises UniqueViolation of UNIQUE_KEY when the key is taken."""
    return step(
        _INSERT,
        id=object_.id,
        type=object_.type,
        key=object_.key,
        owner_id=object_.owner_id,
        visibility=int(object_.visibility),
        title=object_.title,
        url=object_.url,
        data=object_.data,
        version=object_.version,
        updated_at=object_.updated_at,
        search_title=fold_name(object_.title),
    )


def update_object(object_: ContentObject) -> Step:
    """Update owner, visibility, texts and data of an object. Lock it before reading it."""
    return step(
        _UPDATE,
        content_id=object_.id,
        new_owner_id=object_.owner_id,
        new_visibility=int(object_.visibility),
        new_title=object_.title,
        new_url=object_.url,
        new_data=object_.data,
        new_version=object_.version,
        new_updated_at=object_.updated_at,
        new_search_title=fold_name(object_.title),
    )


def delete_object(content_id: UUID) -> Step:
    """Delete an object and its grants."""
    return step(_DELETE, content_id=content_id)


# ---- levels of a user ------------------------------------------------------------------------------------------------


class greatest(FunctionElement[int]):  # noqa: N801  # reads as a function in statements
    """The greatest of several numbers, none of which is NULL."""

    inherit_cache = True
    type = Integer()


@compiles(greatest, "postgresql")
def _greatest_on_postgres(element: greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kw)})"


@compiles(greatest, "sqlite")
def _greatest_on_sqlite(element: greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


def role_of_subject(object_id: ColumnElement[UUID], user_id: ColumnElement[UUID]) -> ColumnElement[int]:
    """The highest role granted to a user directly or through a group; 0 without one.

    One lookup by primary key for the user and one for each of their groups, however many grants the object has. The
    inner SELECT keeps PostgreSQL from reversing the join and reading every grant of the object.
    """
    own, shared, member = content_grants.alias(), content_grants.alias(), group_members.alias()
    direct = select(own.c.role).where(own.c.content_id == object_id, own.c.subject_id == user_id).correlate_except(own)
    of_group = (
        select(shared.c.role)
        .where(shared.c.content_id == object_id, shared.c.subject_id == member.c.group_id)
        .correlate_except(shared)
    )
    by_group = select(func.max(of_group.scalar_subquery())).where(member.c.user_id == user_id).correlate_except(member)
    none = literal_column("0", Integer)
    return greatest(func.coalesce(direct.scalar_subquery(), none), func.coalesce(by_group.scalar_subquery(), none))


def level_of_subject(user_id: ColumnElement[UUID], object_: Any = content.c) -> ColumnElement[int]:
    """The level of a user on each row of content, from ownership and grants; 0 when user_id is NULL."""
    return case(
        (object_.owner_id == user_id, literal_column(str(int(Level.OWNER)), Integer)),
        (object_.visibility == PRIVATE, literal_column("0", Integer)),
        else_=role_of_subject(object_.id, user_id),
    )


_LEVEL = level_of_subject(bindparam("user_id", type_=Id)).label("held")
_LEVELS = select(_c.id, _LEVEL).where(any_of(_c.id, "ids"))
_FIND_FOR = select(content, _LEVEL).where(_c.type == _TYPE, _c.key == _KEY)


def load_levels(user_id: UUID | None, content_ids: Iterable[UUID]) -> Work[dict[UUID, Level]]:
    """Return the user's levels on the existing objects from ownership, own grants and grants of groups.

    Public visibility and permissions do not count. Runs inside a transaction.
    """
    rows = yield step(_LEVELS, user_id=user_id, ids=sorted(set(content_ids)))
    return {row.id: Level(row.held) for row in rows}


async def find_levels(db: Database, user_id: UUID | None, content_ids: Iterable[UUID]) -> dict[UUID, Level]:
    """Return the same as `load_levels`, outside a transaction."""
    rows = await db.fetch(_LEVELS, user_id=user_id, ids=sorted(set(content_ids)))
    return {row.id: Level(row.held) for row in rows}


async def find_object_for(
    db: Database, user_id: UUID | None, type_: str, key: str
) -> tuple[ContentObject, Level] | None:
    """Return an object with the user's level on it from ownership and grants, in one statement."""
    rows = await db.fetch(_FIND_FOR, user_id=user_id, type=type_, key=key)
    return (read_object(rows[0]), Level(rows[0].held)) if rows else None
