"""The service for content objects: `services.content.create(…, by=principal)`."""

from dataclasses import dataclass
from typing import Self

from latchstring.content.admin_operations import AccessChanges, ContentOperations
from latchstring.content.changes import ContentChanges, NewAccess, NewObject
from latchstring.content.dependencies import ContentDependencies
from latchstring.content.read import AccessDetails, AccessQuestion, subject_of

__all__ = ["AccessChanges", "AccessDetails", "AccessQuestion", "Content", "NewAccess", "NewObject", "subject_of"]


@dataclass(frozen=True)
class Content(ContentChanges):
    """Objects for callers that have access to them, with the operations on all objects as an attribute."""

    operations: ContentOperations

    @classmethod
    def build(cls, deps: ContentDependencies) -> Self:
        """Build the service from its dependencies."""
        return cls(deps, ContentOperations(deps))
