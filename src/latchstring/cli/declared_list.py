"""Reading a declared list of invitations: YAML with lines, or CSV with rows, by the rules of the API's fields."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from latchstring.cli.yaml_file import YamlNode, YamlRefused, read_yaml
from latchstring.domain.draft import Draft
from latchstring.domain.errors import FieldProblem, InvalidFields, Unreadable
from latchstring.formats.content_grants import parse_content_grant
from latchstring.formats.csv_rows import CsvRows
from latchstring.formats.field_types import ValueRefused, read_key
from latchstring.formats.fields import collect
from latchstring.formats.invitation_input import COLUMNS, NewInvitation, draft_of, read_row

TOP = ("list", "invitations")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong on a line of the file. field: as the file names it; empty for the whole entry."""

    line: int
    field: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class EntryLocation:
    """Where an entry stands: its own line, and those of its fields."""

    line: int
    fields: Mapping[str, int] = field(default_factory=dict)

    def problem(self, pointer: str, code: str, detail: str) -> FileProblem:
        """A problem of the entry. pointer: from the entry on, such as `/role`."""
        name = pointer.lstrip("/").replace("/", ".")
        return FileProblem(self.fields.get(name.partition(".")[0], self.line), name, code, detail)


@dataclass(frozen=True, slots=True)
class DeclaredList:
    """A list that could be read: its name, if it says one, and its entries with their locations.

    unit: what locations count, lines of the file or rows below the header.
    """

    name: str | None
    drafts: tuple[Draft, ...]
    locations: tuple[EntryLocation, ...]
    unit: str = "line"

    def named(self, name: str | None) -> "DeclaredList":
        """The same list under this name."""
        return replace(self, name=name)

    def problem_of(self, error: FieldProblem) -> FileProblem:
        """A problem the service told, `/3/role`, as one of the file."""
        index, _, rest = error.pointer.lstrip("/").partition("/")
        return self.locations[int(index)].problem(f"/{rest}", error.code, error.detail)


class ListRefused(Exception):
    """The file cannot be used. Everything that is wrong with it, by line or by row."""

    def __init__(self, problems: Sequence[FileProblem], unit: str = "line") -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)
        self.unit = unit


# ---- YAML ------------------------------------------------------------------------------------------------------------


def read_yaml_list(data: bytes) -> DeclaredList:
    """The list of a YAML file. Raises ListRefused."""
    try:
        root = read_yaml(data)
    except YamlRefused as refused:
        raise ListRefused([FileProblem(refused.line, "", "unreadable", refused.detail)]) from None
    problems = list(_wrong_top(root))
    if problems or not isinstance(root.value, dict):
        raise ListRefused(problems)
    name = _list_name(root.value.get("list"), problems)
    listed = root.value["invitations"].value
    nodes = listed if isinstance(listed, list) else []
    return _finish(name, [_entry_of(node) for node in nodes], problems)


def _wrong_top(root: YamlNode) -> Iterator[FileProblem]:
    if not isinstance(root.value, dict):
        yield FileProblem(root.line, "", "unreadable", "Begin with `invitations:` and one entry with - for each.")
        return
    for key, node in root.value.items():
        if key not in TOP:
            yield FileProblem(node.line, key, "unknown-field", "There is no such key. Known here: list, invitations.")
    listed = root.value.get("invitations")
    if listed is None:
        yield FileProblem(root.line, "invitations", "required", "Write `invitations:` and one entry with - for each.")
    elif not isinstance(listed.value, list):
        yield FileProblem(listed.line, "invitations", "invalid-type", "Write one entry with - for each; [] for nobody.")


def _list_name(node: YamlNode | None, problems: list[FileProblem]) -> str | None:
    if node is None or node.is_null:
        return None
    try:
        return read_key(node.texts())
    except ValueRefused as refused:
        problems.append(FileProblem(node.line, "list", refused.code, refused.detail))
        return None


def _entry_of(node: YamlNode) -> tuple[EntryLocation, object]:
    if not isinstance(node.value, dict):
        return EntryLocation(node.line), None
    lines = {key: value.line for key, value in node.value.items()}
    given = {key: value for key, value in node.value.items() if not value.is_null}  # a bare `message:` says nothing
    raw = {key: value.plain() if key == "metadata" else value.texts() for key, value in given.items()}
    if isinstance(raw.get("content"), list):
        raw["content"] = [_grant(item) for item in raw["content"]]
    return EntryLocation(node.line, lines), raw


def _grant(item: object) -> object:
    """`articles/handbook:VIEWER` as the object it is short for."""
    grant = parse_content_grant(item) if isinstance(item, str) else None
    return dict(zip(("contentType", "key", "role"), grant, strict=True)) if grant else item


def _finish(
    name: str | None, entries: Sequence[tuple[EntryLocation, object]], problems: list[FileProblem]
) -> DeclaredList:
    """The list of entries, each with its location. Raises ListRefused with the problems so far and all that come."""
    drafts = []
    for location, raw in entries:
        if not isinstance(raw, dict):
            problems.append(
                location.problem("", "invalid-type", "Write fields, such as `inviteEmail: ada@example.org`.")
            )
            continue
        unknown = [name for name in raw if name not in COLUMNS]
        known = ", ".join(COLUMNS)
        problems += [
            location.problem(f"/{name}", "unknown-field", f"There is no field {name}. Known: {known}.")
            for name in unknown
        ]
        reading = collect(raw, NewInvitation)
        problems += [location.problem(p.pointer, p.code, p.detail) for p in reading.problems]
        if not unknown and not reading.problems:
            drafts.append(draft_of(reading))
    if problems:
        raise ListRefused(problems)
    return DeclaredList(name, tuple(drafts), tuple(location for location, _ in entries))


# ---- CSV -------------------------------------------------------------------------------------------------------------


def read_csv_list(data: bytes) -> DeclaredList:
    """The list of a CSV file with a header row. It has no name of its own. Raises ListRefused."""
    sheet = CsvRows()
    try:
        rows = sheet.feed(data, final=True)
    except Unreadable as error:
        raise ListRefused([FileProblem(0, "", error.code, error.detail)], "row") from None
    except InvalidFields as error:
        raise ListRefused([FileProblem(0, "", p.code, p.detail) for p in error.errors], "row") from None
    drafts, locations, problems = [], [], list[FileProblem]()
    for number, cells in enumerate(rows, 1):
        location, read = EntryLocation(number), read_row(cells, sheet.options)
        problems += [location.problem(p.pointer, p.code, p.detail) for p in read.problems]
        if read.draft is not None and not read.problems:
            drafts.append(read.draft)
            locations.append(location)
    if problems:
        raise ListRefused(problems, "row")
    return DeclaredList(None, tuple(drafts), tuple(locations), "row")
