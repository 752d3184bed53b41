"""Choices for the targets of an invitation."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class GroupChoice:
    """A group. members: counted up to 1,000."""

    id: UUID
    key: str
    name: str
    members: int


@dataclass(frozen=True, slots=True)
class ObjectChoice:
    id: UUID
    type: str
    key: str
    title: str
