"""Content objects and the grants on them: rows, locks, changes.

Whoever changes an object or its grants first locks its row (`lock_objects`), so that two changes of access happen one
after the other. Everybody locks objects by id, then groups, invitations, accounts. Users and groups that a grant names
are held (FOR KEY SHARE) until the commit: whoever removes one deletes its row, waits for those holders, and then looks
whether a grant came in between (`check_released`).
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


def object_of(row: Row) -> ContentObject:
    """The object of a row of all columns."""
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


# ---- finding ---------------------------------------------------------------------------------------------------------

_TYPE, _KEY = bindparam("type", type_=_c.type.type), bindparam("key", type_=_c.key.type)
_FIND = select(content).where(_c.type == _TYPE, _c.key == _KEY)
_FIND_MANY = select(content).where(any_of(_c.type, "types", CanonicalText), any_of(_c.key, "keys", CanonicalText))
_BY_IDS = select(content).where(any_of(_c.id, "ids"))


async def find_object(db: Database, type_: str, key: str) -> ContentObject | None:
    rows = await db.fetch(_FIND, type=type_, key=key)
    return object_of(rows[0]) if rows else None


async def find_objects(db: Database, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ContentObject]:
    """Those of the (type, key) pairs that are objects."""
    wanted = set(names)
    if not wanted:
        return {}
    types, keys = ({name[at] for name in wanted} for at in (0, 1))
    rows = await db.fetch(_FIND_MANY, types=sorted(types), keys=sorted(keys))
    return {(row.type, row.key): object_of(row) for row in rows if (row.type, row.key) in wanted}


# ---- locks -----------------------------------------------------------------------------------------------------------

# NO KEY UPDATE: strong enough against each other, and grants, which refer to the row, can still be added by the holder
_LOCK = _BY_IDS.order_by(_c.id).with_for_update(key_share=True)
_SEIZE = _BY_IDS.with_for_update()
_HOLD = select(_c.id).where(any_of(_c.id, "ids")).order_by(_c.id).with_for_update(read=True, key_share=True)
_HOLD_USERS = (
    select(users.c.id).where(any_of(users.c.id, "ids")).order_by(users.c.id).with_for_update(read=True, key_share=True)
)
_HOLD_GROUPS = (
    select(groups.c.id, groups.c.key)
    .where(any_of(groups.c.key, "keys", CanonicalText))
    .order_by(groups.c.id)
    .with_for_update(read=True, key_share=True)
)


def lock_objects(ids: Iterable[UUID]) -> Work[dict[UUID, ContentObject]]:
    """Those of the ids that are objects; nobody else changes or removes them or their grants until the commit."""
    sorted_ids = sorted(set(ids))
    if not sorted_ids:
        return {}
    return {row.id: object_of(row) for row in (yield step(_LOCK, ids=sorted_ids))}


def seize_object(content_id: UUID) -> Work[ContentObject | None]:
    """One object, to be removed or closed: also whoever holds it for an invitation has to finish first."""
    rows = yield step(_SEIZE, ids=[content_id])
    return object_of(rows[0]) if rows else None


def hold_objects(ids: Iterable[UUID]) -> Work[set[UUID]]:
    """Those of the ids that are objects, which nobody removes until the commit; changing them stays possible."""
    rows = yield step(_HOLD, ids=sorted(set(ids)))
    return {row.id for row in rows}


def hold_users(ids: Iterable[UUID]) -> Work[set[UUID]]:
    """Those of the ids that are accounts, which nobody removes until the commit."""
    rows = yield step(_HOLD_USERS, ids=sorted(set(ids)))
    return {row.id for row in rows}


def hold_groups(keys: Iterable[str]) -> Work[dict[str, UUID]]:
    """Ids of those of the keys that are groups, which nobody removes until the commit."""
    rows = yield step(_HOLD_GROUPS, keys=sorted(set(keys)))
    return {row.key: row.id for row in rows}


# ---- objects ---------------------------------------------------------------------------------------------------------

_INSERT = insert(content).values({column.name: bindparam(column.name, type_=column.type) for column in content.columns})
_CHANGED = ("owner_id", "visibility", "title", "url", "data", "version", "updated_at", "search_title")
_UPDATE = (
    update(content)
    .where(_c.id == bindparam("content_id", type_=Id))
    .values({name: bindparam(f"new_{name}", type_=_c[name].type) for name in _CHANGED})
)
_DELETE = delete(content).where(_c.id == bindparam("content_id", type_=Id))


def insert_object(new: ContentObject) -> Step:
    """Keep a new object. A taken key is a UniqueViolation of UNIQUE_KEY."""
    return step(
        _INSERT,
        id=new.id,
        type=new.type,
        key=new.key,
        owner_id=new.owner_id,
        visibility=int(new.visibility),
        title=new.title,
        url=new.url,
        data=new.data,
        version=new.version,
        updated_at=new.updated_at,
        search_title=fold_name(new.title),
    )


def update_object(changed: ContentObject) -> Step:
    """Keep owner, visibility, words and data of an object. Lock it before reading it."""
    return step(
        _UPDATE,
        content_id=changed.id,
        new_owner_id=changed.owner_id,
        new_visibility=int(changed.visibility),
        new_title=changed.title,
        new_url=changed.url,
        new_data=changed.data,
        new_version=changed.version,
        new_updated_at=changed.updated_at,
        new_search_title=fold_name(changed.title),
    )


def delete_object(content_id: UUID) -> Step:
    """Remove an object; its grants go with it."""
    return step(_DELETE, content_id=content_id)


# ---- grants ----------------------------------------------------------------------------------------------------------

_ID = bindparam("content_id", type_=Id)
_SUBJECT = bindparam("subject_id", type_=Id)
_ROLE = bindparam("role", type_=_g.role.type)
_GRANT_COLUMNS = ["content_id", "subject_id", "subject_kind", "type", "role"]


def _upsert(dialect_insert: Any) -> Executable:
    """Insert a grant or raise its role, unless the subject owns the object: an owner needs none."""
    values = select(_c.id, _SUBJECT, bindparam("kind", type_=_g.subject_kind.type), _TYPE, _ROLE).where(
        _c.id == _ID, _c.owner_id != _SUBJECT
    )
    adding = dialect_insert(content_grants).from_select(_GRANT_COLUMNS, values)
    statement: Executable = adding.on_conflict_do_update(
        index_elements=list(content_grants.primary_key),
        set_={"role": adding.excluded.role},
        where=_g.role < adding.excluded.role,
    ).returning(_g.content_id)
    return statement


_UPSERT = {"postgresql": _upsert(postgresql.insert), "sqlite": _upsert(sqlite.insert)}
_SHARE = update(content).where(_c.id == _ID, _c.visibility == PRIVATE).values(visibility=SHARED)
_ADD = insert(content_grants).values(
    content_id=_ID, subject_id=_SUBJECT, subject_kind=bindparam("kind"), type=_TYPE, role=_ROLE
)


def _add_all() -> Executable:
    """Grants from lists, so that a thousand of them are one statement. PostgreSQL only."""
    lists = func.unnest(
        bindparam("subject_ids", type_=ListOf(Id)),
        bindparam("kinds", type_=ListOf(SmallInteger)),
        bindparam("roles", type_=ListOf(SmallInteger)),
    )
    listed = lists.table_valued("subject_id", "kind", "role").render_derived(name="listed")
    rows = select(_ID, listed.c.subject_id, listed.c.kind, _TYPE, listed.c.role)
    return insert(content_grants).from_select(_GRANT_COLUMNS, rows)


_ADD_ALL = _add_all()
_CLEAR = delete(content_grants).where(_g.content_id == _ID)
_WITHDRAW = delete(content_grants).where(_g.content_id == _ID, _g.subject_id == _SUBJECT)
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
    """Give somebody a right on a locked object; a greater one already held stays. PRIVATE becomes SHARED.

    False when nothing was given: the object is the subject's own, or the right was held before.
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
    dialect_name: str, one: ContentObject, grants: Mapping[tuple[UUID, SubjectKind], ContentRole]
) -> Work[None]:
    """Let exactly these have access to a locked object. The caller sets the visibility that goes with it."""
    yield step(_CLEAR, content_id=one.id)
    if dialect_name == "postgresql":
        yield step(
            _ADD_ALL,
            content_id=one.id,
            type=one.type,
            subject_ids=[subject_id for subject_id, _ in grants],
            kinds=[int(kind) for _, kind in grants],
            roles=[int(role) for role in grants.values()],
        )
        return
    for (subject_id, kind), role in grants.items():
        yield step(_ADD, content_id=one.id, type=one.type, subject_id=subject_id, kind=int(kind), role=int(role))


def withdraw_access(content_id: UUID, subject_id: UUID) -> Work[None]:
    """Take somebody's grant on a locked object away; the last one turns SHARED into PRIVATE."""
    yield step(_WITHDRAW, content_id=content_id, subject_id=subject_id)
    yield step(_UNSHARE, ids=[content_id])


_GRANTS = select(_g.content_id, _g.subject_id, _g.role).where(any_of(_g.content_id, "ids")).order_by(_g.subject_id)
_HEADS = select(_c.id, _c.owner_id, _c.visibility).where(any_of(_c.id, "ids"))


def load_access(content_ids: Iterable[UUID]) -> Work[dict[UUID, Access]]:
    """Owner, visibility and grants of those of the ids that are objects, as the transaction sees them."""
    ids = sorted(set(content_ids))
    heads = yield step(_HEADS, ids=ids)
    given: dict[UUID, dict[UUID, ContentRole]] = {row.id: {} for row in heads}
    for row in (yield step(_GRANTS, ids=ids)):
        given[row.content_id][row.subject_id] = ContentRole(row.role)
    return {row.id: Access(row.owner_id, Visibility(row.visibility), given[row.id]) for row in heads}


# ---- what somebody holds ---------------------------------------------------------------------------------------------


class greatest(FunctionElement[int]):  # noqa: N801  # reads as a function in statements
    """The greatest of some numbers, none of which is NULL."""

    inherit_cache = True
    type = Integer()


@compiles(greatest, "postgresql")
def _greatest_on_postgres(element: greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kw)})"


@compiles(greatest, "sqlite")
def _greatest_on_sqlite(element: greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


def role_of_subject(object_id: ColumnElement[UUID], user_id: ColumnElement[UUID]) -> ColumnElement[int]:
    """The greatest role granted to a user, himself or through a group; 0 without one.

    One lookup by primary key for the user and one for each of his groups, however many grants the object has. The
    inner SELECT is there for PostgreSQL, which would turn a join around and read every grant of the object.
    """
    own, shared, member = content_grants.alias(), content_grants.alias(), group_members.alias()
    direct = select(own.c.role).where(own.c.content_id == object_id, own.c.subject_id == user_id).correlate_except(own)
    of_group = (
        select(shared.c.role)
        .where(shared.c.content_id == object_id, shared.c.subject_id == member.c.group_id)
        .correlate_except(shared)
    )
    through = select(func.max(of_group.scalar_subquery())).where(member.c.user_id == user_id).correlate_except(member)
    none = literal_column("0", Integer)
    return greatest(func.coalesce(direct.scalar_subquery(), none), func.coalesce(through.scalar_subquery(), none))


def level_of_subject(user_id: ColumnElement[UUID], one: Any = content.c) -> ColumnElement[int]:
    """What a user holds on each row of content: as owner, or by grants. Nobody holds anything when the id is NULL."""
    return case(
        (one.owner_id == user_id, literal_column(str(int(Level.OWNER)), Integer)),
        (one.visibility == PRIVATE, literal_column("0", Integer)),
        else_=role_of_subject(one.id, user_id),
    )


_HELD = level_of_subject(bindparam("user_id", type_=Id)).label("held")
_LEVELS = select(_c.id, _HELD).where(any_of(_c.id, "ids"))
_FIND_FOR = select(content, _HELD).where(_c.type == _TYPE, _c.key == _KEY)


def load_levels(user_id: UUID | None, content_ids: Iterable[UUID]) -> Work[dict[UUID, Level]]:
    """What a user holds now on those of the ids that are objects: as owner, by his own grant, through groups.

    That everybody may view a PUBLIC object does not count, nor do permissions.
    """
    rows = yield step(_LEVELS, user_id=user_id, ids=sorted(set(content_ids)))
    return {row.id: Level(row.held) for row in rows}


async def find_levels(db: Database, user_id: UUID | None, content_ids: Iterable[UUID]) -> dict[UUID, Level]:
    """The same outside a transaction."""
    rows = await db.fetch(_LEVELS, user_id=user_id, ids=sorted(set(content_ids)))
    return {row.id: Level(row.held) for row in rows}


async def find_object_for(
    db: Database, user_id: UUID | None, type_: str, key: str
) -> tuple[ContentObject, Level] | None:
    """An object with what the user holds on it, in one statement."""
    rows = await db.fetch(_FIND_FOR, user_id=user_id, type=type_, key=key)
    return (object_of(rows[0]), Level(rows[0].held)) if rows else None


# ---- who has access --------------------------------------------------------------------------------------------------

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


async def find_accounts(db: Database, content_id: UUID) -> Holders:
    """Everybody an object is shared with, users in the order of their making, groups by key."""
    people = await db.fetch(_USERS_WITH_ACCESS, content_id=content_id)
    teams = await db.fetch(_GROUPS_WITH_ACCESS, content_id=content_id)
    return Holders(
        tuple(
            UserAccess(row.id, f"{row.first_name} {row.last_name}".strip(), row.email, ContentRole(row.role))
            for row in people
        ),
        {row.key: ContentRole(row.role) for row in teams},
    )


# ---- subjects that go away -------------------------------------------------------------------------------------------

_OF_SUBJECT = select(_c.id).where(_c.owner_id == _SUBJECT).union(select(_g.content_id).where(_g.subject_id == _SUBJECT))
_LOCK_OF_SUBJECT = (
    select(_c.id, _c.owner_id).where(_c.id.in_(_OF_SUBJECT)).order_by(_c.id).with_for_update(key_share=True)
)
_DROP = delete(content_grants).where(_g.subject_id == _SUBJECT).returning(_g.content_id)
_HAND_OVER = (
    update(content).where(_c.owner_id == _SUBJECT).values(owner_id=bindparam("new_owner_id", type_=Id)).returning(_c.id)
)
_DROP_OF_OWNER = delete(content_grants).where(
    _g.subject_id == bindparam("new_owner_id", type_=Id), any_of(_g.content_id, "ids")
)
_LEFT: Select[Any] = select(literal_column("1").label("one")).where(
    or_(
        exists(select(_c.id).where(_c.owner_id == _SUBJECT)),
        exists(select(_g.content_id).where(_g.subject_id == _SUBJECT)),
    )
)


def drop_subject(subject_id: UUID) -> Work[None]:
    """Remove every grant of a user or group that goes away. SHARED objects left without one become PRIVATE;
    invitations to them stay.
    """
    rows = yield step(_LOCK_OF_SUBJECT, subject_id=subject_id)
    dropped = yield step(_DROP, subject_id=subject_id)
    ids = {row.content_id for row in dropped}
    if ids - {row.id for row in rows}:
        raise Conflict  # granted meanwhile, on an object that is not locked
    if ids:
        yield step(_UNSHARE, ids=sorted(ids))


def release_objects(user_id: UUID, new_owner_id: UUID | None) -> Work[list[UUID]]:
    """Let go of everything somebody holds who is about to be removed: grants end, objects get the new owner.

    Returns the ids of what was handed over. Raises OwnsContent when there is something and nobody to take it.
    """
    rows = yield step(_LOCK_OF_SUBJECT, subject_id=user_id)
    owned = [row.id for row in rows if row.owner_id == user_id]
    if owned and new_owner_id is None:
        raise OwnsContent("This person owns content. Name who takes it over in ?newOwnerId=.")
    if owned:
        yield step(_HAND_OVER, subject_id=user_id, new_owner_id=new_owner_id)
        yield step(_DROP_OF_OWNER, new_owner_id=new_owner_id, ids=owned)
        yield step(_UNSHARE, ids=owned)
    yield from drop_subject(user_id)
    return owned


def check_released(subject_id: UUID) -> Work[None]:
    """After the row of a user or group was deleted: begin anew if something was given to it meanwhile."""
    if (yield step(_LEFT, subject_id=subject_id)):
        raise Conflict


# ---- in an object's own list -----------------------------------------------------------------------------------------

_OWN_COLUMNS = select(_c.id).where(
    any_of(_c.id, "ids"),
    or_(
        _c.owner_id == bindparam("user_id", type_=Id),
        exists(select(_g.role).where(_g.content_id == _c.id, _g.subject_id == bindparam("user_id", type_=Id))),
    ),
)


async def has_own_access(db: Database, user_id: UUID, content_ids: Sequence[UUID]) -> bool:
    """Whether a user owns or is named in the access of every one of the objects; groups do not count."""
    rows = await db.fetch(_OWN_COLUMNS, user_id=user_id, ids=content_ids)
    return {row.id for row in rows} >= set(content_ids)
