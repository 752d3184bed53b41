"""Forms of pages: strict parsing, and redisplay with the typed values and their problems.

A form is a Struct, declared and read like the body of an API request (formats/fields.py), one class per page:

    class Registration(PageForm):
        first_name: Line | None = None
        …

An empty field counts as not sent, because browsers send every field. Typed values are shown again, except passwords.
Every form contains `csrf`; `token` and `locale` are sent where a link or a chosen language needs them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.types import Receive, Scope

from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.formats.field_types import Kind, Locale, Token, ValueRefused, read_text
from latchstring.formats.fields import Body, Reading, collect, refuse_unknown
from latchstring.http.body import read_bytes
from latchstring.http.scope import find_header

MAX_FORM_SIZE = 32 * 1024
MAX_FIELDS = 32
TICKED = "yes"
SECRETS = frozenset({"password", "csrf", "token"})
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class PageForm(Body):
    """The fields of every form of a page.

    repeated: names that may be sent several times, for checkboxes; their fields are tuples.
    largest, max_fields: the limits of bytes and pairs.
    """

    repeated: ClassVar[frozenset[str]] = frozenset()
    largest: ClassVar[int] = MAX_FORM_SIZE
    max_fields: ClassVar[int] = MAX_FIELDS

    csrf: str = ""
    token: Token | None = None
    locale: Locale | None = None


F = TypeVar("F", bound=PageForm)


def _read_tick(value: object) -> bool:
    if read_text(value) != TICKED:
        raise ValueRefused("invalid-type", "Tick the box, or leave it.")
    return True


Tick = Annotated[bool, Kind(_read_tick, {"type": "string", "enum": [TICKED]})]


@dataclass(frozen=True, slots=True)
class FormProblem:
    """A problem of one field; the page has a text for its code."""

    field: str
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FormState:
    """A form as a page shows it: the values of its fields and all problems."""

    typed: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[FormProblem, ...] = ()
    ticked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """The value of the field; empty for passwords and tokens."""
        return "" if name in SECRETS else self.typed.get(name, "")

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a repeated field."""
        return self.ticked.get(name, ())

    def problem(self, name: str) -> FormProblem | None:
        """The first problem of the field."""
        return next((problem for problem in self.problems if problem.field == name), None)


@dataclass(frozen=True, slots=True)
class SentForm(Generic[F]):
    """A form of a request."""

    typed: Mapping[str, str]
    reading: Reading[F]
    ticked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The valid value of a field by its name in Python, or None."""
        return self.reading.get(name)

    @property
    def token(self) -> str:
        """The token of the link that the form belongs to; empty if it was not sent."""
        return self.typed.get("token", "")

    def finish(self) -> F:
        """Every value. Raises InvalidFields."""
        return self.reading.finish()

    def refused(self, error: InvalidFields, *, also: Iterable[FieldProblem] = ()) -> FormState:
        """The form with its problems: at most one per field, in the order of the form."""
        order = {name: index for index, name in enumerate(self.typed)}
        problems_by_field: dict[str, FormProblem] = {}
        for problem in (*error.errors, *also):
            name = _FIELD_OF_POINTER.get(problem.pointer, problem.pointer.lstrip("/"))
            problems_by_field.setdefault(name, FormProblem(name, problem.code, problem.detail))
        problems = sorted(problems_by_field.values(), key=lambda problem: order.get(problem.field, len(order)))
        return FormState(self.typed, tuple(problems), self.ticked)

    def with_problem(self, name: str, code: str, detail: str = "") -> FormState:
        """The form with this problem only."""
        return replace(self.as_typed(), problems=(FormProblem(name, code, detail),))

    def as_typed(self) -> FormState:
        """The form as it was typed, for buttons that only change the form."""
        return FormState(self.typed, (), self.ticked)


_FIELD_OF_POINTER = {"/newPassword": "password"}


async def read_form(scope: Scope, receive: Receive, form: type[F]) -> SentForm[F]:
    """Read the form of a POST. Raises Unreadable for an unexpected media type, size, field or encoding."""
    media_type, _, _ = (find_header(scope, b"content-type") or b"").partition(b";")
    if media_type.strip().lower() != b"application/x-www-form-urlencoded":
        raise Unreadable("Send the form as the page does.", code="unsupported-media-type")
    pairs = _parse(await read_bytes(scope, receive, largest=form.largest), max_fields=form.max_fields)
    typed = {name: value for name, value in pairs if name not in form.repeated}
    ticked = {name: tuple(value for key, value in pairs if key == name) for name in form.repeated}
    if len(typed) + sum(map(len, ticked.values())) != len(pairs):
        raise Unreadable("The form has the same field twice.", code="duplicate-key")
    refuse_unknown(typed, form)
    filled: dict[str, object] = {name: value for name, value in typed.items() if value.strip()}
    filled |= {name: [value for value in values if value.strip()] for name, values in ticked.items() if values}
    return SentForm(typed, collect(filled, form), ticked)


def _parse(body: bytes, *, max_fields: int) -> list[tuple[str, str]]:
    """Parse a urlencoded body strictly: complete escapes, UTF-8, no NUL. Raises Unreadable."""
    encoded = [part for part in body.split(b"&") if part]
    if len(encoded) > max_fields or _BROKEN_ESCAPE.search(body):
        raise Unreadable("The form cannot be read.")
    try:
        pairs = [(_decode(name), _decode(value)) for name, _, value in (part.partition(b"=") for part in encoded)]
    except UnicodeDecodeError:
        raise Unreadable("The form is not UTF-8.") from None
    if any("\x00" in value for _, value in pairs):
        raise Unreadable("The form has a NUL character.")
    return pairs


def _decode(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
