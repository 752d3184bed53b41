"""Content objects and the grants on them: rows, locks, changes.

Changes of an object or its grants first lock its row (`lock_objects`), so that two changes of access run one after the
other. The order of locks is always: objects by id, then groups, invitations, accounts. Users and groups in a new grant
are locked FOR KEY SHARE until the commit. A transaction that removes one of them deletes its row, which waits for these
locks, and then checks whether a grant was added in the meantime (`check_no_access_left`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    SmallInteger,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from latchstring.domain.access import Access, ContentObject, Holders, Level, SubjectKind, UserAccess, Visibility
from latchstring.domain.errors import OwnsContent
from latchstring.domain.grant import ContentRole
from latchstring.storage.engine.database import Conflict, Database, Row, Step, Work, step
from latchstring.storage.engine.tables import content, content_grants, group_members, groups, users
from latchstring.storage.engine.types import CanonicalText, Id, ListOf, any_of
from latchstring.storage.lists.prefix_search import fold_name

UNIQUE_KEY = "uq_content_type_key"
PRIVATE: ColumnElement[int] = literal_column(str(int(Visibility.PRIVATE)))
SHARED: ColumnElement[int] = literal_column(str(int(Visibility.SHARED)))
PUBLIC: ColumnElement[int] = literal_column(str(int(Visibility.PUBLIC)))
_c = content.c
_g = content_grants.c


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
_SHARE_LOCK_USERS = (
    select(users.c.id).where(any_of(users.c.id, "ids")).order_by(users.c.id).with_for_update(read=True, key_share=True)
)
_SHARE_LOCK_GROUPS = (
    select(groups.c.id, groups.c.key)
    .where(any_of(groups.c.key, "keys", CanonicalText))
    .order_by(groups.c.id)
    .with_for_update(read=True, key_share=True)
)


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


def share_lock_users(ids: Iterable[UUID]) -> Work[set[UUID]]:
    """Return the ids of existing users, locked against deletion until the commit."""
    rows = yield step(_SHARE_LOCK_USERS, ids=sorted(set(ids)))
    return {row.id for row in rows}


def share_lock_groups(keys: Iterable[str]) -> Work[dict[str, UUID]]:
    """Return the ids of existing groups by key, locked against deletion until the commit."""
    rows = yield step(_SHARE_LOCK_GROUPS, keys=sorted(set(keys)))
    return {row.key: row.id for row in rows}


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


# ---- grants ----------------------------------------------------------------------------------------------------------

_ID = bindparam("content_id", type_=Id)
_SUBJECT = bindparam("subject_id", type_=Id)
_ROLE = bindparam("role", type_=_g.role.type)
_GRANT_COLUMNS = ["content_id", "subject_id", "subject_kind", "type", "role"]


def _upsert(dialect_insert: Any) -> Executable:
    """Insert a grant or raise its role, except for the owner of the object, who needs no grant."""
    values = select(_c.id, _SUBJECT, bindparam("kind", type_=_g.subject_kind.type), _TYPE, _ROLE).where(
        _c.id == _ID, _c.owner_id != _SUBJECT
    )
    upsert = dialect_insert(content_grants).from_select(_GRANT_COLUMNS, values)
    statement: Executable = upsert.on_conflict_do_update(
        index_elements=list(content_grants.primary_key),
        set_={"role": upsert.excluded.role},
        where=_g.role < upsert.excluded.role,
    ).returning(_g.content_id)
    return statement


_UPSERT = {"postgresql": _upsert(postgresql.insert), "sqlite": _upsert(sqlite.insert)}
_SHARE = update(content).where(_c.id == _ID, _c.visibility == PRIVATE).values(visibility=SHARED)
_INSERT_GRANT = insert(content_grants).values(
    content_id=_ID, subject_id=_SUBJECT, subject_kind=bindparam("kind"), type=_TYPE, role=_ROLE
)


def _insert_grants() -> Executable:
    """Insert grants from arrays, so that a thousand of them take one statement. PostgreSQL only."""
    lists = func.unnest(
        bindparam("subject_ids", type_=ListOf(Id)),
        bindparam("kinds", type_=ListOf(SmallInteger)),
        bindparam("roles", type_=ListOf(SmallInteger)),
    )
    new_grants = lists.table_valued("subject_id", "kind", "role").render_derived(name="listed")
    rows = select(_ID, new_grants.c.subject_id, new_grants.c.kind, _TYPE, new_grants.c.role)
    return insert(content_grants).from_select(_GRANT_COLUMNS, rows)


_INSERT_GRANTS = _insert_grants()
_DELETE_GRANTS = delete(content_grants).where(_g.content_id == _ID)
_DELETE_GRANT = delete(content_grants).where(_g.content_id == _ID, _g.subject_id == _SUBJECT)
_UNSHARE = (
    update(content)
    .where(
        any_of(_c.id, "ids"),
        _c.visibility == SHARED,
        not_(exists(select(_g.subject_id).where(_g.content_id == _c.id))),
    )
    .values(visibility=PRIVATE)
)


def grant_access(  # noqa: PLR0917  # the columns of one grant, in order
    dialect_name: str, content_id: UUID, content_type: str, subject_id: UUID, kind: SubjectKind, role: ContentRole
) -> Work[bool]:
    """Grant a role on a locked object; a higher role of the subject stays. PRIVATE becomes SHARED.

    Returns False when nothing changed: the subject owns the object or has the role already.
    """
    rows = yield step(
        _UPSERT[dialect_name],
        content_id=content_id,
        type=content_type,
        subject_id=subject_id,
        kind=int(kind),
        role=int(role),
    )
    if rows:
        yield step(_SHARE, content_id=content_id)
    return bool(rows)


def replace_access(
    dialect_name: str, object_: ContentObject, grants: Mapping[tuple[UUID, SubjectKind], ContentRole]
) -> Work[None]:
    """Replace all grants on a locked object. The caller sets the matching visibility."""
    yield step(_DELETE_GRANTS, content_id=object_.id)
    if dialect_name == "postgresql":
        yield step(
            _INSERT_GRANTS,
            content_id=object_.id,
            type=object_.type,
            subject_ids=[subject_id for subject_id, _ in grants],
            kinds=[int(kind) for _, kind in grants],
            roles=[int(role) for role in grants.values()],
        )
        return
    for (subject_id, kind), role in grants.items():
        yield step(
            _INSERT_GRANT,
            content_id=object_.id,
            type=object_.type,
            subject_id=subject_id,
            kind=int(kind),
            role=int(role),
        )


def withdraw_access(content_id: UUID, subject_id: UUID) -> Work[None]:
    """Delete a subject's grant on a locked object. Without grants, SHARED becomes PRIVATE."""
    yield step(_DELETE_GRANT, content_id=content_id, subject_id=subject_id)
    yield step(_UNSHARE, ids=[content_id])


_GRANTS = select(_g.content_id, _g.subject_id, _g.role).where(any_of(_g.content_id, "ids")).order_by(_g.subject_id)
_OWNERS_AND_VISIBILITY = select(_c.id, _c.owner_id, _c.visibility).where(any_of(_c.id, "ids"))


def load_access(content_ids: Iterable[UUID]) -> Work[dict[UUID, Access]]:
    """Return owner, visibility and grants of the existing objects, inside the transaction."""
    ids = sorted(set(content_ids))
    objects = yield step(_OWNERS_AND_VISIBILITY, ids=ids)
    grants: dict[UUID, dict[UUID, ContentRole]] = {row.id: {} for row in objects}
    for row in (yield step(_GRANTS, ids=ids)):
        grants[row.content_id][row.subject_id] = ContentRole(row.role)
    return {row.id: Access(row.owner_id, Visibility(row.visibility), grants[row.id]) for row in objects}


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


# ---- users and groups with access ------------------------------------------------------------------------------------

_USERS_WITH_ACCESS = (
    select(users.c.id, users.c.first_name, users.c.last_name, users.c.email, _g.role)
    .join(users, users.c.id == _g.subject_id)
    .where(_g.content_id == _ID)
    .order_by(users.c.id)
)
_GROUPS_WITH_ACCESS = (
    select(groups.c.key, _g.role)
    .join(groups, groups.c.id == _g.subject_id)
    .where(_g.content_id == _ID)
    .order_by(groups.c.key)
)


async def find_holders(db: Database, content_id: UUID) -> Holders:
    """Return all users and groups that an object is shared with: users by creation, groups by key."""
    user_rows = await db.fetch(_USERS_WITH_ACCESS, content_id=content_id)
    group_rows = await db.fetch(_GROUPS_WITH_ACCESS, content_id=content_id)
    return Holders(
        tuple(
            UserAccess(row.id, f"{row.first_name} {row.last_name}".strip(), row.email, ContentRole(row.role))
            for row in user_rows
        ),
        {row.key: ContentRole(row.role) for row in group_rows},
    )


# ---- deletion of subjects --------------------------------------------------------------------------------------------

_OF_SUBJECT = select(_c.id).where(_c.owner_id == _SUBJECT).union(select(_g.content_id).where(_g.subject_id == _SUBJECT))
_LOCK_OF_SUBJECT = (
    select(_c.id, _c.owner_id).where(_c.id.in_(_OF_SUBJECT)).order_by(_c.id).with_for_update(key_share=True)
)
_DELETE_GRANTS_OF_SUBJECT = delete(content_grants).where(_g.subject_id == _SUBJECT).returning(_g.content_id)
_TRANSFER = (
    update(content).where(_c.owner_id == _SUBJECT).values(owner_id=bindparam("new_owner_id", type_=Id)).returning(_c.id)
)
_DELETE_GRANTS_OF_OWNER = delete(content_grants).where(
    _g.subject_id == bindparam("new_owner_id", type_=Id), any_of(_g.content_id, "ids")
)
_REMAINING_ACCESS: Select[Any] = select(literal_column("1").label("one")).where(
    or_(
        exists(select(_c.id).where(_c.owner_id == _SUBJECT)),
        exists(select(_g.content_id).where(_g.subject_id == _SUBJECT)),
    )
)


def delete_grants_of_subject(subject_id: UUID) -> Work[None]:
    """Delete every grant of a user or group that is about to be deleted.

    SHARED objects without grants become PRIVATE; invitations to them stay.
    """
    rows = yield step(_LOCK_OF_SUBJECT, subject_id=subject_id)
    deleted = yield step(_DELETE_GRANTS_OF_SUBJECT, subject_id=subject_id)
    ids = {row.content_id for row in deleted}
    if ids - {row.id for row in rows}:
        raise Conflict  # a grant was added in the meantime, on an object that is not locked
    if ids:
        yield step(_UNSHARE, ids=sorted(ids))


def transfer_objects(user_id: UUID, new_owner_id: UUID | None) -> Work[list[UUID]]:
    """Transfer the objects of a user who is about to be deleted, and delete the user's grants.

    Returns the ids of the transferred objects. Raises OwnsContent when there are objects and no new owner is given.
    """
    rows = yield step(_LOCK_OF_SUBJECT, subject_id=user_id)
    owned = [row.id for row in rows if row.owner_id == user_id]
    if owned and new_owner_id is None:
        raise OwnsContent("This person owns content. Name who takes it over in ?newOwnerId=.")
    if owned:
        yield step(_TRANSFER, subject_id=user_id, new_owner_id=new_owner_id)
        yield step(_DELETE_GRANTS_OF_OWNER, new_owner_id=new_owner_id, ids=owned)
        yield step(_UNSHARE, ids=owned)
    yield from delete_grants_of_subject(user_id)
    return owned


def check_no_access_left(subject_id: UUID) -> Work[None]:
    """Restart the transaction if the deleted user or group got objects or grants in the meantime.

    Call this after its row was deleted. Raises Conflict.
    """
    if (yield step(_REMAINING_ACCESS, subject_id=subject_id)):
        raise Conflict


# ---- direct access ---------------------------------------------------------------------------------------------------

_WITH_OWN_ACCESS = select(_c.id).where(
    any_of(_c.id, "ids"),
    or_(
        _c.owner_id == bindparam("user_id", type_=Id),
        exists(select(_g.role).where(_g.content_id == _c.id, _g.subject_id == bindparam("user_id", type_=Id))),
    ),
)


async def has_own_access(db: Database, user_id: UUID, content_ids: Sequence[UUID]) -> bool:
    """Whether a user owns or has a grant on every one of the objects. Grants of groups do not count."""
    rows = await db.fetch(_WITH_OWN_ACCESS, user_id=user_id, ids=content_ids)
    return {row.id for row in rows} >= set(content_ids)
