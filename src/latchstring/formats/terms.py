"""The optional terms of an invitation, out of a body, a row or a form that was read."""

from typing import Any

from latchstring.domain.terms import SHARED_TERM_NAMES, TERM_NAMES
from latchstring.formats.fields import Reading


def read_terms(reading: Reading[Any]) -> dict[str, Any]:
    """The terms by name, for a draft; None for those that were not sent or could not be read."""
    return {name: reading.get(name) for name in TERM_NAMES}


def read_shared_terms(reading: Reading[Any]) -> dict[str, Any]:
    """The same for a template."""
    return {name: reading.get(name) for name in SHARED_TERM_NAMES}
