"""Groups of users."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.ids import id_instant


@dataclass(frozen=True, slots=True)
class GroupText:
    """Name and description of a group in one language."""

    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of users. The key never changes. A group created again under an old key is another group."""

    id: UUID
    key: str
    name: str
    description: str | None = None
    translations: Mapping[str, GroupText] = field(default_factory=dict)

    @property
    def created_at(self) -> datetime:
        return id_instant(self.id)

    def get_text(self, locale: str | None) -> GroupText:
        """Return the text in this language, else in its base language (`de` for `de-AT`), else the default text."""
        tag = (locale or "").replace("_", "-").lower()
        texts = {key.lower(): item for key, item in self.translations.items()}
        text = texts.get(tag) or texts.get(tag.partition("-")[0])
        return text or GroupText(self.name, self.description)
