"""Access levels on many objects at once: the table of domain/access.py in SQL.

Checks look objects up by key, so their cost does not depend on the number of objects and grants. Lists merge index
scans in order of ids: one for each role of each subject (the user and their groups), one for owned objects, one for
public objects. A page reads at most its own length from each scan. For grants this is correct only because PRIVATE
objects have none. docs/content.md shows the plans.
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
from latchstring.storage.content.objects import (
    PRIVATE,
    PUBLIC,
    greatest,
    level_of_subject,
    read_object,
    role_of_subject,
)
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
class AccessCheck:
    """A question for the level of a user on the object with this type and key."""

    user_id: UUID
    type: str
    key: str


@dataclass(frozen=True, slots=True)
class _ChecksTable:
    """The checks as a table of the statement. index: position in the list of checks, from 0."""

    table: FromClause
    index: ColumnElement[int]
    user_id: ColumnElement[Any]
    type: ColumnElement[Any]
    key: ColumnElement[Any]


def _checks_on_postgres() -> _ChecksTable:
    lists = func.unnest(
        bindparam("user_ids", type_=ListOf(Id)),
        bindparam("types", type_=ListOf(CanonicalText)),
        bindparam("keys", type_=ListOf(CanonicalText)),
    )
    checks = lists.table_valued("user_id", "type", "key", with_ordinality="place").render_derived(name="asked")
    return _ChecksTable(checks, checks.c.place - 1, checks.c.user_id, checks.c.type, checks.c.key)


def _checks_on_sqlite() -> _ChecksTable:
    checks = func.json_each(bindparam("asked", type_=Json)).table_valued("key", "value", name="asked")
    user_id, type_, key = (
        func.json_extract(checks.c.value, literal_column(f"'$[{index}]'"), type_=Text) for index in range(3)
    )
    return _ChecksTable(checks, checks.c.key, user_id, type_, key)


def _check(checks: _ChecksTable, object_: Any, user: Any, source: FromClause) -> Executable:
    """Select the level for each check."""
    writes, reads = (any_of(user.role, name, Text) for name in ("writing_roles", "reading_roles"))
    granted = case((object_.visibility == PRIVATE, _number(0)), else_=role_of_subject(object_.id, user.id))
    general_level = case((or_(object_.visibility == PUBLIC, reads), _number(Level.VIEWER)), else_=_number(Level.NONE))
    level = case(
        (or_(object_.id.is_(None), user.id.is_(None), user.blocked), _number(Level.NONE)),
        (object_.owner_id == user.id, _number(Level.OWNER)),
        (writes, _number(Level.MAINTAINER)),
        else_=greatest(general_level, granted),
    )
    return select(checks.index.label("place"), level.label("level")).select_from(source)


def _check_on_postgres() -> Executable:
    checks = _checks_on_postgres()
    matching = select(_c.id, _c.owner_id, _c.visibility).where(_c.type == checks.type, _c.key == checks.key)
    object_ = matching.limit(_number(1)).lateral("one")
    matching_user = select(users.c.id, users.c.role, users.c.blocked).where(users.c.id == checks.user_id)
    user = matching_user.limit(_number(1)).lateral("person")
    source = checks.table.outerjoin(object_, true()).outerjoin(user, true())
    return _check(checks, object_.c, user.c, source)


def _check_on_sqlite() -> Executable:
    """Build the statement with outer joins, so that SQLite begins with the checks."""
    checks = _checks_on_sqlite()
    source = checks.table.outerjoin(content, and_(_c.type == checks.type, _c.key == checks.key))
    return _check(checks, _c, users.c, source.outerjoin(users, users.c.id == checks.user_id))


CHECK: dict[str, Executable] = {
    "postgresql": _check_on_postgres(),
    "sqlite": _check_on_sqlite(),
}


async def check_levels(
    db: Database, checks: Sequence[AccessCheck], *, writing_roles: Sequence[str], reading_roles: Sequence[str]
) -> list[Level]:
    """Return the level of each check, in order, with one round trip.

    The level is NONE for unknown objects and for blocked or unknown users. writing_roles, reading_roles: the roles
    with `content:write` and with `content:read`.
    """
    values: dict[str, Any] = {"writing_roles": writing_roles, "reading_roles": reading_roles}
    if db.dialect_name == "postgresql":
        values["user_ids"] = [check.user_id for check in checks]
        values["types"] = [check.type for check in checks]
        values["keys"] = [check.key for check in checks]
    else:
        values["asked"] = [[str(check.user_id), check.type, check.key] for check in checks]
    levels = [Level.NONE] * len(checks)
    for row in await db.fetch(CHECK[db.dialect_name], **values):
        levels[row.place] = Level(row.level)
    return levels


# ---- lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """Filter of objects of a type: those on which the subject has at least the level `need`."""

    subject: Subject
    type: str
    need: Level

    @property
    def is_everything(self) -> bool:
        """Whether a permission gives access to every object."""
        reads = self.subject.reads_all and self.need <= Level.VIEWER
        return reads or (self.subject.writes_all and self.need <= Level.MAINTAINER)

    @property
    def sources(self) -> frozenset[str]:
        """Names of the index scans that contain these objects."""
        if self.is_everything:
            return frozenset({"all"})
        names = {"public"} if self.need <= Level.VIEWER else set()
        if self.subject.user_id is not None:
            names |= {"owned", "granted"} if self.need <= Level.MAINTAINER else {"owned"}
        return frozenset(names)


_TYPE = bindparam("type", type_=_c.type.type)
_USER = bindparam("user_id", type_=Id)
_NEED = bindparam("need", type_=Integer)
_GROUPS_OF_USER = select(group_members.c.group_id.label("id")).where(group_members.c.user_id == _USER)


def _grants_scan(subject_id: Any, role: Any, source: FromClause | None = None) -> IndexScan:
    """Scan of the objects granted to a subject in one role."""
    prefix = [(_g.subject_id, subject_id), (_g.type, _TYPE), (_g.role, role)]
    return IndexScan([_g.content_id], prefix, source=source)


@cache
def _granted_scan(dialect_name: str) -> IndexScan:
    """Scan for each sufficient role of the user and of each of their groups.

    SQLite has no LATERAL, so there each scan is a statement of its own, which takes microseconds.
    """
    if dialect_name != "postgresql":
        return _grants_scan(EACH, bindparam("granted_role", type_=Integer))
    subjects = union_all(select(_USER.label("id")), _GROUPS_OF_USER).subquery("who")
    series: Any = func.generate_series(_NEED, _number(ContentRole.MAINTAINER))
    roles = series.table_valued("role").render_derived(name="roles")
    pairs = select(subjects.c.id, roles.c.role).select_from(subjects.join(roles, true())).subquery("pairs")
    return _grants_scan(pairs.c.id, pairs.c.role, pairs)


_SCANS = {
    "all": IndexScan([_c.id], prefix=[(_c.type, _TYPE)]),
    "owned": IndexScan([_c.id], prefix=[(_c.owner_id, _USER), (_c.type, _TYPE)]),
    # the condition is repeated in `where`: it must match the condition of the partial index of public objects
    "public": IndexScan([_c.id], prefix=[(_c.visibility, PUBLIC), (_c.type, _TYPE)], where=[_c.visibility == PUBLIC]),
}


def _list_scans(dialect_name: str) -> dict[str, IndexScan]:
    return {**_SCANS, "granted": _granted_scan(dialect_name)}


@cache
def _count(sources: frozenset[str], dialect_name: str) -> Select[Any]:
    """Count the distinct objects of the scans."""
    if dialect_name == "postgresql":
        ids = [_list_scans(dialect_name)[name].candidates(dialect_name).subquery() for name in sorted(sources)]
        return count_up_to(select(union(*(select(rows.c.id) for rows in ids)).subquery().c.id))
    granted = select(_g.content_id.label("id")).where(
        _g.subject_id.in_(union_all(select(_USER), _GROUPS_OF_USER)), _g.type == _TYPE, _g.role >= _NEED
    )
    selects = [
        granted
        if name == "granted"
        else select(_c.id).where(*(column == value for column, value in _SCANS[name].prefix))
        for name in sorted(sources)
    ]
    # SQLite stops DISTINCT under a LIMIT as soon as it has enough rows; PostgreSQL would read everything first
    return count_up_to(select(union_all(*selects).subquery("visible").c.id).distinct())


async def _count_visible(db: Database, query: KeysetQuery) -> int:
    names = frozenset(scan.name for scan in query.scans)
    if not names:
        return 0
    return int((await db.fetch(_count(names, db.dialect_name), **query.values))[0].n)


_VISIBLE_OBJECTS: KeysetList[tuple[ContentObject, Level]] = KeysetList(
    ListDeclaration(
        table=content,
        columns=[*content.columns, level_of_subject(_USER).label("held")],
        id_=_c.id,
        read=lambda row: (read_object(row), Level(row.held)),
        orders={"createdAt": lambda c: [c.id]},
        scans=_list_scans,
        count_all=_count_visible,
    )
)


async def _choose_scans(db: Database, filter_: AccessFilter) -> list[Scan]:
    scans = [Scan(name, is_exact=True) for name in sorted(filter_.sources - {"granted"})]
    if "granted" not in filter_.sources:
        return scans
    if db.dialect_name == "postgresql":
        return [*scans, Scan("granted", is_exact=True)]
    user_id = filter_.subject.user_id
    subjects = [user_id, *(row.id for row in await db.fetch(_GROUPS_OF_USER, user_id=user_id))]
    roles = range(int(filter_.need), ContentRole.MAINTAINER + 1)
    return [
        *scans,
        *(Scan("granted", is_exact=True, each=subjects, values={"granted_role": role}) for role in roles),
    ]


async def list_visible(
    db: Database, filter_: AccessFilter, *, order: SortOrder, cursor: Cursor | None = None, limit: int
) -> Page[tuple[ContentObject, Level]]:
    """Return a page of objects with the level of the subject on each. Sort order: createdAt."""
    values = {"user_id": filter_.subject.user_id, "type": filter_.type, "need": int(filter_.need)}
    query = KeysetQuery((), values, await _choose_scans(db, filter_), identity=repr(filter_))
    return await _VISIBLE_OBJECTS.page(db, query, order=order, cursor=cursor, limit=limit)
