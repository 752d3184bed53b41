"""Content objects, as the faces call them: `services.content.create(…, by=principal)`."""

from dataclasses import dataclass
from typing import Self

from latchstring.content.admin_operations import AccessChanges, ContentOperations
from latchstring.content.changes import ContentChanges, NewAccess, NewObject
from latchstring.content.dependencies import ContentDependencies
from latchstring.content.read import AccessDetails, AccessQuestion, subject_of

__all__ = ["AccessChanges", "AccessDetails", "AccessQuestion", "Content", "NewAccess", "NewObject", "subject_of"]


@dataclass(frozen=True)
class Content(ContentChanges):
    """Objects as those see and change them who have access, and a facet for those who look after all of them."""

    operations: ContentOperations

    @classmethod
    def build(cls, deps: ContentDependencies) -> Self:
        """The service on its dependencies."""
        return cls(deps, ContentOperations(deps))
