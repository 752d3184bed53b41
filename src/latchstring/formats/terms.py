"""Reads the optional terms of an invitation from a parsed body, row or form."""

from typing import Any

from latchstring.domain.terms import SHARED_TERM_NAMES, TERM_NAMES
from latchstring.formats.fields import Reading


def read_terms(reading: Reading[Any]) -> dict[str, Any]:
    """Return the terms of a draft by name; None for those that are missing or invalid."""
    return {name: reading.get(name) for name in TERM_NAMES}


def read_shared_terms(reading: Reading[Any]) -> dict[str, Any]:
    """Return the terms of a template by name; None for those that are missing or invalid."""
    return {name: reading.get(name) for name in SHARED_TERM_NAMES}
