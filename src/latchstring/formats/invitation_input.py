"""Reading invitations: the body of a create, a row of an upload, a line of a spreadsheet."""

import re
from collections.abc import Mapping, Sequence

from latchstring.domain.draft import Draft, ImportRow
from latchstring.domain.errors import FieldProblem, Unreadable
from latchstring.formats.content_grants import ContentRoleName, split_content_grant
from latchstring.formats.field_types import Duration, Email, Key, Line, Locale, Message, Metadata, Url
from latchstring.formats.fields import Body, Reading, collect, escape, refuse_unknown
from latchstring.formats.strict_json import parse_json
from latchstring.formats.terms import read_terms

EMPTY = ((), "")


class ContentGrant(Body):
    """A right on one content object."""

    content_type: Key
    key: Key
    role: ContentRoleName


class NewInvitation(Body):
    """Whom to invite to what. At least one of role, groups and content, stated or by the template.

    template: its terms hold wherever the body states none; what is stated replaces, lists are not merged. An empty
    list or text is a statement, null is not.
    """

    invite_email: Email
    role: Key | None = None
    groups: tuple[Key, ...] = ()
    content: tuple[ContentGrant, ...] = ()
    first_name: Line | None = None
    last_name: Line | None = None
    message: Message | None = None
    locale: Locale | None = None
    expires_in: Duration | None = None
    metadata: Metadata | None = None
    redirect_url: Url | None = None
    template: Key | None = None


def draft_of(reading: Reading[NewInvitation]) -> Draft:
    """The fields that could be read. The service checks the rules and reports all problems together."""
    email = reading.get("invite_email")
    return Draft(
        email=email.email if email else "",
        email_key=email.email_key if email else "",
        role=reading.get("role"),
        groups=reading.get("groups") or (),
        content=tuple((grant.content_type, grant.key, grant.role) for grant in reading.get("content") or ()),
        expires_in=reading.get("expires_in"),
        template=reading.get("template"),
        emptied=frozenset(name for name, value in reading.values.items() if value in EMPTY),
        **read_terms(reading),
    )


# ---- rows of an upload------------------------------------------------------------------------------------------------

LISTS = frozenset({"groups", "content"})
COLUMNS = tuple(sorted(NewInvitation.__struct_encode_fields__))
BLANKS = " \t\r\n\v\f\u00a0\u200b\ufeff"  # exports leave them around values
_QUOTED_FORMULA = re.compile(r"'[=+@\t\r\n\-＝＋－＠]")  # as our reports write them


def read_row(row: object, options: Mapping[str, object]) -> ImportRow:
    """One row: an object with the fields of a create, or a list of cells whose columns the options name."""
    columns = options.get("columns")
    if isinstance(columns, list) and isinstance(row, list):
        return _read_cells(row, columns, options)
    if not isinstance(row, dict):
        return _unreadable(FieldProblem("", "invalid-type", "Send a JSON object for each row."), None)
    return _read_object(row, ())


def _read_object(raw: dict[str, object], problems: Sequence[FieldProblem]) -> ImportRow:
    typed = raw.get("inviteEmail")
    email = escape(typed)[:320] if isinstance(typed, str) and typed else None
    try:
        refuse_unknown(raw, NewInvitation)
    except Unreadable as error:
        return _unreadable(FieldProblem("", error.code, error.detail), email)
    reading = collect(raw, NewInvitation)
    reported = {problem.pointer for problem in problems}
    other_problems = (problem for problem in reading.problems if problem.pointer not in reported)
    return ImportRow(draft_of(reading), (*problems, *other_problems), email)


def _unreadable(problem: FieldProblem, email: str | None) -> ImportRow:
    return ImportRow(None, (problem,), email)


def _read_cells(cells: Sequence[object], columns: Sequence[object], options: Mapping[str, object]) -> ImportRow:
    """A line of a spreadsheet. An empty cell counts as not sent.

    Options: `names` maps the names of roles and groups, casefolded, to keys; `everybody` has values for every row that
    does not state its own.
    """
    texts = [clean_cell(str(cell)) for cell in cells]
    raw: dict[str, object] = {}
    problems: list[FieldProblem] = []
    for name, text in zip(columns, texts, strict=False):
        if isinstance(name, str) and text:
            raw[name] = _value_of(name, text, problems)
    if any(texts[len(columns) :]):
        detail = f"This row has more cells than the header has columns ({len(columns)})."
        problems.append(FieldProblem("/row", "too-many-cells", detail))
    raw = _table(options, "everybody") | {name: value for name, value in raw.items() if value is not None}
    _use_keys(raw, _table(options, "names"))
    return _read_object(raw, problems)


def _table(options: Mapping[str, object], name: str) -> dict[str, object]:
    options_ = options.get(name)
    return dict(options_) if isinstance(options_, dict) else {}


def _use_keys(raw: dict[str, object], names: Mapping[str, object]) -> None:
    """Replace names of roles and groups by their keys."""
    roles, groups = names.get("roles"), names.get("groups")
    if isinstance(roles, dict) and isinstance(raw.get("role"), str):
        raw["role"] = roles.get(str(raw["role"]).casefold(), raw["role"])
    if isinstance(groups, dict) and isinstance(raw.get("groups"), list):
        raw["groups"] = [groups.get(str(name).casefold(), name) for name in raw["groups"]]  # type: ignore[attr-defined]


def clean_cell(text: str) -> str:
    """The text without blanks around it, and without the apostrophe that stops a spreadsheet from calculating."""
    text = text.strip(BLANKS)
    return text[1:] if _QUOTED_FORMULA.match(text) else text


def _value_of(name: str, text: str, problems: list[FieldProblem]) -> object:
    if name == "metadata":
        return _metadata(text, problems)
    if name not in LISTS:
        return text
    items = [item for part in re.split(r"[;\n]", text) if (item := part.strip(BLANKS))]
    return items if name == "groups" else _content(items, problems)


def _metadata(text: str, problems: list[FieldProblem]) -> object:
    try:
        return parse_json(text.encode())
    except Unreadable as error:
        problems.append(FieldProblem("/metadata", "invalid-json", error.detail))
        return None


def _content(items: Sequence[str], problems: list[FieldProblem]) -> object:
    grants = []
    for item in items:
        grant = split_content_grant(item)
        if grant is None:
            detail = f"Write each object as type/key:ROLE, not {escape(item)}."
            problems.append(FieldProblem("/content", "invalid-content", detail))
            return None
        grants.append(dict(zip(("contentType", "key", "role"), grant, strict=True)))
    return grants
