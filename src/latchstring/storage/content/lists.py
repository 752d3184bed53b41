"""Lists of content objects and of the subjects with access to them, for callers that may see every object."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, literal_column, or_, select

from latchstring.domain.access import ContentObject, SubjectKind
from latchstring.domain.grant import ContentRole
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.domain.views.content import GrantedObject, Holder
from latchstring.storage.content.objects import read_object
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import content, content_grants, groups, users
from latchstring.storage.engine.types import Id
from latchstring.storage.lists.declaration import Filter, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import IndexScan, count_up_to, fetch_count, literal_number, prefix_scan
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.lists.prefix_search import fold_name, prefix_values, starts_with

_c, _g = content.c, content_grants.c
_TYPE = bindparam("type", type_=_c.type.type)


@dataclass(frozen=True, slots=True)
class OwnedObject:
    """An object with the name of its owner; None when the owner no longer exists."""

    object: ContentObject
    owner_name: str | None


def _read_owned_object(row: Row) -> OwnedObject:
    name = None if row.owner_email is None else f"{row.owner_first} {row.owner_last}".strip() or row.owner_email
    return OwnedObject(read_object(row), name)


def _owner_column(column: ColumnElement[str], name: str) -> ColumnElement[str]:
    owner = users.alias()
    matching = select(owner.c[column.name]).where(owner.c.id == _c.owner_id).correlate(content)
    return matching.scalar_subquery().label(name)


_OBJECTS_OF_TYPE: KeysetList[OwnedObject] = KeysetList(
    ListDeclaration(
        table=content,
        columns=[
            *content.columns,
            _owner_column(users.c.first_name, "owner_first"),
            _owner_column(users.c.last_name, "owner_last"),
            _owner_column(users.c.email, "owner_email"),
        ],
        id_=_c.id,
        read=_read_owned_object,
        orders={"createdAt": lambda c: [c.id], "title": lambda c: [c.search_title, c.id]},
        scans=lambda _: {
            "all": IndexScan([_c.id], prefix=[(_c.type, _TYPE)]),
            "title": IndexScan([_c.search_title, _c.id], prefix=[(_c.type, _TYPE)]),
        },
        filters={
            "q": Filter(
                lambda c: or_(starts_with(c.search_title, "q"), starts_with(c.key, "q_key")),
                lambda _: [
                    prefix_scan(_c.search_title, "q", _c.id, (_c.type, _TYPE)),
                    prefix_scan(_c.key, "q_key", _c.id, (_c.type, _TYPE)),
                ],
                overlaps=True,
            ),
            "type": Filter(lambda c: c.type == _TYPE, is_permanent=True),
        },
    )
)


async def list_objects(
    db: Database, type_: str, q: str | None, *, order: SortOrder, cursor: Cursor | None = None, limit: int
) -> Page[OwnedObject]:
    """Return a page of the objects of a type. q: a prefix of title or key. Sort orders: createdAt, title."""
    values = {
        "type": type_,
        "any_q": not q,
        **prefix_values("q", fold_name(q) if q else None),
        **prefix_values("q_key", q or None),
    }
    scan = Scan("all" if order.by == "createdAt" else order.by, is_exact=not q)
    query = KeysetQuery(["q"] if q else [], values, [scan], identity=repr((type_, q)))
    return await _OBJECTS_OF_TYPE.page(db, query, order=order, cursor=cursor, limit=limit)


# ---- objects of a user or a group ------------------------------------------------------------------------------------

GRANTS_PAGE_SIZE = 50
_SUBJECT = bindparam("subject_id", type_=Id)
_BY_TYPE = SortOrder("type")

_GRANTED: KeysetList[GrantedObject] = KeysetList(
    ListDeclaration(
        table=content,
        columns=[*content.columns, _g.role.label("held")],
        id_=_c.id,
        joins=lambda rows: rows.join(content_grants, and_(_g.content_id == _c.id, _g.subject_id == _SUBJECT)),
        read=lambda row: GrantedObject(read_object(row), ContentRole(row.held)),
        orders={"type": lambda _: [_g.type, _g.role, _g.content_id]},
        scans=lambda _: {
            "subject": IndexScan([_g.type, _g.role, _g.content_id], prefix=[(_g.subject_id, _SUBJECT)]),
        },
    )
)
_OWNED: KeysetList[GrantedObject] = KeysetList(
    ListDeclaration(
        table=content,
        columns=tuple(content.columns),
        id_=_c.id,
        read=lambda row: GrantedObject(read_object(row), None),
        orders={"type": lambda c: [c.type, c.id]},
        scans=lambda _: {"owner": IndexScan([_c.type, _c.id], prefix=[(_c.owner_id, _SUBJECT)])},
    )
)


async def list_granted(db: Database, subject_id: UUID, *, cursor: Cursor | None = None) -> Page[GrantedObject]:
    """Return a page of the objects granted to a user or group, sorted by type and role."""
    query = KeysetQuery((), {"subject_id": subject_id}, [Scan("subject", is_exact=True)], is_counted=False)
    return await _GRANTED.page(db, query, order=_BY_TYPE, cursor=cursor, limit=GRANTS_PAGE_SIZE)


async def list_owned(db: Database, user_id: UUID) -> Page[GrantedObject]:
    """Return the first page of the objects that a user owns, sorted by type."""
    query = KeysetQuery((), {"subject_id": user_id}, [Scan("owner", is_exact=True)], is_counted=False)
    return await _OWNED.page(db, query, order=_BY_TYPE, limit=GRANTS_PAGE_SIZE)


_COUNT_GRANTED = count_up_to(select(_g.content_id).where(_g.subject_id == _SUBJECT))
_COUNT_OWNED = count_up_to(select(_c.id).where(_c.owner_id == _SUBJECT))
_COUNT_HOLDERS = count_up_to(select(_g.subject_id).where(_g.content_id == _SUBJECT))


async def count_granted(db: Database, subject_id: UUID) -> Count:
    """Count the objects granted to a user or group."""
    return await fetch_count(db, _COUNT_GRANTED, subject_id=subject_id)


async def count_owned(db: Database, user_id: UUID) -> Count:
    return await fetch_count(db, _COUNT_OWNED, subject_id=user_id)


async def count_holders(db: Database, content_id: UUID) -> Count:
    """Count the users and groups that an object is shared with."""
    return await fetch_count(db, _COUNT_HOLDERS, subject_id=content_id)


# ---- users and groups with a grant on an object ----------------------------------------------------------------------


def _read_holder(row: Row) -> Holder:
    name = f"{row.first_name} {row.last_name}".strip()
    return Holder(row.id, SubjectKind.USER, ContentRole(row.role), name, row.email)


_OBJECT = bindparam("content_id", type_=Id)
_IS_USER = _g.subject_kind == literal_column(str(int(SubjectKind.USER)))
_USER_HOLDERS: KeysetList[Holder] = KeysetList(
    ListDeclaration(
        table=users,
        columns=[users.c.id, users.c.first_name, users.c.last_name, users.c.email, _g.role],
        id_=users.c.id,
        joins=lambda rows: rows.join(content_grants, and_(_g.content_id == _OBJECT, _g.subject_id == users.c.id)),
        read=_read_holder,
        orders={"createdAt": lambda _: [_g.subject_id]},
        scans=lambda _: {"object": IndexScan([_g.subject_id], prefix=[(_g.content_id, _OBJECT)], where=[_IS_USER])},
    )
)
_GROUP_HOLDERS = (
    select(groups.c.id, groups.c.key, groups.c.name, _g.role)
    .join(groups, groups.c.id == _g.subject_id)
    .where(_g.content_id == _OBJECT, _g.subject_kind == literal_column(str(int(SubjectKind.GROUP))))
    .order_by(groups.c.key)
    .limit(literal_number(200))
)


async def list_user_holders(db: Database, content_id: UUID, *, cursor: Cursor | None = None) -> Page[Holder]:
    """Return a page of the users that an object is shared with, sorted by creation."""
    query = KeysetQuery((), {"content_id": content_id}, [Scan("object", is_exact=True)], is_counted=False)
    return await _USER_HOLDERS.page(db, query, order=SortOrder("createdAt"), cursor=cursor, limit=GRANTS_PAGE_SIZE)


async def list_group_holders(db: Database, content_id: UUID) -> Sequence[Holder]:
    """Return at most 200 groups that an object is shared with, sorted by key."""
    rows = await db.fetch(_GROUP_HOLDERS, content_id=content_id)
    return [Holder(row.id, SubjectKind.GROUP, ContentRole(row.role), row.name, key=row.key) for row in rows]
