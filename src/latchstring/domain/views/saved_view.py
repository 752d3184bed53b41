"""Lists of the panel that an administrator saved with their filters."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SavedView:
    """A named list. query: the query string of its URL."""

    id: UUID
    name: str
    query: str
