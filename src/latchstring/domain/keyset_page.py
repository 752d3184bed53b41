"""A stretch of a long list, with the place where the next one begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sorting:
    """What a list is ordered by, by name; equal ones stand in the order of their making."""

    by: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stretch ended: the id of its last item, and the text it was sorted by unless that is the id itself."""

    id: UUID
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch(Generic[T]):
    """Some items in order. following: None at the end. total: None beyond 10 000."""

    items: Sequence[T]
    following: Place | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, counted up to a bound. at_least: there may be more."""

    number: int
    at_least: bool = False
