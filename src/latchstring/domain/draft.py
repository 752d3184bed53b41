"""An invitation that somebody asks for, before the rules are checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from latchstring.domain.errors import FieldProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An invitation somebody asks for. Texts are clean and the address is canonical; the rules are still to judge.

    template: its terms are taken wherever nothing is stated. emptied: fields that are empty on purpose, which a
    template must not fill.
    """

    email: str
    email_key: str
    role: str | None = None
    groups: tuple[str, ...] = ()
    content: tuple[tuple[str, str, str], ...] = ()  # type, key, role
    first_name: str | None = None
    last_name: str | None = None
    message: str | None = None
    locale: str | None = None
    expires_in: timedelta | None = None
    metadata: Mapping[str, object] | None = None
    redirect_url: str | None = None
    template: str | None = None
    emptied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row of many. draft: what could be read of it; None when nothing could. email: what stood there as the address,
    shown when it is none.
    """

    draft: Draft | None
    problems: tuple[FieldProblem, ...]
    email: str | None
