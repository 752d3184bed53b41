"""Who may do what, asked of many objects at once: the table of domain/access.py in SQL.

Checks look up by key, so an answer costs the same however many objects and grants there are. Lists are made of
streams in order of ids, one for each role of each subject (the user and his groups), one of what he owns, one of
what is public; a page reads no more than its own length of any of them. That is true of grants only because a
PRIVATE object has none.

PostgreSQL plans these without knowing the values, from averages, and an average can lie: it would read every object
from the newest on to find those of a type it believes common. Where the cost has to stay bounded for every value it is
therefore left one way only: rows compared with rows, which a single index answers and puts in order, and lookups in
LATERAL with a LIMIT, which cannot become a join. docs/content.md shows the plans.
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
    tuple_,
    union,
    union_all,
)
from sqlalchemy.sql import Executable

from latchstring.domain.access import ContentObject, Level, Subject
from latchstring.domain.grant import ContentRole
from latchstring.domain.pagination import Page
from latchstring.storage.content.objects import PRIVATE, PUBLIC, greatest, held_level, held_role, object_of
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import content, content_grants, group_members, users
from latchstring.storage.engine.types import CanonicalText, Id, Json, ListOf, any_of
from latchstring.storage.lists.by_id import COUNTED_UP_TO, page_of

_c, _g = content.c, content_grants.c
NOBODY = UUID(int=0)
LAST = UUID(int=2**128 - 1)


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
class _Asked:
    """The questions as a table of the statement."""

    table: FromClause
    place: ColumnElement[int]
    user_id: ColumnElement[Any]
    type: ColumnElement[Any]
    key: ColumnElement[Any]


def _asked_on_postgres() -> _Asked:
    lists = func.unnest(
        bindparam("user_ids", type_=ListOf(Id)),
        bindparam("types", type_=ListOf(CanonicalText)),
        bindparam("keys", type_=ListOf(CanonicalText)),
    )
    asked = lists.table_valued("user_id", "type", "key", with_ordinality="place").render_derived(name="asked")
    return _Asked(asked, asked.c.place - 1, asked.c.user_id, asked.c.type, asked.c.key)


def _asked_on_sqlite() -> _Asked:
    asked = func.json_each(bindparam("asked", type_=Json)).table_valued("key", "value", name="asked")
    user_id, type_, key = (
        func.json_extract(asked.c.value, literal_column(f"'$[{at}]'"), type_=Text) for at in range(3)
    )
    return _Asked(asked, asked.c.key, user_id, type_, key)


def _check(asked: _Asked, one: Any, user: Any, found: FromClause) -> Executable:
    """The level behind each question."""
    writes, reads = (any_of(user.role, name, Text) for name in ("writing_roles", "reading_roles"))
    granted = case((one.visibility == PRIVATE, _number(0)), else_=held_role(one.id, user.id))
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
class Wanted:
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
    def streams(self) -> frozenset[str]:
        """Where objects come from."""
        if self.is_everything:
            return frozenset({"all"})
        found = {"public"} if self.need <= Level.VIEWER else set()
        if self.subject.user_id is not None:
            found |= {"owned", "granted"} if self.need <= Level.MAINTAINER else {"owned"}
        return frozenset(found)


_TYPE = bindparam("type", type_=_c.type.type)
_USER = bindparam("user_id", type_=Id)
_AFTER = bindparam("after", type_=Id)
_MOST = bindparam("most", type_=Integer)
_NEED = bindparam("need", type_=Integer)
_MINE = select(group_members.c.group_id.label("id")).where(group_members.c.user_id == _USER)
_Bounds = Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]
_OBJECTS: dict[str, _Bounds] = {
    "all": ((_c.type, _TYPE),),
    "owned": ((_c.owner_id, _USER), (_c.type, _TYPE)),
    "public": ((_c.visibility, PUBLIC), (_c.type, _TYPE)),
}


def _stream(id_: ColumnElement[UUID], bounds: _Bounds, *, in_rows: bool, descending: bool) -> Select[Any]:
    """The next few ids of a stream: those where each column has its value, in the order of the ids.

    in_rows: say the same of rows as wholes, so that PostgreSQL can only walk along the index of these columns.
    """
    query = select(id_.label("id")).limit(_MOST)
    columns, values = [column for column, _ in bounds], [value for _, value in bounds]
    if not in_rows:
        query = query.where(*(column == value for column, value in bounds))
        return query.where(id_ < _AFTER if descending else id_ > _AFTER).order_by(_ordered(id_, descending=descending))
    row, bound = tuple_(*columns, id_), tuple_(*values, _AFTER)
    within, limits = tuple_(*columns), tuple_(*values)
    query = query.where(row < bound, within >= limits) if descending else query.where(row > bound, within <= limits)
    return query.order_by(*(_ordered(column, descending=descending) for column in (*columns, id_)))


def _ordered(column: ColumnElement[Any], *, descending: bool) -> ColumnElement[Any]:
    return column.desc() if descending else column.asc()


def _objects(name: str, *, in_rows: bool, descending: bool) -> Select[Any]:
    """A stream of objects that need no grant."""
    query = _stream(_c.id, _OBJECTS[name], in_rows=in_rows, descending=descending)
    # said in this form as well: it is what the index of public objects is made for
    return query.where(_c.visibility == PUBLIC) if name == "public" else query


def _grants(subject_id: Any, role: Any, *, in_rows: bool, descending: bool) -> Select[Any]:
    """A stream of what a subject was granted in one role."""
    bounds = ((_g.subject_id, subject_id), (_g.type, _TYPE), (_g.role, role))
    return _stream(_g.content_id, bounds, in_rows=in_rows, descending=descending)


def _granted(*, descending: bool) -> Select[Any]:
    """A stream for each role that suffices, of the user and of each of his groups. PostgreSQL only."""
    who = union_all(select(_USER.label("id")), _MINE).subquery("who")
    series: Any = func.generate_series(_NEED, _number(ContentRole.MAINTAINER))
    roles = series.table_valued("role").render_derived(name="roles")
    stream = _grants(who.c.id, roles.c.role, in_rows=True, descending=descending).lateral("granted")
    return select(stream.c.id).select_from(who.join(roles, true()).join(stream, true()))


@cache
def _ids(streams: frozenset[str], *, descending: bool) -> Select[Any]:
    """Ids of the streams' objects, each once, in no order. PostgreSQL only."""
    parts = [
        _granted(descending=descending)
        if name == "granted"
        else select(_objects(name, in_rows=True, descending=descending).subquery().c.id)
        for name in sorted(streams)
    ]
    merged = union(*parts).subquery("visible")
    return select(merged.c.id)


@cache
def _page(streams: frozenset[str], *, descending: bool) -> Executable:
    ids = _ids(streams, descending=descending)
    order = _ordered(ids.selected_columns.id, descending=descending)
    some = ids.order_by(order).limit(_MOST).subquery("page")
    one = select(content).where(_c.id == some.c.id).limit(_number(1)).lateral("one")
    held = held_level(_USER, one.c).label("held")
    joined = select(*one.c, held).select_from(some.join(one, true()))
    return joined.order_by(_ordered(some.c.id, descending=descending))


@cache
def _count(streams: frozenset[str]) -> Executable:
    return select(func.count().label("n")).select_from(_ids(streams, descending=True).subquery())


# SQLite knows no LATERAL: it is asked for each stream, which costs it microseconds, and the streams are merged here.
_FETCH = select(content, held_level(_USER).label("held")).where(any_of(_c.id, "ids"))
_SUBJECT, _ROLE = bindparam("subject_id", type_=Id), bindparam("role", type_=Integer)


@cache
def _single(name: str, *, descending: bool) -> Executable:
    if name == "granted":
        return _grants(_SUBJECT, _ROLE, in_rows=False, descending=descending)
    return _objects(name, in_rows=False, descending=descending)


@cache
def _count_streamed(streams: frozenset[str]) -> Executable:
    """DISTINCT under a LIMIT ends as soon as enough has been seen, here; PostgreSQL would gather everything first."""
    granted = select(_g.content_id.label("id")).where(
        _g.subject_id.in_(union_all(select(_USER), _MINE)), _g.type == _TYPE, _g.role >= _NEED
    )
    parts = [
        granted if name == "granted" else select(_c.id).where(*(column == value for column, value in _OBJECTS[name]))
        for name in sorted(streams)
    ]
    merged = union_all(*parts).subquery("visible")
    some = select(merged.c.id).distinct().limit(_MOST).subquery("some")
    return select(func.count().label("n")).select_from(some)


async def _read_page(db: Database, streams: frozenset[str], values: dict[str, Any], *, descending: bool) -> list[Row]:
    if db.dialect_name == "postgresql":
        return await db.fetch(_page(streams, descending=descending), **values)
    found: set[UUID] = set()
    for name in streams - {"granted"}:
        found |= {row.id for row in await db.fetch(_single(name, descending=descending), **values)}
    if "granted" in streams:
        subjects = [values["user_id"], *(row.id for row in await db.fetch(_MINE, user_id=values["user_id"]))]
        statement = _single("granted", descending=descending)
        for subject_id in subjects:
            for role in range(values["need"], ContentRole.MAINTAINER + 1):
                rows = await db.fetch(statement, **values, subject_id=subject_id, role=role)
                found |= {row.id for row in rows}
    ids = sorted(found, reverse=descending)[: values["most"]]
    rows = await db.fetch(_FETCH, ids=ids, user_id=values["user_id"])
    return sorted(rows, key=lambda row: row.id, reverse=descending)


async def list_visible(
    db: Database, wanted: Wanted, *, limit: int, after: UUID | None, descending: bool
) -> Page[tuple[ContentObject, Level]]:
    """A page of objects with what the subject holds on each, in the order of making."""
    streams = wanted.streams
    if not streams:
        return Page((), more=False, total=0)
    values = {"user_id": wanted.subject.user_id, "type": wanted.type, "need": int(wanted.need)}
    start = after or (LAST if descending else NOBODY)
    rows = await _read_page(db, streams, values | {"after": start, "most": limit + 1}, descending=descending)
    counted = len(rows)
    if after is not None or len(rows) > limit:
        count = _count(streams) if db.dialect_name == "postgresql" else _count_streamed(streams)
        counted = (await db.fetch(count, **values, after=LAST, most=COUNTED_UP_TO + 1))[0].n
    return page_of([(object_of(row), Level(row.held)) for row in rows], limit=limit, counted=counted)
