"""What an invitation may lead to, found while somebody types: groups and content objects by how they begin."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, literal_column, select

from latchstring.domain.views.targets import GroupChoice, ObjectChoice
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import content, group_members, groups
from latchstring.storage.engine.types import CanonicalText, any_of
from latchstring.storage.lists.prefix_search import fold_name, prefix_end

MOST = 20  # a longer list is not read, it is narrowed
MEMBERS_COUNTED = 1000
_ONE = literal_column("1", Integer)
_Q, _Q_END = bindparam("q", type_=CanonicalText), bindparam("q_end", type_=CanonicalText)


def _begins(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return (column >= _Q) & (column < _Q_END)


def _some(found: Select[Any]) -> Select[Any]:
    return found.limit(literal_column(str(MOST)))


def _groups() -> Select[Any]:
    counted = select(_ONE).where(group_members.c.group_id == groups.c.id).correlate(groups)
    members = select(func.count()).select_from(counted.limit(literal_column(str(MEMBERS_COUNTED))).subquery())
    return select(groups.c.id, groups.c.key, groups.c.name, members.scalar_subquery().label("members"))


_OBJECTS = select(content.c.id, content.c.type, content.c.key, content.c.title)
_GROUPS_BY_NAME = _some(_groups().where(_begins(groups.c.search_name)).order_by(groups.c.search_name, groups.c.id))
_GROUPS_BY_KEY = _some(_groups().where(_begins(groups.c.key)).order_by(groups.c.key))
_GROUPS_OF_KEYS = _groups().where(any_of(groups.c.key, "keys", CanonicalText))
_OBJECTS_BY_TITLE = _some(
    _OBJECTS.where(_begins(content.c.search_title)).order_by(content.c.search_title, content.c.id)
)
# in no order: with several types there is no index for one, and sorting would read everything that begins so
_OBJECTS_BY_KEY = _some(_OBJECTS.where(any_of(content.c.type, "types", CanonicalText), _begins(content.c.key)))
_OBJECTS_OF_KEYS = _OBJECTS.where(
    any_of(content.c.type, "types", CanonicalText), any_of(content.c.key, "keys", CanonicalText)
)


async def search_groups(db: Database, text: str) -> list[GroupChoice]:
    """A few groups whose name or key begins with the text, by name; without a text the first."""
    q = fold_name(text.strip())
    rows = await db.fetch(_GROUPS_BY_NAME, q=q, q_end=prefix_end(q))
    if key := text.strip():
        rows += await db.fetch(_GROUPS_BY_KEY, q=key, q_end=prefix_end(key))
    return _sorted({row.id: _group(row) for row in rows}.values())


async def find_group_choices(db: Database, keys: Sequence[str]) -> list[GroupChoice]:
    """Those of the keys that are groups, by name."""
    rows = await db.fetch(_GROUPS_OF_KEYS, keys=keys) if keys else []
    return _sorted(map(_group, rows))


def _sorted(found: Any) -> list[GroupChoice]:
    return sorted(found, key=lambda one: (fold_name(one.name), one.key))


def _group(row: Row) -> GroupChoice:
    return GroupChoice(row.id, row.key, row.name, row.members)


async def search_objects(db: Database, text: str, *, types: Sequence[str]) -> list[ObjectChoice]:
    """A few objects whose title or key begins with the text, by title. types: all that are declared."""
    q, key = fold_name(text.strip()), text.strip()
    rows = await db.fetch(_OBJECTS_BY_TITLE, q=q, q_end=prefix_end(q))
    rows += await db.fetch(_OBJECTS_BY_KEY, types=types, q=key, q_end=prefix_end(key))
    found = {row.id: ObjectChoice(row.id, row.type, row.key, row.title) for row in rows if row.type in set(types)}
    return sorted(found.values(), key=lambda one: (fold_name(one.title), one.type, one.key))[:MOST]


async def find_object_choices(db: Database, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ObjectChoice]:
    """Those of the (type, key) pairs that are objects."""
    if not names:
        return {}
    types, keys = (sorted({name[at] for name in names}) for at in (0, 1))
    rows = await db.fetch(_OBJECTS_OF_KEYS, types=types, keys=keys)
    found = {(row.type, row.key): ObjectChoice(row.id, row.type, row.key, row.title) for row in rows}
    return {name: found[name] for name in names if name in found}
