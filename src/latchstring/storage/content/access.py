"""Who may do what, asked of many objects at once: the table of domain/access.py in SQL.

Checks look up by key, so an answer costs the same however many objects and grants there are. Lists are merged from
index scans in order of ids, one for each role of each subject (the user and their groups), one of what they own, one
of what is public; a page reads no more than its own length of any of them. That is true of grants only because a
PRIVATE object has none. docs/content.md shows the plans.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.sql import Executable

from latchstring.domain.access import ContentObject, Level, Subject
from latchstring.domain.grant import ContentRole
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.storage.content.objects import PRIVATE, PUBLIC, greatest, level_of_subject, object_of, role_of_subject
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import content, content_grants, group_members, users
from latchstring.storage.engine.types import CanonicalText, Id, Json, ListOf, any_of
from latchstring.storage.lists.declaration import KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import EACH, IndexScan, count_up_to
from latchstring.storage.lists.keyset import KeysetList

_c, _g = content.c, content_grants.c


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(int(value)), Integer)


# ---- checks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """What may this user do with the object of this type and key?"""

    user_id: UUID
    type: str
    key: str


@dataclass(frozen=True, slots=True)
class _QuestionRow:
    """The questions as a table of the statement."""

    table: FromClause
    place: ColumnElement[int]
    user_id: ColumnElement[Any]
    type: ColumnElement[Any]
    key: ColumnElement[Any]


def _asked_on_postgres() -> _QuestionRow:
    lists = func.unnest(
        bindparam("user_ids", type_=ListOf(Id)),
        bindparam("types", type_=ListOf(CanonicalText)),
        bindparam("keys", type_=ListOf(CanonicalText)),
    )
    asked = lists.table_valued("user_id", "type", "key", with_ordinality="place").render_derived(name="asked")
    return _QuestionRow(asked, asked.c.place - 1, asked.c.user_id, asked.c.type, asked.c.key)


def _asked_on_sqlite() -> _QuestionRow:
    asked = func.json_each(bindparam("asked", type_=Json)).table_valued("key", "value", name="asked")
    user_id, type_, key = (
        func.json_extract(asked.c.value, literal_column(f"'$[{at}]'"), type_=Text) for at in range(3)
    )
    return _QuestionRow(asked, asked.c.key, user_id, type_, key)


def _check(asked: _QuestionRow, one: Any, user: Any, found: FromClause) -> Executable:
    """The level behind each question."""
    writes, reads = (any_of(user.role, name, Text) for name in ("writing_roles", "reading_roles"))
    granted = case((one.visibility == PRIVATE, _number(0)), else_=role_of_subject(one.id, user.id))
    everybody = case((or_(one.visibility == PUBLIC, reads), _number(Level.VIEWER)), else_=_number(Level.NONE))
    level = case(
        (or_(one.id.is_(None), user.id.is_(None), user.blocked), _number(Level.NONE)),
        (one.owner_id == user.id, _number(Level.OWNER)),
        (writes, _number(Level.MAINTAINER)),
        else_=greatest(everybody, granted),
    )
    return select(asked.place.label("place"), level.label("level")).select_from(found)


def _check_on_postgres() -> Executable:
    asked = _asked_on_postgres()
    chosen = select(_c.id, _c.owner_id, _c.visibility).where(_c.type == asked.type, _c.key == asked.key)
    one = chosen.limit(_number(1)).lateral("one")
    person = select(users.c.id, users.c.role, users.c.blocked).where(users.c.id == asked.user_id)
    user = person.limit(_number(1)).lateral("person")
    found = asked.table.outerjoin(one, true()).outerjoin(user, true())
    return _check(asked, one.c, user.c, found)


def _check_on_sqlite() -> Executable:
    """Outer joins, so that SQLite begins with the questions."""
    asked = _asked_on_sqlite()
    found = asked.table.outerjoin(content, and_(_c.type == asked.type, _c.key == asked.key))
    return _check(asked, _c, users.c, found.outerjoin(users, users.c.id == asked.user_id))


CHECK: dict[str, Executable] = {
    "postgresql": _check_on_postgres(),
    "sqlite": _check_on_sqlite(),
}


async def check_levels(
    db: Database, questions: Sequence[Question], *, writing_roles: Sequence[str], reading_roles: Sequence[str]
) -> list[Level]:
    """The answer to each question, in order, in one round trip. Nobody has a level on what does not exist; neither
    do blocked or unknown users on anything.

    writing_roles, reading_roles: roles with `content:write` and with `content:read`.
    """
    values: dict[str, Any] = {"writing_roles": writing_roles, "reading_roles": reading_roles}
    if db.dialect_name == "postgresql":
        values["user_ids"] = [one.user_id for one in questions]
        values["types"] = [one.type for one in questions]
        values["keys"] = [one.key for one in questions]
    else:
        values["asked"] = [[str(one.user_id), one.type, one.key] for one in questions]
    levels = [Level.NONE] * len(questions)
    for row in await db.fetch(CHECK[db.dialect_name], **values):
        levels[row.place] = Level(row.level)
    return levels


# ---- lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """Which objects of a type a list shows: those on which the subject has at least this level."""

    subject: Subject
    type: str
    need: Level

    @property
    def is_everything(self) -> bool:
        """A permission opens every object."""
        reads = self.subject.reads_all and self.need <= Level.VIEWER
        return reads or (self.subject.writes_all and self.need <= Level.MAINTAINER)

    @property
    def sources(self) -> frozenset[str]:
        """The index scans that have these objects."""
        if self.is_everything:
            return frozenset({"all"})
        found = {"public"} if self.need <= Level.VIEWER else set()
        if self.subject.user_id is not None:
            found |= {"owned", "granted"} if self.need <= Level.MAINTAINER else {"owned"}
        return frozenset(found)


_TYPE = bindparam("type", type_=_c.type.type)
_USER = bindparam("user_id", type_=Id)
_NEED = bindparam("need", type_=Integer)
_MINE = select(group_members.c.group_id.label("id")).where(group_members.c.user_id == _USER)


def _grants(subject_id: Any, role: Any, source: FromClause | None = None) -> IndexScan:
    """What a subject was granted in one role."""
    prefix = [(_g.subject_id, subject_id), (_g.type, _TYPE), (_g.role, role)]
    return IndexScan([_g.content_id], prefix, source=source)


@cache
def _granted(dialect_name: str) -> IndexScan:
    """A scan for each role that suffices, of the user and of each of their groups.

    SQLite has no LATERAL: it reads each scan by itself, which costs it microseconds.
    """
    if dialect_name != "postgresql":
        return _grants(EACH, bindparam("granted_role", type_=Integer))
    who = union_all(select(_USER.label("id")), _MINE).subquery("who")
    series: Any = func.generate_series(_NEED, _number(ContentRole.MAINTAINER))
    roles = series.table_valued("role").render_derived(name="roles")
    pairs = select(who.c.id, roles.c.role).select_from(who.join(roles, true())).subquery("pairs")
    return _grants(pairs.c.id, pairs.c.role, pairs)


_SCANS = {
    "all": IndexScan([_c.id], prefix=[(_c.type, _TYPE)]),
    "owned": IndexScan([_c.id], prefix=[(_c.owner_id, _USER), (_c.type, _TYPE)]),
    # said in the second form as well: it is what the index of public objects is made for
    "public": IndexScan([_c.id], prefix=[(_c.visibility, PUBLIC), (_c.type, _TYPE)], where=[_c.visibility == PUBLIC]),
}


def _scans(dialect_name: str) -> dict[str, IndexScan]:
    return {**_SCANS, "granted": _granted(dialect_name)}


@cache
def _count(sources: frozenset[str], dialect_name: str) -> Select[Any]:
    """How many objects the scans have, each counted once."""
    if dialect_name == "postgresql":
        ids = [_scans(dialect_name)[name].candidates(dialect_name).subquery() for name in sorted(sources)]
        return count_up_to(select(union(*(select(rows.c.id) for rows in ids)).subquery().c.id))
    granted = select(_g.content_id.label("id")).where(
        _g.subject_id.in_(union_all(select(_USER), _MINE)), _g.type == _TYPE, _g.role >= _NEED
    )
    selects = [
        granted
        if name == "granted"
        else select(_c.id).where(*(column == value for column, value in _SCANS[name].prefix))
        for name in sorted(sources)
    ]
    # DISTINCT under a LIMIT ends as soon as enough has been seen, here; PostgreSQL would read everything first
    return count_up_to(select(union_all(*selects).subquery("visible").c.id).distinct())


async def _count_visible(db: Database, query: KeysetQuery) -> int:
    sources = frozenset(scan.name for scan in query.scans)
    if not sources:
        return 0
    return int((await db.fetch(_count(sources, db.dialect_name), **query.values))[0].n)


_VISIBLE: KeysetList[tuple[ContentObject, Level]] = KeysetList(
    ListDeclaration(
        table=content,
        columns=[*content.columns, level_of_subject(_USER).label("held")],
        id_=_c.id,
        read=lambda row: (object_of(row), Level(row.held)),
        orders={"createdAt": lambda c: [c.id]},
        scans=_scans,
        count_all=_count_visible,
    )
)


async def _scans_of(db: Database, visible: AccessFilter) -> list[Scan]:
    scans = [Scan(name, is_exact=True) for name in sorted(visible.sources - {"granted"})]
    if "granted" not in visible.sources:
        return scans
    if db.dialect_name == "postgresql":
        return [*scans, Scan("granted", is_exact=True)]
    user_id = visible.subject.user_id
    subjects = [user_id, *(row.id for row in await db.fetch(_MINE, user_id=user_id))]
    roles = range(int(visible.need), ContentRole.MAINTAINER + 1)
    return [
        *scans,
        *(Scan("granted", is_exact=True, each=subjects, values={"granted_role": role}) for role in roles),
    ]


async def list_visible(
    db: Database, visible: AccessFilter, *, order: SortOrder, cursor: Cursor | None = None, limit: int
) -> Page[tuple[ContentObject, Level]]:
    """A page of objects with what the subject holds on each. Order: createdAt."""
    values = {"user_id": visible.subject.user_id, "type": visible.type, "need": int(visible.need)}
    query = KeysetQuery((), values, await _scans_of(db, visible), identity=repr(visible))
    return await _VISIBLE.page(db, query, order=order, cursor=cursor, limit=limit)
