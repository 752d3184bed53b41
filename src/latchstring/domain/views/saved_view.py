"""A list of the panel with its filters, kept under a name by one administrator."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view: query is that of its address."""

    id: UUID
    name: str
    query: str
