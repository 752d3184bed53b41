"""Lists of users, for the API and the panel."""

from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, literal_column, or_, select

from latchstring.domain.account import User
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.domain.views.users import UserSearch
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import BLOCKED, UNVERIFIED, group_members, users
from latchstring.storage.engine.types import Id
from latchstring.storage.lists.declaration import Columns, Filter, KeysetQuery, ListDeclaration, Scan
from latchstring.storage.lists.index_scan import IndexScan, as_indexed, count_up_to, fetch_count, prefix_scan
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.lists.prefix_search import fold_name, prefix_values, starts_with
from latchstring.storage.users.users import USER_COLUMNS, user_of

_u, _m = users.c, group_members.c
_EMAIL_KEY = bindparam("email_key", type_=_u.email_key.type)
_ROLE = bindparam("role", type_=_u.role.type)
_GROUP = bindparam("group_id", type_=Id)


_SCANS = {
    "all": IndexScan([_u.id]),
    "email": IndexScan([_u.email_key, _u.id]),
    "name": IndexScan([_u.search_last_name, _u.id]),
    "role": IndexScan([_u.id], prefix=[(_u.role, _ROLE)]),
    "group": IndexScan([_m.user_id], prefix=[(_m.group_id, _GROUP)]),
    "blocked": IndexScan([_u.id], where=[as_indexed(BLOCKED)]),
    "unverified": IndexScan([_u.id], where=[as_indexed(UNVERIFIED)]),
}
_OWN_SCANS = ("group", "role", "blocked", "unverified")  # filters with a scan in the order of creation


def _is_member(u: Columns) -> ColumnElement[bool]:
    """Return the membership condition as one lookup per row: for an EXISTS PostgreSQL would read the whole group."""
    m = group_members.alias()
    membership = (
        select(m.c.user_id).where(m.c.user_id == u.id, m.c.group_id == _GROUP).limit(literal_column("1", Integer))
    )
    return membership.correlate_except(m).scalar_subquery().is_not(None)


_FILTERS = {
    "email_key": Filter(
        lambda u: u.email_key == _EMAIL_KEY,
        lambda _: [select(_u.id.label("id")).where(_u.email_key == _EMAIL_KEY)],
    ),
    "q": Filter(
        lambda u: or_(
            starts_with(u.email_key, "q_email"), starts_with(u.search_name, "q"), starts_with(u.search_last_name, "q")
        ),
        lambda _: [
            prefix_scan(_u.email_key, "q_email", _u.id),
            prefix_scan(_u.search_name, "q", _u.id),
            prefix_scan(_u.search_last_name, "q", _u.id),
        ],
        overlaps=True,
    ),
    "group": Filter(_is_member, lambda name: [_SCANS["group"].candidates(name)]),
    "role": Filter(lambda u: u.role == _ROLE, lambda name: [_SCANS["role"].candidates(name)]),
    "blocked": Filter(lambda u: u.blocked.is_(True), lambda name: [_SCANS["blocked"].candidates(name)]),
    "unverified": Filter(lambda u: u.email_verified.is_(False), lambda name: [_SCANS["unverified"].candidates(name)]),
}
_LIST: KeysetList[User] = KeysetList(
    ListDeclaration(
        table=users,
        columns=USER_COLUMNS,
        id_=_u.id,
        read=user_of,
        orders={
            "createdAt": lambda u: [u.id],
            "email": lambda u: [u.email_key, u.id],
            "name": lambda u: [u.search_last_name, u.id],
        },
        scans=lambda _: _SCANS,
        filters=_FILTERS,
    )
)


def _query(search: UserSearch, order: SortOrder) -> KeysetQuery:
    is_in_use = {
        "email_key": search.email_key is not None,
        "q": bool(search.q),
        "group": search.group_id is not None,
        "role": search.role is not None,
        "blocked": search.blocked,
        "unverified": search.unverified,
    }
    values: dict[str, Any] = {f"any_{name}": not used for name, used in is_in_use.items()}
    values |= {"email_key": search.email_key, "role": search.role, "group_id": search.group_id}
    values |= prefix_values("q", fold_name(search.q) if search.q else None)
    values |= prefix_values("q_email", search.q.lower() if search.q else None)
    filters = [name for name, used in is_in_use.items() if used]
    own_scan = next((name for name in _OWN_SCANS if is_in_use[name]), None) if order.by == "createdAt" else None
    if own_scan is not None:
        scan = Scan(own_scan, filter_name=own_scan, is_exact=filters == [own_scan])
    else:
        scan = Scan("all" if order.by == "createdAt" else order.by, is_exact=not filters)
    return KeysetQuery(filters, values, [scan], identity=repr(search))


async def list_users(
    db: Database, search: UserSearch, *, order: SortOrder, cursor: Cursor | None = None, limit: int
) -> Page[User]:
    """Return a page of users. Orders: createdAt, email, name."""
    return await _LIST.page(db, _query(search, order), order=order, cursor=cursor, limit=limit)


_OF_ROLE = {name: count_up_to(_SCANS["role"].candidates(name)) for name in ("postgresql", "sqlite")}


async def count_role(db: Database, role: str) -> Count:
    """Count the users with a role, up to 10 000."""
    return await fetch_count(db, _OF_ROLE[db.dialect_name], role=role)
