"""The audit log: events with actor, time and subject. Read-only."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.pagination import address, cursor_of, format_cursor
from latchstring.admin.routing import get
from latchstring.domain.actor import ActorType
from latchstring.domain.ids import id_instant
from latchstring.domain.pagination import Cursor, Page
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter
from latchstring.events.catalogue import CATALOGUE
from latchstring.http.responses import Answer
from latchstring.http.streams import csv_answer

READ = "audit:read"
LOG = "/admin/audit"
WITHIN = "audit"
FILTERS = ("actor", "kind", "action", "object", "since", "until")
MAX_FILTER_LENGTH = 254
_CSV_HEADER = ("at", "action", "actor type", "actor id", "actor", "object id", "object", "data", "id")


@dataclass(frozen=True, slots=True)
class Search:
    """A search as typed and as parsed. unknown: filters that match no actor or no object."""

    typed: Mapping[str, str]
    filters: AuditFilter
    unknown: tuple[str, ...]


@get(LOG, needs=READ)
async def show_log(panel: Panel) -> Answer:
    search = await _read_search(panel)
    cursor = cursor_of(panel, WITHIN, name="before") or cursor_of(panel, WITHIN)
    page = await panel.services.backoffice.audit.list(search.filters, cursor=cursor, by=panel.principal)
    no_cursor = {"before": None, "after": None}
    return panel.show(
        "system/audit_log.html",
        search=search,
        page=page,
        actions=sorted(CATALOGUE),
        kinds=[kind.value for kind in ActorType],
        facts=_facts,
        older=_link(panel, "before", page.next),
        newer=_link(panel, "after", page.previous),
        read_until=_read_until(page),
        without=lambda name: address(panel, **no_cursor | {name: None}),
        only=lambda name, value: f"{LOG}?{urlencode({name: value})}",
        export=_export_address(search.typed),
    )


def _link(panel: Panel, name: str, cursor: Cursor | None) -> str:
    """The URL of the entries before (older) or after (newer) a cursor; empty without a cursor."""
    if cursor is None:
        return ""
    return address(panel, **{"before": None, "after": None} | {name: format_cursor(panel, WITHIN, cursor)})


def _read_until(page: Page[AuditEntry]) -> datetime | None:
    """The time up to which a search was read if it stopped at the limit of a bounded scan."""
    last = page.next.key[-1] if page.is_partial and page.next is not None else None
    return id_instant(last) if isinstance(last, UUID) else None


@get(f"{LOG}/export", needs=READ)
async def export_log(panel: Panel) -> Answer:
    """All matching entries as a CSV file, read while it is sent."""
    search = await _read_search(panel)
    entries = panel.services.backoffice.audit.stream(search.filters, by=panel.principal)
    return await csv_answer(_rows(entries), f"audit-{panel.now:%Y-%m-%d}")


async def _rows(entries: AsyncIterator[AuditEntry]) -> AsyncIterator[Sequence[object]]:
    first = await anext(entries, None)  # before the header line, so that an error is answered with an error page
    yield _CSV_HEADER
    if first is not None:
        yield _cells(first)
    async for entry in entries:
        yield _cells(entry)


def _cells(entry: AuditEntry) -> Sequence[object]:
    event = entry.recorded.event
    data = json.dumps(dict(event.data), ensure_ascii=False) if event.data else ""
    subject = entry.about.label if entry.about else ""
    actor_cells = (event.actor.type.value, event.actor.id, entry.recorded.actor_name)
    return event.at, event.type, *actor_cells, event.subject_id, subject, data, event.id


async def _read_search(panel: Panel) -> Search:
    typed = {name: panel.query_value(name).strip()[:MAX_FILTER_LENGTH].replace("\x00", "") for name in FILTERS}
    audit, unknown = panel.services.backoffice.audit, []
    filters = AuditFilter(
        actor_type=ActorType(typed["kind"]) if typed["kind"] in set(ActorType) else None,
        action=typed["action"] if typed["action"] in CATALOGUE else None,
        since=_day(typed["since"]),
        until=_end_of(typed["until"]),
    )
    if typed["actor"]:
        filters = replace(filters, actors=await audit.find_actors(typed["actor"], by=panel.principal))
        unknown += ["actor"] if not filters.actors else []
    if typed["object"]:
        filters = replace(filters, objects=await audit.find_objects(typed["object"], by=panel.principal))
        unknown += ["object"] if not filters.objects else []
    return Search({name: text for name, text in typed.items() if text}, filters, tuple(unknown))


def _export_address(typed: Mapping[str, str]) -> str:
    return f"{LOG}/export?{urlencode(typed)}" if typed else f"{LOG}/export"


def _facts(data: Mapping[str, object]) -> list[tuple[str, str]]:
    """The data of an event, each value on one line."""
    return [(name, _line(value)) for name, value in data.items() if value not in (None, "", [], {})]


def _line(value: object) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _day(text: str) -> datetime | None:
    """The start of a day in UTC."""
    try:
        return datetime.fromisoformat(text).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    except ValueError:
        return None


def _end_of(text: str) -> datetime | None:
    """The end of a day, because the last day is included."""
    day = _day(text)
    try:
        return day + timedelta(days=1) if day else None
    except OverflowError:
        return None


routes = [show_log, export_log]
