"""Filters of user lists."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Filters of users; None and False match any. q: a prefix of address, first name or last name."""

    q: str | None = None
    role: str | None = None
    group_id: UUID | None = None
    blocked: bool = False
    unverified: bool = False
    email_key: str | None = None
