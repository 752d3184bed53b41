"""Which invitations, in which order, and where a page begins and ends."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.invitation import Standing, State


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: createdAt, expiresAt, acceptedAt or inviteEmail."""

    by: str = "createdAt"
    descending: bool = True

    @property
    def reversed(self) -> "Order":
        """The same list from its other end."""
        return Order(self.by, not self.descending)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: the sort value of a row (None when sorted by createdAt) and its id."""

    id: UUID
    value: datetime | str | None = None


@dataclass(frozen=True, slots=True)
class InvitationFilter:
    """Which invitations. Several values of one field are alternatives; all fields hold together.

    None, and no values, mean any. Instants begin a range that includes them, and end one that does not.
    only_inviter_id narrows to what the caller may see.
    """

    states: Collection[State] = ()
    email_key: str | None = None
    roles: Collection[str] = ()
    group_ids: Collection[UUID] = ()
    content_type: str | None = None
    content_key: str | None = None
    inviter_ids: Collection[UUID] = ()
    only_inviter_id: UUID | None = None
    deliveries: Collection[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    expires_after: datetime | None = None
    expires_before: datetime | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """One page. next and previous are None at the ends.

    total: None beyond what is counted, and where counting would mean looking at every row.
    is_cut: the page ends because enough rows were looked at, not because it is full or the list is over; it may be
    empty, and `next` goes on from there.
    """

    items: tuple[Standing, ...]
    next: Position | None
    total: int | None
    previous: Position | None = None
    is_cut: bool = False
