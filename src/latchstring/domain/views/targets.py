"""What an invitation may lead to, as somebody chooses it."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class GroupChoice:
    """A group to choose. members: how many there are, counted up to 1,000."""

    id: UUID
    key: str
    name: str
    members: int


@dataclass(frozen=True, slots=True)
class ObjectChoice:
    """A content object to choose."""

    id: UUID
    type: str
    key: str
    title: str
