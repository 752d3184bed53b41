"""Pages of users, and of a group's members."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, or_, select
from sqlalchemy.sql import Executable

from latchstring.domain.account import User
from latchstring.domain.pagination import Page
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import group_members, groups, users
from latchstring.storage.engine.types import CanonicalText, Id
from latchstring.storage.lists.by_id import COUNTED_UP_TO, page_of
from latchstring.storage.lists.prefix_search import fold_name, prefix_end
from latchstring.storage.users.users import USER_COLUMNS, user_of


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users; None means any. group is a key, q a prefix of address, first or last name."""

    email_key: str | None = None
    role: str | None = None
    group: str | None = None
    q: str | None = None

    def values(self) -> dict[str, Any]:
        """The values to bind, by filter name."""
        found: dict[str, Any] = {"email_key": self.email_key, "role": self.role, "group": self.group}
        if self.q is not None:
            folded, address = fold_name(self.q), self.q.lower()
            found |= {"q": folded, "q_end": prefix_end(folded), "q_email": address, "q_email_end": prefix_end(address)}
        return {name: value for name, value in found.items() if value is not None}


def _begins(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return and_(
        column >= bindparam(name, type_=CanonicalText),
        column < bindparam(f"{name}_end", type_=CanonicalText),
    )


_IN_GROUP = users.c.id.in_(
    select(group_members.c.user_id)
    .join(groups, groups.c.id == group_members.c.group_id)
    .where(groups.c.key == bindparam("group", type_=groups.c.key.type))
)
_FILTERS: dict[str, ColumnElement[bool]] = {
    "email_key": users.c.email_key == bindparam("email_key", type_=users.c.email_key.type),
    "role": users.c.role == bindparam("role"),
    "group": _IN_GROUP,
    "q": or_(
        _begins(users.c.email_key, "q_email"),
        _begins(users.c.search_name, "q"),
        _begins(users.c.search_last_name, "q"),
    ),
}


@cache
def _list(active: frozenset[str], descending: bool, has_cursor: bool) -> Executable:  # noqa: FBT001  # a cache's key
    order = users.c.id.desc() if descending else users.c.id.asc()
    statement = select(*USER_COLUMNS).where(*(_FILTERS[name] for name in sorted(active))).order_by(order)
    if has_cursor:
        after = bindparam("after", type_=Id)
        statement = statement.where(users.c.id < after if descending else users.c.id > after)
    return statement.limit(bindparam("most"))


@cache
def _count(active: frozenset[str]) -> Executable:
    some = select(users.c.id).where(*(_FILTERS[name] for name in sorted(active)))
    return select(func.count().label("n")).select_from(some.limit(literal_column(str(COUNTED_UP_TO + 1))).subquery())


async def list_users(
    db: Database, which: UserFilter, *, limit: int, after: UUID | None, descending: bool
) -> Page[User]:
    """A page of users in the order of making. after: the id the last page ended with."""
    values = which.values()
    active = frozenset(name for name in values if name in _FILTERS)
    cursor = {} if after is None else {"after": after}
    rows = await db.fetch(_list(active, descending, after is not None), most=limit + 1, **cursor, **values)
    counted = (await db.fetch(_count(active), **values))[0].n
    return page_of([user_of(row) for row in rows], limit=limit, counted=counted)
