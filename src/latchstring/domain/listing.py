"""Which invitations, in which order, and where a page ends."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.invitation import Standing, State


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: createdAt, expiresAt, acceptedAt or inviteEmail."""

    by: str = "createdAt"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """Where the last page ended: the sort value of its last row (None when sorted by createdAt) and its id."""

    id: UUID
    value: datetime | str | None = None


@dataclass(frozen=True, slots=True)
class InvitationFilter:
    """Which invitations; None means any. only_inviter_id narrows to what the caller may see."""

    state: State | None = None
    email_key: str | None = None
    role: str | None = None
    group_id: UUID | None = None
    content_type: str | None = None
    content_key: str | None = None
    inviter_id: UUID | None = None
    only_inviter_id: UUID | None = None
    delivery: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    expires_before: datetime | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """One page. next is None at the end; total is None beyond what is counted."""

    items: tuple[Standing, ...]
    next: Position | None
    total: int | None
