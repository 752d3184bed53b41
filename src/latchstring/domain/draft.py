"""An invitation as it was requested, before the rules are checked."""

from dataclasses import dataclass
from datetime import timedelta

from latchstring.domain.errors import FieldProblem
from latchstring.domain.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Terms):
    """An invitation as it was requested. Texts are clean and the address is canonical; the rules are not checked yet.

    content: type, key and role of each object. template: its terms are used for what is not stated. emptied: fields
    that are empty on purpose, which a template must not fill.
    """

    email: str
    email_key: str
    role: str | None = None
    groups: tuple[str, ...] = ()
    content: tuple[tuple[str, str, str], ...] = ()
    expires_in: timedelta | None = None
    template: str | None = None
    emptied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row of an import. draft: what could be read; None if nothing could. email: the address as it was written."""

    draft: Draft | None
    problems: tuple[FieldProblem, ...]
    email: str | None
