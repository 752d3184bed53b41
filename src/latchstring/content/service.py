"""Content objects: who may see and change what."""

from latchstring.content.changing import NewAccess, NewObject
from latchstring.content.keeping import AccessChanges, ContentKeeping
from latchstring.content.reading import AccessDetails, AccessQuestion

__all__ = ["AccessChanges", "AccessDetails", "AccessQuestion", "Content", "NewAccess", "NewObject"]


class Content(ContentKeeping):
    """Objects found, made, changed, shared, handed over, removed, and asked about."""
