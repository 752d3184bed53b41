"""The orders of a list of invitations, places in it, and what is found from a place on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam, case, func, literal_column, null, tuple_

from latchstring.domain.invitation_list import InvitationFilter, Order, Position
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.types import CanonicalText, Id, Instant
from latchstring.storage.invitations.filters import FIRST_ID, FIRST_INSTANT, LAST_ID, LAST_INSTANT, bound_values
from latchstring.storage.lists.prefix_search import prefix_end

SIZES = (26, 201, 1001)  # a page of 25, 200 or 1000 and one more
NEVER = FIRST_INSTANT  # when an invitation was accepted that never was: it sorts as the oldest acceptance


def number(value: int) -> ColumnElement[int]:
    """A number written into the statement: a generic plan takes a bound LIMIT for a tenth of the table."""
    return literal_column(str(value), Integer)


def size_for(rows: int) -> int:
    return next(size for size in SIZES if rows < size)


# ---- orders ----------------------------------------------------------------------------------------------------------


def sort_value(i: Any, by: str) -> ColumnElement[Any] | None:
    """What a list is sorted by before the id; None when the id is all."""
    accepted_at = case((i.state == literal_column("1"), i.ended_at), else_=null())
    columns: dict[str, ColumnElement[Any] | None] = {
        "createdAt": None,
        "expiresAt": i.expires_at,
        "acceptedAt": func.coalesce(accepted_at, bindparam("never", NEVER, type_=Instant)),
        "inviteEmail": i.email_key,
    }
    return columns[by]


def shown_value(value: ColumnElement[Any] | None) -> ColumnElement[Any]:
    return (null() if value is None else value).label("value")


def keys_of(i: Any, by: str) -> list[ColumnElement[Any]]:
    value = sort_value(i, by)
    return [i.id] if value is None else [value, i.id]


def _value_type(by: str) -> Any:
    return CanonicalText if by == "inviteEmail" else Instant


def beyond(keys: Sequence[ColumnElement[Any]], order: Order) -> ColumnElement[bool]:
    """Behind a place in the list. Said of the row as a whole, which an index answers; the start is a place, too."""
    id_ = bindparam("after_id", type_=Id)
    if len(keys) == 1:
        return keys[0] < id_ if order.descending else keys[0] > id_
    row, place = tuple_(*keys), tuple_(bindparam("after_value", type_=_value_type(order.by)), id_)
    return row < place if order.descending else row > place


def start_of(order: Order) -> Position:
    """A place before everything."""
    if order.by == "createdAt":
        return Position(LAST_ID if order.descending else FIRST_ID)
    is_text = order.by == "inviteEmail"
    last: datetime | str = prefix_end("") if is_text else LAST_INSTANT
    first: datetime | str = "" if is_text else FIRST_INSTANT
    return Position(LAST_ID, last) if order.descending else Position(FIRST_ID, first)


@dataclass(frozen=True, slots=True)
class Found:
    """The next rows of a list, by place. total: how many there are, when that is known. cut_at: how far was looked
    when that was not as far as the list goes.
    """

    places: Sequence[Position]
    total: int | None = None
    cut_at: Position | None = None


def place_values(place: Position) -> dict[str, Any]:
    return {"after_id": place.id, "after_value": place.value}


def in_order(places: Collection[Position], order: Order) -> list[Position]:
    if order.by == "createdAt":
        return sorted(places, key=lambda place: place.id, reverse=order.descending)
    return sorted(places, key=lambda place: (place.value, place.id), reverse=order.descending)


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, from which place on, and how many rows: one more than a page shows."""

    db: Database
    wanted: InvitationFilter
    order: Order
    after: Position
    size: int
    at: datetime

    @property
    def values(self) -> dict[str, Any]:
        """What every statement of the search takes."""
        values = bound_values(self.wanted, at=self.at)
        return values | place_values(_within(values, self.order, self.after))


def _within(values: Mapping[str, Any], order: Order, after: Position) -> Position:
    """The place, no earlier than where the range begins: an index is entered at one place, and walked from there."""
    if order.by == "createdAt":
        first = UUID(int=max(values["id_from"].int - 1, 0))
        return Position(min(after.id, values["id_to"]) if order.descending else max(after.id, first))
    if order.by == "expiresAt":
        edge = Position(FIRST_ID, values["expires_to"] if order.descending else values["expires_from"])
        return in_order([after, edge], order)[1]
    return after
