"""Pages of invitations: filters, orders, and cursors that cost the same at any depth."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.sql import Executable

from latchstring.domain.invitation import Invitation, State
from latchstring.domain.listing import InvitationFilter, InvitationPage, Order, Position
from latchstring.domain.values import first_id_at
from latchstring.storage.engine import Database
from latchstring.storage.invitations import read_standing, select_standing
from latchstring.storage.outbox import newest_invitation_mail
from latchstring.storage.search import fold_name, prefix_end
from latchstring.storage.tables import invitation_grants, invitations, outbox
from latchstring.storage.types import CanonicalText, Id, Instant

COUNTED_UP_TO = 10_000
SIZES = (26, 201)
_i = invitations.c


def _now() -> ColumnElement[datetime]:
    return bindparam("now", type_=Instant)


def _state_is(state: State) -> ColumnElement[bool]:
    """The state of this instant. Literals, so that a generic plan can use the partial indexes."""
    stored = _i.state == literal_column(str(int(state)))
    if state is State.PENDING:
        return and_(stored, _i.expires_at > _now())
    if state is State.EXPIRED:
        return or_(stored, and_(_i.state == literal_column("0"), _i.expires_at <= _now()))
    return stored


def _has_target(name: str) -> ColumnElement[bool]:
    g = invitation_grants.alias()
    return exists(select(g.c.target_id).where(g.c.invitation_id == _i.id, g.c.target_id == bindparam(name, type_=Id)))


def _has_content() -> ColumnElement[bool]:
    g = invitation_grants.alias()
    return exists(
        select(g.c.target_id).where(
            g.c.invitation_id == _i.id,
            g.c.kind == literal_column("2"),
            g.c.target_type == bindparam("content_type"),
            or_(bindparam("content_key", type_=CanonicalText).is_(None), g.c.target_key == bindparam("content_key")),
        )
    )


def _begins(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Prefix search as a range, which an index in byte order serves."""
    return and_(column >= bindparam("q", type_=CanonicalText), column < bindparam("q_end", type_=CanonicalText))


def _delivery_is() -> ColumnElement[bool]:
    """Reads the newest mail of each row; the page's own join shares no filter with a count."""
    mail = outbox.alias("delivered")
    newest = newest_invitation_mail(_i.id)
    return exists(select(mail.c.id).where(mail.c.id == newest, mail.c.state == bindparam("delivery")))


_FILTERS: Mapping[str, ColumnElement[bool]] = {
    "email_key": _i.email_key == bindparam("email_key"),
    "role": _i.role == bindparam("role"),
    "group_id": _has_target("group_id"),
    "content_type": _has_content(),
    "inviter_id": _i.inviter_id == bindparam("inviter_id"),
    "only_inviter_id": _i.inviter_id == bindparam("only_inviter_id", type_=Id),
    "delivery": _delivery_is(),
    "created_after": _i.id >= bindparam("created_after", type_=Id),
    "created_before": _i.id < bindparam("created_before", type_=Id),
    "expires_before": _i.expires_at < bindparam("expires_before", type_=Instant),
    "q": or_(_begins(_i.email_key), _begins(_i.search_name), _begins(_i.search_last_name)),
    **{f"state_{state.name}": _state_is(state) for state in State},
}

# An invitation nobody has accepted sorts as the oldest acceptance.
_ACCEPTED_AT = case((_i.state == literal_column("1"), _i.ended_at), else_=null())
_NEVER = datetime.fromisoformat("1970-01-01T00:00:00Z")
_SORTS: Mapping[str, ColumnElement[Any]] = {
    "expiresAt": _i.expires_at,
    "acceptedAt": func.coalesce(_ACCEPTED_AT, bindparam("never", _NEVER, type_=Instant)),
    "inviteEmail": _i.email_key,
}


def _values(filter_: InvitationFilter) -> dict[str, Any]:
    """The values to bind, by filter name."""
    plain = ("email_key", "role", "group_id", "content_type", "inviter_id", "only_inviter_id", "delivery")
    found: dict[str, Any] = {name: getattr(filter_, name) for name in plain}
    found["expires_before"] = filter_.expires_before
    found["created_after"] = filter_.created_after and first_id_at(filter_.created_after)
    found["created_before"] = filter_.created_before and first_id_at(filter_.created_before)
    found["q"] = filter_.q and fold_name(filter_.q)
    return {name: value for name, value in found.items() if value is not None}


def _sort_value_type(by: str) -> Any:
    return CanonicalText if by == "inviteEmail" else Instant


def _after(order: Order) -> ColumnElement[bool]:
    id_ = bindparam("after_id", type_=Id)
    beyond_id = _i.id < id_ if order.descending else _i.id > id_
    if order.by == "createdAt":
        return beyond_id
    sort, value = _SORTS[order.by], bindparam("after_value", type_=_sort_value_type(order.by))
    beyond = sort < value if order.descending else sort > value
    return or_(beyond, and_(sort == value, beyond_id))


def _ordering(order: Order) -> list[ColumnElement[Any]]:
    columns = [_i.id] if order.by == "createdAt" else [_SORTS[order.by], _i.id]
    return [column.desc() if order.descending else column.asc() for column in columns]


def _size_for(limit: int) -> int:
    """How many rows are read for a page and one more. Two sizes, written into the statements: a generic plan takes a
    bound limit for a tenth of the table, and reads all of it.
    """
    return next(size for size in SIZES if limit < size)


@cache
def _page(filters: frozenset[str], order: Order, size: int, *, continued: bool) -> Executable:
    conditions = [_FILTERS[name] for name in sorted(filters)] + ([_after(order)] if continued else [])
    ids = select(_i.id).where(*conditions).order_by(*_ordering(order)).limit(literal_column(str(size), Integer))
    # the page first, by id; then grants, names and mail for those few rows only
    page = ids.subquery("page")
    statement: Select[Any] = select_standing().where(_i.id.in_(select(page.c.id)))
    return statement.order_by(*_ordering(order))


@cache
def _count(filters: frozenset[str]) -> Executable:
    found: Select[Any] = (
        select(literal_column("1", Integer))
        .select_from(invitations)
        .where(*(_FILTERS[name] for name in sorted(filters)))
    )
    return select(func.count()).select_from(found.limit(COUNTED_UP_TO + 1).subquery())


async def list_invitations(
    db: Database, filter_: InvitationFilter, *, order: Order, after: Position | None, limit: int, at: datetime
) -> InvitationPage:
    """A page of invitations in this order, from behind `after`."""
    values = _values(filter_)
    names = frozenset(values) | ({f"state_{filter_.state.name}"} if filter_.state is not None else frozenset())
    values |= {"now": at, "content_key": filter_.content_key, "q_end": prefix_end(values.get("q", ""))}
    bound = dict(values)
    if after is not None:
        bound |= {"after_id": after.id, "after_value": after.value}
    rows = await db.fetch(_page(names, order, _size_for(limit), continued=after is not None), **bound)
    counted = (await db.fetch(_count(names), **values))[0][0]
    items = tuple(read_standing(row) for row in rows[:limit])
    following = _position(items[-1].invitation, order) if len(rows) > limit else None
    return InvitationPage(items, following, counted if counted <= COUNTED_UP_TO else None)


def _position(last: Invitation, order: Order) -> Position:
    accepted_at = last.ended_at if last.state is State.ACCEPTED else None
    value: dict[str, datetime | str | None] = {
        "createdAt": None,
        "expiresAt": last.link.expires_at,
        "acceptedAt": accepted_at or _NEVER,
        "inviteEmail": last.email_key,
    }
    return Position(last.id, value[order.by])
