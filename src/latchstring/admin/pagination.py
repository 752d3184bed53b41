"""What the lists of groups, users, objects and keys share: where a page begins, and the addresses of its links."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.domain.errors import Unreadable
from latchstring.domain.keyset_page import Place, Sorting
from latchstring.formats.field_types import ValueRefused, read_uuid

AFTER = "after"
PAGE_SIZE = 25
LONGEST_SEARCH = 254
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Where the pages before and after this one are; nothing where there is none."""

    previous: str
    following: str


def searched(panel: Panel, name: str = "q") -> str:
    """What is searched for. What no index could hold is never looked for: PostgreSQL refuses NUL."""
    text = panel.query_value(name).strip()[:LONGEST_SEARCH]
    return text if "\x00" not in text else ""


def sorting_of(panel: Panel, orders: Mapping[str, bool], otherwise: str) -> Sorting:
    """The order asked for: `name`, or `-name` for descending. orders: each with whether it begins descending."""
    asked = panel.query_value("sort") or otherwise
    by = asked.removeprefix("-")
    if by not in orders:
        return sorting_of_text(otherwise)
    return sorting_of_text(asked)


def sorting_of_text(text: str) -> Sorting:
    return Sorting(text.removeprefix("-"), descending=text.startswith("-"))


def text_of(sorting: Sorting) -> str:
    """An order as addresses say it."""
    return f"-{sorting.by}" if sorting.descending else sorting.by


def place_of(panel: Panel, within: str) -> Place | None:
    """Where the page begins; at the beginning for a cursor that is not ours, or of another order."""
    found = position_of(panel, within)
    return None if found is None else Place(UUID(str(found[0])), None if found[1] is None else str(found[1]))


def position_of(panel: Panel, within: str, *, name: str = AFTER) -> list[object] | None:
    """What the cursor in the address holds."""
    try:
        return read_cursor(panel.services.keyring, f"panel:{within}", panel.query_value(name) or None)
    except Unreadable:
        return None


def leaves(panel: Panel, within: str, following: Place | None) -> Leaves:
    """The addresses of the pages around this one."""
    return leaves_at(panel, within, None if following is None else [str(following.id), following.text])


def leaves_at(panel: Panel, within: str, position: list[object] | None, *, name: str = AFTER) -> Leaves:
    """The same for a list with positions of its own."""
    previous = address(panel, **{name: None}) if panel.query_value(name) else ""
    if position is None:
        return Leaves(previous, "")
    cursor = make_cursor(panel.services.keyring, f"panel:{within}", position)
    return Leaves(previous, address(panel, **{name: cursor}))


def address(panel: Panel, **changes: str | None) -> str:
    """The page with some of its query changed; None leaves a parameter out."""
    kept = [(name, value) for name, value in panel.query if name not in changes and value]
    query = urlencode([*kept, *((name, value) for name, value in changes.items() if value)])
    return f"{panel.path}?{query}" if query else panel.path


def id_in(text: str) -> UUID:
    """An id as a stranger wrote it; the nil UUID, which nothing has, for anything else."""
    try:
        return read_uuid(text)
    except ValueRefused:
        return NOBODY
