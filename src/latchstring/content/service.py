"""Content objects: who may see and change what."""

from latchstring.content.admin_operations import AccessChanges, ContentKeeping
from latchstring.content.changes import NewAccess, NewObject
from latchstring.content.read import AccessDetails, AccessQuestion

__all__ = ["AccessChanges", "AccessDetails", "AccessQuestion", "Content", "NewAccess", "NewObject"]


class Content(ContentKeeping):
    """Objects found, made, changed, shared, handed over, removed, and asked about."""
