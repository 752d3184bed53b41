"""Content objects: who may see and change what."""

from latchstring.content.changing import ContentChanging, NewAccess, NewObject
from latchstring.content.reading import AccessDetails, AccessQuestion

__all__ = ["AccessDetails", "AccessQuestion", "Content", "NewAccess", "NewObject"]


class Content(ContentChanging):
    """Objects found, made, changed, shared, handed over, removed, and asked about."""
