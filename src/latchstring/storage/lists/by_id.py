"""Pages of lists ordered by id, which is the order of making."""

from collections.abc import Sequence
from typing import TypeVar

from latchstring.domain.pagination import Page

__all__ = ["COUNTED_UP_TO", "Page", "page_of"]

T = TypeVar("T")
COUNTED_UP_TO = 10_000


def page_of(found: Sequence[T], *, limit: int, counted: int) -> Page[T]:
    """The page from limit + 1 items, the last of which only shows that more follow."""
    return Page(found[:limit], len(found) > limit, counted if counted <= COUNTED_UP_TO else None)
