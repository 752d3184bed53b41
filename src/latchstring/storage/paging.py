"""Pages of lists ordered by id, which is the order of making."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
COUNTED_UP_TO = 10_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, whether more follow, and how many there are; total is None above 10 000."""

    items: Sequence[T]
    more: bool
    total: int | None


def page_of(found: Sequence[T], *, limit: int, counted: int) -> Page[T]:
    """The page from limit + 1 items, the last of which only shows that more follow."""
    return Page(found[:limit], len(found) > limit, counted if counted <= COUNTED_UP_TO else None)
