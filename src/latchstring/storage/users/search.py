"""Users as the panel looks for them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Integer, TextClause, bindparam, func, literal_column, or_, select

from latchstring.domain.account import User
from latchstring.domain.keyset_page import Count, Place, Sorting, Stretch
from latchstring.domain.views.users import UserSearch
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import BLOCKED, UNVERIFIED, group_members, users
from latchstring.storage.engine.types import Id
from latchstring.storage.lists.keyset import COUNTED_UP_TO, Shelf, along, beginning, begins, prefix
from latchstring.storage.lists.prefix_search import fold_name
from latchstring.storage.users.users import USER_COLUMNS, user_of

_u, _m = users.c, group_members.c


def _filters(search: UserSearch) -> Mapping[str, Mapping[str, Any]]:
    """The filters in use with their values."""
    folded, address = fold_name(search.q or ""), (search.q or "").lower()
    wanted: dict[str, tuple[bool, dict[str, Any]]] = {
        "q": (bool(search.q), prefix("q", folded) | prefix("q_email", address)),
        "role": (search.role is not None, {"role": search.role}),
        "group": (search.group_id is not None, {"group_id": search.group_id}),
        "blocked": (search.blocked, {}),
        "unverified": (search.unverified, {}),
    }
    return {name: values for name, (is_asked, values) in wanted.items() if is_asked}


def _as_indexed(condition: TextClause) -> ColumnElement[bool]:
    """Written as the partial index has it, or SQLite would not know it again."""
    return literal_column(str(condition), Boolean)


_GROUP = bindparam("group_id", type_=Id)
_NAMES = ((_u.email_key, "q_email"), (_u.search_name, "q"), (_u.search_last_name, "q"))
_SHELF: Shelf[User] = Shelf(
    *USER_COLUMNS,
    id_=_u.id,
    read=user_of,
    orders={"email": _u.email_key, "name": _u.search_last_name},
    finders={
        "q": [beginning(column, name, _u.id) for column, name in _NAMES],
        "role": [along(_u.role, bindparam("role", type_=_u.role.type), _u.id)],
        "group": [along(_m.group_id, _GROUP, _m.user_id)],
        "blocked": [select(_u.id).where(_as_indexed(BLOCKED)).order_by(_u.id)],
        "unverified": [select(_u.id).where(_as_indexed(UNVERIFIED)).order_by(_u.id)],
    },
    conditions={
        "q": or_(*(begins(column, name) for column, name in _NAMES)),
        "role": _u.role == bindparam("role"),
        # one lookup each: PostgreSQL would read all members of the group for an EXISTS
        "group": select(_m.user_id)
        .where(_m.user_id == _u.id, _m.group_id == _GROUP)
        .limit(literal_column("1", Integer))
        .scalar_subquery()
        .is_not(None),
        "blocked": _u.blocked.is_(True),
        "unverified": _u.email_verified.is_(False),
    },
    binds=("q", "q_end", "q_email", "q_email_end", "role", "group_id"),
)


async def search_users(
    db: Database, wanted: UserSearch, *, sorting: Sorting, after: Place | None, limit: int
) -> Stretch[User]:
    """A stretch of users. Orders: made, email, name."""
    return await _SHELF.stretch(db, _filters(wanted), sorting=sorting, after=after, limit=limit)


_OF_ROLE = select(func.count().label("n")).select_from(
    along(_u.role, bindparam("role", type_=_u.role.type), _u.id)
    .limit(literal_column(str(COUNTED_UP_TO + 1), Integer))
    .subquery()
)


async def count_role(db: Database, role: str) -> Count:
    """How many users have a role, up to 10 000."""
    number = (await db.fetch(_OF_ROLE, role=role))[0].n
    return Count(min(number, COUNTED_UP_TO), at_least=number > COUNTED_UP_TO)
