"""Prefix search from an index on both databases: a range of canonical text, because a bound LIKE uses no index."""

import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam

from latchstring.storage.engine.types import CanonicalText

_GREATEST = "\U0010ffff"  # sorts after every character of a text, byte by byte


def fold_name(name: str) -> str:
    """Normalize a name for search: NFC and case folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def prefix_end(prefix: str) -> str:
    """Return the end of the range of texts that start with a prefix."""
    return prefix + _GREATEST


def starts_with(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a text starts with the value bound as `name`. Bind `prefix_values`."""
    return and_(column >= bindparam(name, type_=CanonicalText), column < bindparam(f"{name}_end", type_=CanonicalText))


def prefix_values(name: str, text: str | None) -> dict[str, str | None]:
    """Return the values of `starts_with`; None without a search."""
    return {name: text, f"{name}_end": None if text is None else prefix_end(text)}
