"""Objects as the panel looks for them, and what somebody owns or was given. For those who may see every object."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, SmallInteger, bindparam, func, literal_column, select, tuple_
from sqlalchemy.sql import Executable

from latchstring.domain.access import ContentObject, SubjectKind
from latchstring.domain.grant import ContentRole
from latchstring.domain.keyset_page import Count, Place, Sorting, Stretch
from latchstring.domain.views.content import HeldObject, HeldPlace, Holder
from latchstring.storage.content.objects import object_of
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import content, content_grants, groups, users
from latchstring.storage.engine.types import Id
from latchstring.storage.lists.keyset import COUNTED_UP_TO, Shelf, beginning, begins, prefix
from latchstring.storage.lists.prefix_search import fold_name

_c, _g = content.c, content_grants.c
_TYPE = bindparam("type", type_=_c.type.type)
_MOST: ColumnElement[int] = literal_column(str(COUNTED_UP_TO + 1), Integer)


@dataclass(frozen=True, slots=True)
class OwnedObject:
    """An object with the name of its owner; None when there is none any more."""

    object: ContentObject
    owner_name: str | None


def _owned(row: Row) -> OwnedObject:
    name = None if row.owner_email is None else f"{row.owner_first} {row.owner_last}".strip() or row.owner_email
    return OwnedObject(object_of(row), name)


def _of_owner(column: ColumnElement[str], name: str) -> ColumnElement[str]:
    owner = users.alias()
    chosen = select(owner.c[column.name]).where(owner.c.id == _c.owner_id).correlate(content)
    return chosen.scalar_subquery().label(name)


_SHELF: Shelf[OwnedObject] = Shelf(
    *content.columns,
    _of_owner(users.c.first_name, "owner_first"),
    _of_owner(users.c.last_name, "owner_last"),
    _of_owner(users.c.email, "owner_email"),
    id_=_c.id,
    read=_owned,
    orders={"title": _c.search_title},
    finders={
        "q": [
            beginning(_c.search_title, "q", _c.id, (_c.type, _TYPE)),
            beginning(_c.key, "q_key", _c.id, (_c.type, _TYPE)),
        ]
    },
    conditions={"q": begins(_c.search_title, "q") | begins(_c.key, "q_key")},
    binds=("q", "q_end", "q_key", "q_key_end"),
    lead=(_c.type, _TYPE),
)


async def search_objects(
    db: Database, type_: str, q: str | None, *, sorting: Sorting, after: Place | None, limit: int
) -> Stretch[OwnedObject]:
    """A stretch of the objects of a type. q: a prefix of title or key. Orders: made, title."""
    asked = {"q": prefix("q", fold_name(q)) | prefix("q_key", q)} if q else {}
    return await _SHELF.stretch(db, asked, sorting=sorting, after=after, limit=limit, type=type_)


# ---- what a user or a group holds ------------------------------------------------------------------------------------

HELD_AT_ONCE = 50


_SUBJECT = bindparam("subject_id", type_=Id)
_HELD_PAGE = literal_column(str(HELD_AT_ONCE + 1), Integer)


@cache
def _granted(*, continued: bool) -> Executable:
    """Along the index of a subject's grants: by type, role and id."""
    place = tuple_(_g.type, _g.role, _g.content_id)
    page = select(_g.content_id, _g.role, _g.type).where(_g.subject_id == _SUBJECT)
    if continued:
        after = (bindparam("t", type_=_g.type.type), bindparam("r", type_=SmallInteger), bindparam("i", type_=Id))
        page = page.where(place > tuple_(*after))
    some = page.order_by(_g.type, _g.role, _g.content_id).limit(_HELD_PAGE).subquery("some")
    joined = select(*content.columns, some.c.role.label("held")).join(some, some.c.content_id == _c.id)
    return joined.order_by(some.c.type, some.c.role, some.c.content_id)


_OWNED_BY = select(content).where(_c.owner_id == _SUBJECT).order_by(_c.type, _c.id).limit(_HELD_PAGE)


async def list_granted(
    db: Database, subject_id: UUID, *, after: HeldPlace | None
) -> tuple[Sequence[HeldObject], HeldPlace | None]:
    """What a user or a group was given, by type and role, and where the next page begins."""
    place = {} if after is None else {"t": after.type, "r": after.role, "i": after.id}
    rows = await db.fetch(_granted(continued=after is not None), subject_id=subject_id, **place)
    held = [HeldObject(object_of(row), ContentRole(row.held)) for row in rows[:HELD_AT_ONCE]]
    if len(rows) <= HELD_AT_ONCE:
        return held, None
    last = rows[HELD_AT_ONCE - 1]
    return held, HeldPlace(last.type, last.held, last.id)


async def list_owned(db: Database, user_id: UUID) -> tuple[Sequence[HeldObject], bool]:
    """The first of what a user owns, and whether there is more."""
    rows = await db.fetch(_OWNED_BY, subject_id=user_id)
    return [HeldObject(object_of(row), None) for row in rows[:HELD_AT_ONCE]], len(rows) > HELD_AT_ONCE


def _count_of(condition: ColumnElement[bool], id_: ColumnElement[UUID]) -> Executable:
    return select(func.count().label("n")).select_from(select(id_).where(condition).limit(_MOST).subquery())


_COUNT_GRANTED = _count_of(_g.subject_id == _SUBJECT, _g.content_id)
_COUNT_OWNED = _count_of(_c.owner_id == _SUBJECT, _c.id)
_COUNT_HOLDERS = _count_of(_g.content_id == _SUBJECT, _g.subject_id)


async def _count(db: Database, statement: Executable, subject_id: UUID) -> Count:
    number = (await db.fetch(statement, subject_id=subject_id))[0].n
    return Count(min(number, COUNTED_UP_TO), at_least=number > COUNTED_UP_TO)


async def count_granted(db: Database, subject_id: UUID) -> Count:
    """How many objects a user or a group was given a role on."""
    return await _count(db, _COUNT_GRANTED, subject_id)


async def count_owned(db: Database, user_id: UUID) -> Count:
    return await _count(db, _COUNT_OWNED, user_id)


async def count_holders(db: Database, content_id: UUID) -> Count:
    """How many users and groups an object is shared with."""
    return await _count(db, _COUNT_HOLDERS, content_id)


# ---- who holds something on an object --------------------------------------------------------------------------------


_OBJECT = bindparam("content_id", type_=Id)
_AFTER = bindparam("after", type_=Id)
_PEOPLE = (
    select(users.c.id, users.c.first_name, users.c.last_name, users.c.email, _g.role)
    .join(users, users.c.id == _g.subject_id)
    .where(
        _g.content_id == _OBJECT, _g.subject_kind == literal_column(str(int(SubjectKind.USER))), _g.subject_id > _AFTER
    )
    .order_by(_g.subject_id)
    .limit(_HELD_PAGE)
)
_TEAMS = (
    select(groups.c.id, groups.c.key, groups.c.name, _g.role)
    .join(groups, groups.c.id == _g.subject_id)
    .where(_g.content_id == _OBJECT, _g.subject_kind == literal_column(str(int(SubjectKind.GROUP))))
    .order_by(groups.c.key)
    .limit(literal_column("200", Integer))
)


async def list_people(db: Database, content_id: UUID, *, after: UUID | None) -> tuple[Sequence[Holder], UUID | None]:
    """Users an object is shared with, in the order of their making, and where the next page begins."""
    rows = await db.fetch(_PEOPLE, content_id=content_id, after=after or UUID(int=0))
    people = [
        Holder(row.id, SubjectKind.USER, ContentRole(row.role), f"{row.first_name} {row.last_name}".strip(), row.email)
        for row in rows[:HELD_AT_ONCE]
    ]
    return people, people[-1].id if len(rows) > HELD_AT_ONCE else None


async def list_teams(db: Database, content_id: UUID) -> Sequence[Holder]:
    """Groups an object is shared with, by key; 200 at most."""
    rows = await db.fetch(_TEAMS, content_id=content_id)
    return [Holder(row.id, SubjectKind.GROUP, ContentRole(row.role), row.name, key=row.key) for row in rows]
