"""The optional terms of an invitation, each declared once.

The draft, the invitation and the template inherit these fields. `formats/invitation_input.py` and the forms of the
panel declare how they are read, `formats/terms.py` reads them, and storage copies them with `terms_of`. Add a new field
here first. `docs/architecture.md` lists the other places, and `tests/contract/test_terms.py` fails where the field is
missing.
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
# Erasing a person removes every term except these, which contain no personal data.
IMPERSONAL_TERM_NAMES = frozenset({"locale", "redirect_url"})

_read_terms = attrgetter(*TERM_NAMES)
_read_shared_terms = attrgetter(*SHARED_TERM_NAMES)


def terms_of(source: Any) -> dict[str, Any]:
    """Return the terms by name. source: any object with an attribute for each: draft, invitation, database row."""
    return dict(zip(TERM_NAMES, _read_terms(source), strict=True))


def shared_terms_of(source: Any) -> dict[str, Any]:
    """Return the shared terms by name."""
    return dict(zip(SHARED_TERM_NAMES, _read_shared_terms(source), strict=True))
