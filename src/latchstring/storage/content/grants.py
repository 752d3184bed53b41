"""Grants on content objects: changes, and who has access through them.

The object is locked first (`lock_objects`), then the user or group of a new grant FOR KEY SHARE until the commit. A
transaction that removes a user or group deletes its row, which waits for these locks, and then checks whether a grant
was added in the meantime (`check_no_access_left`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Select,
    SmallInteger,
    bindparam,
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
from sqlalchemy.sql import Executable

from latchstring.domain.access import Access, ContentObject, Holders, SubjectKind, UserAccess, Visibility
from latchstring.domain.errors import OwnsContent
from latchstring.domain.grant import ContentRole
from latchstring.storage.content.objects import PRIVATE, SHARED
from latchstring.storage.engine.database import Conflict, Database, Step, Work, step
from latchstring.storage.engine.tables import content, content_grants, groups, users
from latchstring.storage.engine.types import Id, ListOf, any_of

_c = content.c
_g = content_grants.c


# ---- changes ---------------------------------------------------------------------------------------------------------

_ID, _SUBJECT = bindparam("content_id", type_=Id), bindparam("subject_id", type_=Id)
_TYPE, _ROLE = bindparam("type", type_=_g.type.type), bindparam("role", type_=_g.role.type)
_GRANT_COLUMNS = ["content_id", "subject_id", "subject_kind", "type", "role"]


def _insert_unless_owner(dialect_insert: Any) -> Any:
    """Insert a grant, except for the owner of the object, who needs none."""
    values = select(_c.id, _SUBJECT, bindparam("kind", type_=_g.subject_kind.type), _TYPE, _ROLE).where(
        _c.id == _ID, _c.owner_id != _SUBJECT
    )
    return dialect_insert(content_grants).from_select(_GRANT_COLUMNS, values)


def _raise_role(dialect_insert: Any) -> Executable:
    """Insert a grant or raise its role."""
    upsert = _insert_unless_owner(dialect_insert)
    statement: Executable = upsert.on_conflict_do_update(
        index_elements=list(content_grants.primary_key),
        set_={"role": upsert.excluded.role},
        where=_g.role < upsert.excluded.role,
    ).returning(_g.content_id)
    return statement


def _set_role(dialect_insert: Any) -> Executable:
    """Insert a grant or change its role."""
    upsert = _insert_unless_owner(dialect_insert)
    statement: Executable = upsert.on_conflict_do_update(
        index_elements=list(content_grants.primary_key), set_={"role": upsert.excluded.role}
    )
    return statement


_RAISE = {"postgresql": _raise_role(postgresql.insert), "sqlite": _raise_role(sqlite.insert)}
_SET = {"postgresql": _set_role(postgresql.insert), "sqlite": _set_role(sqlite.insert)}
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
        _RAISE[dialect_name],
        content_id=content_id,
        type=content_type,
        subject_id=subject_id,
        kind=int(kind),
        role=int(role),
    )
    if rows:
        yield step(_SHARE, content_id=content_id)
    return bool(rows)


def set_grant(
    dialect_name: str, object_: ContentObject, subject_id: UUID, kind: SubjectKind, role: ContentRole
) -> Step:
    """Set the role of a subject on a locked object; nothing for the owner. The caller updates the visibility."""
    return step(
        _SET[dialect_name],
        content_id=object_.id,
        type=object_.type,
        subject_id=subject_id,
        kind=int(kind),
        role=int(role),
    )


def remove_grant(content_id: UUID, subject_id: UUID) -> Step:
    """Delete a subject's grant on a locked object. The caller updates the visibility."""
    return step(_DELETE_GRANT, content_id=content_id, subject_id=subject_id)


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
