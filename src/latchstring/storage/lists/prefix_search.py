"""Prefix search that both databases answer from an index: a range over canonical text, since a bound LIKE cannot."""

import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam

from latchstring.storage.engine.types import CanonicalText

_GREATEST = "\U0010ffff"  # sorts after every character that text has, byte by byte


def fold_name(name: str) -> str:
    """A name as it is searched: composed, without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def prefix_end(prefix: str) -> str:
    """The end of the range of texts that begin with this one."""
    return prefix + _GREATEST


def starts_with(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a text starts with the value bound under this name. Bind `prefix_values`."""
    return and_(column >= bindparam(name, type_=CanonicalText), column < bindparam(f"{name}_end", type_=CanonicalText))


def prefix_values(name: str, text: str | None) -> dict[str, str | None]:
    """The values of `starts_with`; None where nothing is searched for."""
    return {name: text, f"{name}_end": None if text is None else prefix_end(text)}
