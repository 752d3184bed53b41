"""Pages of lists: sort order, cursors and items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
V = TypeVar("V")
KeyValue = UUID | datetime | str | int
Key = tuple[KeyValue, ...]  # sort values of a row; the last value is its id, so that keys are unique


@dataclass(frozen=True, slots=True)
class SortOrder:
    """The name of the field that a list is sorted by. Rows with equal values are sorted by id."""

    by: str
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> "SortOrder":
        """Parse `name`, or `-name` for descending."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.by}" if self.descending else self.by

    @property
    def reversed(self) -> "SortOrder":
        return SortOrder(self.by, not self.descending)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after the row with this key, or before it when is_backward.

    counted: a digest of the filters for which `total` was counted; empty when it was not. Later pages with the same
    filters repeat that total instead of counting again. rows_before: the number of rows before the page, for callers
    that show it.
    """

    key: Key
    is_backward: bool = False
    total: int | None = None
    counted: str = ""
    rows_before: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list.

    next, previous: cursors of the adjacent pages; None where there is none. total: None when it was not counted or
    exceeds the counting limit. is_partial: the page ends because the scan limit was reached, not because it is full
    or the list has ended. Such a page may be empty; `next` continues the scan.
    """

    items: Sequence[T] = ()
    next: Cursor | None = None
    previous: Cursor | None = None
    total: int | None = None
    is_partial: bool = False

    def map(self, convert: Callable[[T], V]) -> "Page[V]":
        """Return the page with every item converted."""
        return self.with_items([convert(item) for item in self.items])

    def with_items(self, items: Sequence[V]) -> "Page[V]":
        return Page(items, self.next, self.previous, self.total, self.is_partial)


@dataclass(frozen=True, slots=True)
class Count:
    """A count up to a limit. at_least: the limit was reached and there may be more."""

    number: int
    at_least: bool = False
