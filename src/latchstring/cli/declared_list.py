"""Reads a declared list of invitations from YAML or CSV, with the field rules of the API and line or row numbers."""

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

TOP_LEVEL_KEYS = ("list", "invitations")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A problem on a line of the file. field: its name in the file, empty for the whole entry."""

    line: int
    field: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class EntryLocation:
    """The line of an entry, and the lines of its fields."""

    line: int
    fields: Mapping[str, int] = field(default_factory=dict)

    def problem_at(self, pointer: str, code: str, detail: str) -> FileProblem:
        """A problem of the entry. pointer: relative to the entry, such as `/role`."""
        name = pointer.lstrip("/").replace("/", ".")
        return FileProblem(self.fields.get(name.partition(".")[0], self.line), name, code, detail)


@dataclass(frozen=True, slots=True)
class DeclaredList:
    """A valid list: its name if it has one, and its entries with their locations.

    unit: what locations count, `line` of the file or `row` below the header.
    """

    name: str | None
    drafts: tuple[Draft, ...]
    locations: tuple[EntryLocation, ...]
    unit: str = "line"

    def named(self, name: str | None) -> "DeclaredList":
        """The list with this name."""
        return replace(self, name=name)

    def problem_of(self, error: FieldProblem) -> FileProblem:
        """A problem of the service, with a pointer such as `/3/role`, as a problem of the file."""
        index, _, rest = error.pointer.lstrip("/").partition("/")
        return self.locations[int(index)].problem_at(f"/{rest}", error.code, error.detail)


class ListRefused(Exception):
    """The file is invalid. problems: all of them, by line or by row."""

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
    problems = list(_find_structure_problems(root))
    if problems or not isinstance(root.value, dict):
        raise ListRefused(problems)
    name = _read_name(root.value.get("list"), problems)
    entries = root.value["invitations"].value
    nodes = entries if isinstance(entries, list) else []
    return _build_list(name, [_read_entry(node) for node in nodes], problems)


def _find_structure_problems(root: YamlNode) -> Iterator[FileProblem]:
    if not isinstance(root.value, dict):
        yield FileProblem(root.line, "", "unreadable", "Begin with `invitations:` and one entry with - for each.")
        return
    for key, node in root.value.items():
        if key not in TOP_LEVEL_KEYS:
            yield FileProblem(node.line, key, "unknown-field", "There is no such key. Known here: list, invitations.")
    entries = root.value.get("invitations")
    if entries is None:
        yield FileProblem(root.line, "invitations", "required", "Write `invitations:` and one entry with - for each.")
    elif not isinstance(entries.value, list):
        yield FileProblem(entries.line, "invitations", "invalid-type", "Write one entry with - for each; [] for none.")


def _read_name(node: YamlNode | None, problems: list[FileProblem]) -> str | None:
    if node is None or node.is_null:
        return None
    try:
        return read_key(node.to_texts())
    except ValueRefused as refused:
        problems.append(FileProblem(node.line, "list", refused.code, refused.detail))
        return None


def _read_entry(node: YamlNode) -> tuple[EntryLocation, object]:
    if not isinstance(node.value, dict):
        return EntryLocation(node.line), None
    lines = {key: value.line for key, value in node.value.items()}
    values = {
        key: value for key, value in node.value.items() if not value.is_null
    }  # a key without a value counts as absent
    raw = {key: value.to_json() if key == "metadata" else value.to_texts() for key, value in values.items()}
    if isinstance(raw.get("content"), list):
        raw["content"] = [_expand_grant(item) for item in raw["content"]]
    return EntryLocation(node.line, lines), raw


def _expand_grant(item: object) -> object:
    """Turn the short form `articles/handbook:VIEWER` into an object with three fields."""
    grant = parse_content_grant(item) if isinstance(item, str) else None
    return dict(zip(("contentType", "key", "role"), grant, strict=True)) if grant else item


def _build_list(
    name: str | None, entries: Sequence[tuple[EntryLocation, object]], problems: list[FileProblem]
) -> DeclaredList:
    """Validate the entries and build the list. Raises ListRefused with `problems` and those of all entries."""
    drafts = []
    for location, raw in entries:
        if not isinstance(raw, dict):
            problems.append(
                location.problem_at("", "invalid-type", "Write fields, such as `inviteEmail: ada@example.org`.")
            )
            continue
        unknown = [name for name in raw if name not in COLUMNS]
        known = ", ".join(COLUMNS)
        problems += [
            location.problem_at(f"/{name}", "unknown-field", f"There is no field {name}. Known: {known}.")
            for name in unknown
        ]
        form = collect(raw, NewInvitation)
        problems += [location.problem_at(p.pointer, p.code, p.detail) for p in form.problems]
        if not unknown and not form.problems:
            drafts.append(draft_of(form))
    if problems:
        raise ListRefused(problems)
    return DeclaredList(name, tuple(drafts), tuple(location for location, _ in entries))


# ---- CSV -------------------------------------------------------------------------------------------------------------


def read_csv_list(data: bytes) -> DeclaredList:
    """The list of a CSV file with a header row. A CSV file contains no name. Raises ListRefused."""
    sheet = CsvRows()
    try:
        rows = sheet.feed(data, final=True)
    except Unreadable as error:
        raise ListRefused([FileProblem(0, "", error.code, error.detail)], "row") from None
    except InvalidFields as error:
        raise ListRefused([FileProblem(0, "", p.code, p.detail) for p in error.errors], "row") from None
    drafts, locations, problems = [], [], list[FileProblem]()
    for number, cells in enumerate(rows, 1):
        location, result = EntryLocation(number), read_row(cells, sheet.options)
        problems += [location.problem_at(p.pointer, p.code, p.detail) for p in result.problems]
        if result.draft is not None and not result.problems:
            drafts.append(result.draft)
            locations.append(location)
    if problems:
        raise ListRefused(problems, "row")
    return DeclaredList(None, tuple(drafts), tuple(locations), "row")
