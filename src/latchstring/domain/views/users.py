"""Users as a list is asked for them."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Which users; None and False mean any. q: a prefix of address, first or last name."""

    q: str | None = None
    role: str | None = None
    group_id: UUID | None = None
    blocked: bool = False
    unverified: bool = False
    email_key: str | None = None
