"""Users as the panel looks for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Integer, TextClause, bindparam, exists, func, literal_column, select

from latchstring.domain.account import User
from latchstring.domain.stretch import Count, Place, Sorting, Stretch
from latchstring.storage.accounts import USER_COLUMNS, user_of
from latchstring.storage.engine import Database
from latchstring.storage.search import fold_name
from latchstring.storage.shelves import COUNTED_UP_TO, Shelf, begins, prefix
from latchstring.storage.tables import BLOCKED, UNVERIFIED, group_members, users
from latchstring.storage.types import Id

_u, _m = users.c, group_members.c


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Which users; None and False mean any. q: a prefix of address, first or last name."""

    q: str | None = None
    role: str | None = None
    group_id: UUID | None = None
    blocked: bool = False
    unverified: bool = False

    @property
    def asked(self) -> Mapping[str, Mapping[str, Any]]:
        """The filters in use with their values."""
        folded, address = fold_name(self.q or ""), (self.q or "").lower()
        wanted: dict[str, tuple[bool, dict[str, Any]]] = {
            "q": (bool(self.q), prefix("q", folded) | prefix("q_email", address)),
            "role": (self.role is not None, {"role": self.role}),
            "group": (self.group_id is not None, {"group_id": self.group_id}),
            "blocked": (self.blocked, {}),
            "unverified": (self.unverified, {}),
        }
        return {name: values for name, (is_asked, values) in wanted.items() if is_asked}


def _as_indexed(condition: TextClause) -> ColumnElement[bool]:
    """Written as the partial index has it, or SQLite would not know it again."""
    return literal_column(str(condition), Boolean)


_GROUP = bindparam("group_id", type_=Id)
_NAMED = (begins(_u.email_key, "q_email"), begins(_u.search_name, "q"), begins(_u.search_last_name, "q"))
_SHELF: Shelf[User] = Shelf(
    *USER_COLUMNS,
    id_=_u.id,
    read=user_of,
    orders={"email": _u.email_key, "name": _u.search_last_name},
    finders={
        "q": [select(_u.id).where(named) for named in _NAMED],
        "role": [select(_u.id).where(_u.role == bindparam("role"))],
        "group": [select(_m.user_id.label("id")).where(_m.group_id == _GROUP)],
        "blocked": [select(_u.id).where(_as_indexed(BLOCKED))],
        "unverified": [select(_u.id).where(_as_indexed(UNVERIFIED))],
    },
    conditions={
        "q": _NAMED[0] | _NAMED[1] | _NAMED[2],
        "role": _u.role == bindparam("role"),
        "group": exists(select(_m.user_id).where(_m.user_id == _u.id, _m.group_id == _GROUP)),
        "blocked": _u.blocked.is_(True),
        "unverified": _u.email_verified.is_(False),
    },
    binds=("q", "q_end", "q_email", "q_email_end", "role", "group_id"),
)


async def search_users(
    db: Database, wanted: UserSearch, *, sorting: Sorting, after: Place | None, limit: int
) -> Stretch[User]:
    """A stretch of users. Orders: made, email, name."""
    return await _SHELF.stretch(db, wanted.asked, sorting=sorting, after=after, limit=limit)


_OF_ROLE = select(func.count().label("n")).select_from(
    select(_u.id).where(_u.role == bindparam("role")).limit(literal_column(str(COUNTED_UP_TO + 1), Integer)).subquery()
)


async def count_role(db: Database, role: str) -> Count:
    """How many users have a role, up to 10 000."""
    number = (await db.fetch(_OF_ROLE, role=role))[0].n
    return Count(min(number, COUNTED_UP_TO), at_least=number > COUNTED_UP_TO)
