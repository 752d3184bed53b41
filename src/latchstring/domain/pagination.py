"""Lists in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, whether more follow, and how many there are; total is None above 10 000."""

    items: Sequence[T]
    more: bool
    total: int | None
