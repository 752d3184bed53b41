"""Groups as the panel looks for them, with how many are in them and on the way to them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, bindparam, func, literal_column, select

from latchstring.domain.group import Group
from latchstring.domain.keyset_page import Count, Place, Sorting, Stretch
from latchstring.storage.engine.database import Database, Row
from latchstring.storage.engine.tables import group_members, groups, invitation_grants, invitations
from latchstring.storage.engine.types import Id, Instant
from latchstring.storage.groups.groups import group_of
from latchstring.storage.invitations.read import PENDING
from latchstring.storage.lists.keyset import COUNTED_UP_TO, Shelf, beginning, begins, prefix
from latchstring.storage.lists.prefix_search import fold_name

_c, _m, _i, _g = groups.c, group_members.c, invitations.c, invitation_grants.c
SHOWN_UP_TO = 1000  # members beside each group of a page


@dataclass(frozen=True, slots=True)
class CountedGroup:
    """A group with the number of its members."""

    group: Group
    members: Count


def _most(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer)


def _members(most: int, group_id: ColumnElement[UUID]) -> ColumnElement[int]:
    some = select(_m.user_id).where(_m.group_id == group_id).correlate(groups).limit(_most(most + 1)).subquery()
    return select(func.count()).select_from(some).scalar_subquery().label("members")


def _counted(row: Row) -> CountedGroup:
    return CountedGroup(group_of(row), Count(min(row.members, SHOWN_UP_TO), at_least=row.members > SHOWN_UP_TO))


_SHELF: Shelf[CountedGroup] = Shelf(
    *groups.columns,
    _members(SHOWN_UP_TO, _c.id),
    id_=_c.id,
    read=_counted,
    orders={"name": _c.search_name},
    finders={
        "q": [beginning(_c.search_name, "q", _c.id), beginning(_c.key, "q_key", _c.id)],
    },
    conditions={"q": begins(_c.search_name, "q") | begins(_c.key, "q_key")},
    binds=("q", "q_end", "q_key", "q_key_end"),
)


async def search_groups(
    db: Database, q: str | None, *, sorting: Sorting, after: Place | None, limit: int
) -> Stretch[CountedGroup]:
    """A stretch of groups. q: a prefix of name or key. Orders: made, name."""
    asked = {"q": prefix("q", fold_name(q)) | prefix("q_key", q)} if q else {}
    return await _SHELF.stretch(db, asked, sorting=sorting, after=after, limit=limit)


_ID = bindparam("target_id", type_=Id)
_COUNT_MEMBERS = select(func.count().label("n")).select_from(
    select(_m.user_id).where(_m.group_id == _ID).limit(_most(COUNTED_UP_TO + 1)).subquery()
)
_NEWEST = (
    select(_g.invitation_id)
    .where(_g.target_id == _ID, _g.voided_at.is_(None))
    .order_by(_g.invitation_id.desc())
    .limit(_most(COUNTED_UP_TO + 1))
    .subquery("newest")
)
_ON_THE_WAY = select(func.count(_i.id).label("n"), func.count().label("read")).select_from(
    _NEWEST.outerjoin(
        invitations,
        and_(_i.id == _NEWEST.c.invitation_id, _i.state == PENDING, _i.expires_at > bindparam("now", type_=Instant)),
    )
)


async def count_members(db: Database, group_id: UUID) -> Count:
    number = (await db.fetch(_COUNT_MEMBERS, target_id=group_id))[0].n
    return Count(min(number, COUNTED_UP_TO), at_least=number > COUNTED_UP_TO)


async def count_on_the_way(db: Database, target_id: UUID, *, at: datetime) -> Count:
    """Pending invitations into a group, or to an object, among the 10 000 newest to it."""
    row = (await db.fetch(_ON_THE_WAY, target_id=target_id, now=at))[0]
    return Count(row.n, at_least=row.read > COUNTED_UP_TO)
