"""Prefix search for targets of an invitation: groups and content objects."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, literal_column, select

from latchstring.domain.views.targets import GroupChoice, ObjectChoice
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import content, group_members, groups
from latchstring.storage.engine.types import CanonicalText, any_of
from latchstring.storage.lists.prefix_search import fold_name, prefix_end

MAX_RESULTS = 20  # users narrow the search instead of reading a longer list
MAX_MEMBERS_COUNTED = 1000
_NUMBER_ONE = literal_column("1", Integer)
_Q, _Q_END = bindparam("q", type_=CanonicalText), bindparam("q_end", type_=CanonicalText)


def _starts_with(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return (column >= _Q) & (column < _Q_END)


def _limit(query: Select[Any]) -> Select[Any]:
    return query.limit(literal_column(str(MAX_RESULTS)))


def _select_groups() -> Select[Any]:
    member_rows = select(_NUMBER_ONE).where(group_members.c.group_id == groups.c.id).correlate(groups)
    members = select(func.count()).select_from(member_rows.limit(literal_column(str(MAX_MEMBERS_COUNTED))).subquery())
    return select(groups.c.id, groups.c.key, groups.c.name, members.scalar_subquery().label("members"))


_OBJECTS = select(content.c.id, content.c.type, content.c.key, content.c.title)
_GROUPS_BY_NAME = _limit(
    _select_groups().where(_starts_with(groups.c.search_name)).order_by(groups.c.search_name, groups.c.id)
)
_GROUPS_BY_KEY = _limit(_select_groups().where(_starts_with(groups.c.key)).order_by(groups.c.key))
_GROUPS_OF_KEYS = _select_groups().where(any_of(groups.c.key, "keys", CanonicalText))
_OBJECTS_BY_TITLE = _limit(
    _OBJECTS.where(_starts_with(content.c.search_title)).order_by(content.c.search_title, content.c.id)
)
# unordered: no index covers several types, and sorting would read all matches
_OBJECTS_BY_KEY = _limit(_OBJECTS.where(any_of(content.c.type, "types", CanonicalText), _starts_with(content.c.key)))
_OBJECTS_OF_KEYS = _OBJECTS.where(
    any_of(content.c.type, "types", CanonicalText), any_of(content.c.key, "keys", CanonicalText)
)


async def search_groups(db: Database, text: str) -> list[GroupChoice]:
    """Return at most MAX_RESULTS groups by name and as many by key that start with the text, sorted by name."""
    q = fold_name(text.strip())
    rows = await db.fetch(_GROUPS_BY_NAME, q=q, q_end=prefix_end(q))
    if key := text.strip():
        rows += await db.fetch(_GROUPS_BY_KEY, q=key, q_end=prefix_end(key))
    return _sort_choices({row.id: _read_choice(row) for row in rows}.values())


async def find_group_choices(db: Database, keys: Sequence[str]) -> list[GroupChoice]:
    """Return the existing groups with these keys, sorted by name."""
    rows = await db.fetch(_GROUPS_OF_KEYS, keys=keys) if keys else []
    return _sort_choices(map(_read_choice, rows))


def _sort_choices(choices: Any) -> list[GroupChoice]:
    return sorted(choices, key=lambda choice: (fold_name(choice.name), choice.key))


def _read_choice(row: Row) -> GroupChoice:
    return GroupChoice(row.id, row.key, row.name, row.members)


async def search_objects(db: Database, text: str, *, types: Sequence[str]) -> list[ObjectChoice]:
    """Return at most MAX_RESULTS objects whose title or key starts with the text, sorted by title.

    types: all configured types.
    """
    q, key = fold_name(text.strip()), text.strip()
    rows = await db.fetch(_OBJECTS_BY_TITLE, q=q, q_end=prefix_end(q))
    rows += await db.fetch(_OBJECTS_BY_KEY, types=types, q=key, q_end=prefix_end(key))
    choices = {row.id: ObjectChoice(row.id, row.type, row.key, row.title) for row in rows if row.type in set(types)}
    return sorted(choices.values(), key=lambda choice: (fold_name(choice.title), choice.type, choice.key))[:MAX_RESULTS]


async def find_object_choices(db: Database, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ObjectChoice]:
    """Return the existing objects of these (type, key) pairs."""
    if not names:
        return {}
    types, keys = (sorted({name[index] for name in names}) for index in (0, 1))
    rows = await db.fetch(_OBJECTS_OF_KEYS, types=types, keys=keys)
    choices = {(row.type, row.key): ObjectChoice(row.id, row.type, row.key, row.title) for row in rows}
    return {name: choices[name] for name in names if name in choices}
