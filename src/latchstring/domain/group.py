"""A group: a named set of users."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.ids import id_instant


@dataclass(frozen=True, slots=True)
class GroupText:
    """How a group is called in one language."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of users. The key never changes; one made again under an old key is another group."""

    id: UUID
    key: str
    name: str
    description: str | None = None
    translations: Mapping[str, GroupText] = field(default_factory=dict)

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    def text_in(self, locale: str | None) -> GroupText:
        """Name and description in this language, else in its wider form (`de` for `de-AT`), else the group's own."""
        wanted = (locale or "").replace("_", "-").lower()
        known = {key.lower(): text for key, text in self.translations.items()}
        found = known.get(wanted) or known.get(wanted.partition("-")[0])
        return found or GroupText(self.name, self.description)
