"""Sort order, cursors and links of the lists in the panel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.crypto.cursors import make_cursor, read_cursor
from latchstring.domain.errors import Unreadable
from latchstring.domain.ids import NIL_ID
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.formats.field_types import ValueRefused, read_uuid

AFTER = "after"
PAGE_SIZE = 25
MAX_SEARCH_LENGTH = 254


@dataclass(frozen=True, slots=True)
class PageLinks:
    """The URLs of the previous and the next page; empty if there is none."""

    previous: str
    following: str


def read_search(panel: Panel, name: str = "q") -> str:
    """The search text of a query parameter; empty for a text with NUL, which PostgreSQL refuses."""
    text = panel.query_value(name).strip()[:MAX_SEARCH_LENGTH]
    return text if "\x00" not in text else ""


def read_sort_order(panel: Panel, orders: Mapping[str, bool], default: str) -> SortOrder:
    """The requested order: `name`, or `-name` for descending. orders: each name, and whether it starts descending."""
    order = SortOrder.parse(panel.query_value("sort") or default)
    return order if order.by in orders else SortOrder.parse(default)


def cursor_of(panel: Panel, within: str, *, name: str = AFTER) -> Cursor | None:
    """The cursor of the requested page; None, the first page, for an invalid cursor or one of another order."""
    try:
        return read_cursor(panel.services.keyring, f"panel:{within}", panel.query_value(name) or None)
    except Unreadable:
        return None


def format_cursor(panel: Panel, within: str, cursor: Cursor) -> str:
    """Encode a cursor for a URL."""
    return make_cursor(panel.services.keyring, f"panel:{within}", cursor)


def build_page_links(panel: Panel, within: str, page: Page[Any], *, name: str = AFTER) -> PageLinks:
    """Build the links to the first page, unless this is it, and to the next page."""
    previous = address(panel, **{name: None}) if panel.query_value(name) else ""
    following = "" if page.next is None else address(panel, **{name: format_cursor(panel, within, page.next)})
    return PageLinks(previous, following)


def address(panel: Panel, **changes: str | None) -> str:
    """The URL of this page with changed query parameters; None removes a parameter."""
    unchanged = [(name, value) for name, value in panel.query if name not in changes and value]
    query = urlencode([*unchanged, *((name, value) for name, value in changes.items() if value)])
    return f"{panel.path}?{query}" if query else panel.path


def parse_id(text: str) -> UUID:
    """Parse an id from a request; the nil UUID, which no object has, if it is invalid."""
    try:
        return read_uuid(text)
    except ValueRefused:
        return NIL_ID
