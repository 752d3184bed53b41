"""What the lists of the panel share: the order, where a page begins, and the addresses of its links."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.domain.errors import Unreadable
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.formats.field_types import ValueRefused, read_uuid

AFTER = "after"
PAGE_SIZE = 25
LONGEST_SEARCH = 254
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class PageLinks:
    """The addresses of the pages before and after this one; nothing where there is none."""

    previous: str
    following: str


def searched(panel: Panel, name: str = "q") -> str:
    """What is searched for. What no index could hold is never looked for: PostgreSQL refuses NUL."""
    text = panel.query_value(name).strip()[:LONGEST_SEARCH]
    return text if "\x00" not in text else ""


def sort_order_of(panel: Panel, orders: Mapping[str, bool], otherwise: str) -> SortOrder:
    """The order asked for: `name`, or `-name` for descending. orders: each with whether it begins descending."""
    order = SortOrder.parse(panel.query_value("sort") or otherwise)
    return order if order.by in orders else SortOrder.parse(otherwise)


def cursor_of(panel: Panel, within: str, *, name: str = AFTER) -> Cursor | None:
    """Where the page begins; at the beginning for a cursor that is not ours, or of another order."""
    try:
        return read_cursor(panel.services.keyring, f"panel:{within}", panel.query_value(name) or None)
    except Unreadable:
        return None


def cursor_text(panel: Panel, within: str, cursor: Cursor) -> str:
    """A cursor as addresses carry it."""
    return make_cursor(panel.services.keyring, f"panel:{within}", cursor)


def page_links(panel: Panel, within: str, page: Page[Any], *, name: str = AFTER) -> PageLinks:
    """The addresses of the first page, unless this is it, and of the next one."""
    previous = address(panel, **{name: None}) if panel.query_value(name) else ""
    following = "" if page.next is None else address(panel, **{name: cursor_text(panel, within, page.next)})
    return PageLinks(previous, following)


def address(panel: Panel, **changes: str | None) -> str:
    """The page with some of its query changed; None leaves a parameter out."""
    unchanged = [(name, value) for name, value in panel.query if name not in changes and value]
    query = urlencode([*unchanged, *((name, value) for name, value in changes.items() if value)])
    return f"{panel.path}?{query}" if query else panel.path


def id_in(text: str) -> UUID:
    """An id as a stranger wrote it; the nil UUID, which nothing has, for anything else."""
    try:
        return read_uuid(text)
    except ValueRefused:
        return NOBODY
