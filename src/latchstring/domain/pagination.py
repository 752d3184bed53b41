"""Pages of lists: the order, where a page begins, and what it holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
V = TypeVar("V")
KeyValue = UUID | datetime | str | int
Key = tuple[KeyValue, ...]  # what a row is sorted by; the last value is its id, so no two rows have the same


@dataclass(frozen=True, slots=True)
class SortOrder:
    """What a list is sorted by, by name. Rows that are alike in it are sorted by their ids."""

    by: str
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> "SortOrder":
        """The order of a text such as `name`, or `-name` for descending."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.by}" if self.descending else self.by

    @property
    def reversed(self) -> "SortOrder":
        return SortOrder(self.by, not self.descending)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: behind the row of this key, or before it when backward.

    counted: a digest of the filters for which `total` was counted, empty when it was not. Later pages with the same
    filters repeat that total instead of counting again. rows_before: how many rows come before the page, where whoever
    shows pages counts them.
    """

    key: Key
    is_backward: bool = False
    total: int | None = None
    counted: str = ""
    rows_before: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list.

    next, previous: cursors of the pages around it, None where there is none. total: None when it is not counted, or
    beyond what is counted. is_partial: the page ends because enough rows were read, not because it is full or the
    list is over. It may be empty, and `next` continues from there.
    """

    items: Sequence[T] = ()
    next: Cursor | None = None
    previous: Cursor | None = None
    total: int | None = None
    is_partial: bool = False

    def map(self, convert: Callable[[T], V]) -> "Page[V]":
        """The same page with every item converted."""
        return self.with_items([convert(item) for item in self.items])

    def with_items(self, items: Sequence[V]) -> "Page[V]":
        return Page(items, self.next, self.previous, self.total, self.is_partial)


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, counted up to a limit. at_least: there may be more."""

    number: int
    at_least: bool = False
