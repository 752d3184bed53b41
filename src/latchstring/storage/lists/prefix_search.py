"""Prefix search that both databases answer from an index: a range over canonical text, since a bound LIKE cannot."""

import unicodedata

_GREATEST = "\U0010ffff"  # sorts after every character that text has, byte by byte


def fold_name(name: str) -> str:
    """A name as it is searched: composed, without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def prefix_end(prefix: str) -> str:
    """The end of the range of texts that begin with this one."""
    return prefix + _GREATEST
