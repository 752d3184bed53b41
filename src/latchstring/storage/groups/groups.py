"""Groups and their members."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from latchstring.domain.group import Group, GroupText
from latchstring.storage.engine.database import Database, Row, Step, Work, step
from latchstring.storage.engine.tables import group_members, groups
from latchstring.storage.engine.types import CanonicalText, Id, any_of
from latchstring.storage.lists.prefix_search import fold_name


def read_group(row: Row) -> Group:
    return Group(row.id, row.key, row.name, row.description, _read_texts(row.translations))


def _read_texts(translations: Mapping[str, Mapping[str, str | None]]) -> dict[str, GroupText]:
    return {locale: GroupText(str(text["name"]), text.get("description")) for locale, text in translations.items()}


def _values(group: Group) -> dict[str, Any]:
    texts = {
        locale: {"name": text.name, "description": text.description} for locale, text in group.translations.items()
    }
    return {
        "id": group.id,
        "key": group.key,
        "name": group.name,
        "description": group.description,
        "translations": texts,
        "search_name": fold_name(group.name),
    }


_KEY = bindparam("key", type_=groups.c.key.type)
_BY_KEY = select(groups).where(groups.c.key == _KEY)
_LOCK_BY_KEY = _BY_KEY.with_for_update()
_SHARE_LOCK_BY_KEYS = (
    select(groups.c.id, groups.c.key)
    .where(any_of(groups.c.key, "keys", CanonicalText))
    .order_by(groups.c.id)
    .with_for_update(read=True, key_share=True)
)
_SHARE_LOCK_BY_IDS = (
    select(groups.c.id, groups.c.key)
    .where(any_of(groups.c.id, "ids"))
    .order_by(groups.c.id)
    .with_for_update(read=True, key_share=True)
)
_BY_KEYS = select(groups).where(any_of(groups.c.key, "keys", CanonicalText))
_INSERT = insert(groups).values({c.name: bindparam(c.name, type_=c.type) for c in groups.columns})
_REPLACED_COLUMNS = ("name", "description", "translations", "search_name")
_REPLACE = (
    update(groups)
    .where(groups.c.key == bindparam("of_key", type_=groups.c.key.type))
    .values({name: bindparam(f"new_{name}", type_=groups.c[name].type) for name in _REPLACED_COLUMNS})
    .returning(*groups.columns)
)
_DELETE = delete(groups).where(groups.c.id == bindparam("group_id", type_=Id))
_IS_MEMBER = select(group_members.c.user_id).where(
    group_members.c.user_id == bindparam("user_id", type_=Id),
    group_members.c.group_id == bindparam("group_id", type_=Id),
)


async def find_group(db: Database, key: str) -> Group | None:
    rows = await db.fetch(_BY_KEY, key=key)
    return read_group(rows[0]) if rows else None


async def find_groups(db: Database, keys: Sequence[str]) -> dict[str, Group]:
    """Return the existing groups by key."""
    if not keys:
        return {}
    return {row.key: read_group(row) for row in await db.fetch(_BY_KEYS, keys=keys)}


def load_groups(keys: Sequence[str]) -> Work[dict[str, Group]]:
    """Return the existing groups by key, inside the transaction."""
    rows = yield step(_BY_KEYS, keys=keys)
    return {row.key: read_group(row) for row in rows}


def load_group(key: str) -> Work[Group | None]:
    rows = yield step(_BY_KEY, key=key)
    return read_group(rows[0]) if rows else None


def lock_group(key: str) -> Work[Group | None]:
    """Return the group, locked against joins, changes and deletion until the transaction ends."""
    rows = yield step(_LOCK_BY_KEY, key=key)
    return read_group(rows[0]) if rows else None


def share_lock_groups(keys: Iterable[str]) -> Work[dict[str, UUID]]:
    """Return the ids of existing groups by key, locked against deletion until the commit."""
    rows = yield step(_SHARE_LOCK_BY_KEYS, keys=sorted(set(keys)))
    return {row.key: row.id for row in rows}


def share_lock_groups_by_id(ids: Sequence[UUID]) -> Work[dict[UUID, str]]:
    """Return the keys of existing groups by id, locked against deletion until the transaction ends.

    Targets are always locked before invitations, here and when a target is deleted, so that nothing deadlocks.
    """
    if not ids:
        return {}
    return {row.id: row.key for row in (yield step(_SHARE_LOCK_BY_IDS, ids=ids))}


async def is_member(db: Database, user_id: UUID, group_id: UUID) -> bool:
    return bool(await db.fetch(_IS_MEMBER, user_id=user_id, group_id=group_id))


def insert_group(group: Group) -> Step:
    """Insert a group. Raises UniqueViolation when the key is taken."""
    return step(_INSERT, **_values(group))


def replace_group(group: Group) -> Work[Group | None]:
    """Replace name, description and translations of the group with this key; None when there is none."""
    values = _values(group)
    rows = yield step(_REPLACE, of_key=group.key, **{f"new_{name}": values[name] for name in _REPLACED_COLUMNS})
    return read_group(rows[0]) if rows else None


def delete_group(group_id: UUID) -> Step:
    """Delete the group and its memberships."""
    return step(_DELETE, group_id=group_id)
