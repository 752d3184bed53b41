"""The optional terms of an invitation, each declared once.

The draft, the invitation and the template inherit these fields. JSON bodies, rows of an import and forms have them as
`formats/terms.py`, and storage copies them by `terms_of`. A new field is added here first; `docs/architecture.md` says
where else, and `tests/contract/test_terms.py` fails where it was forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTerms:
    """The terms that a template may set for many invitations. locale: a language tag."""

    message: str | None = None
    locale: str | None = None
    redirect_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms(SharedTerms):
    """All optional terms of one invitation. metadata: the app's own data."""

    first_name: str | None = None
    last_name: str | None = None
    metadata: Mapping[str, object] | None = None


SHARED_TERM_NAMES = tuple(field.name for field in fields(SharedTerms))
TERM_NAMES = tuple(field.name for field in fields(Terms))
# Erasing a person removes every term except these, which say nothing about them.
IMPERSONAL_TERM_NAMES = frozenset({"locale", "redirect_url"})

_read_terms = attrgetter(*TERM_NAMES)
_read_shared_terms = attrgetter(*SHARED_TERM_NAMES)


def terms_of(source: Any) -> dict[str, Any]:
    """The terms by name. source: anything with an attribute for each: a draft, an invitation, a database row."""
    return dict(zip(TERM_NAMES, _read_terms(source), strict=True))


def shared_terms_of(source: Any) -> dict[str, Any]:
    """The same for the terms that a template has."""
    return dict(zip(SHARED_TERM_NAMES, _read_shared_terms(source), strict=True))
