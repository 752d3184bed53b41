"""Filters of invitation lists."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.invitation import State


@dataclass(frozen=True, slots=True)
class InvitationFilter:
    """Filters of invitations. The values of one field are alternatives (OR); all fields must match (AND).

    None and empty collections match everything. Ranges include their start and exclude their end.
    only_inviter_id: restricts the list to what the caller may see.
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
