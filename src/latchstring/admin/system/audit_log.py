"""The audit log: who did what, when, to what. Nothing here can be changed."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.pagination import address, cursor_of, cursor_text
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
LONGEST = 254
_HEADS = ("at", "action", "actor type", "actor id", "actor", "object id", "object", "data", "id")


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, as typed and as it was understood. unknown: filters that name nobody and nothing."""

    typed: Mapping[str, str]
    wanted: AuditFilter
    unknown: tuple[str, ...]


@get(LOG, needs=READ)
async def show_log(panel: Panel) -> Answer:
    search = await _read_search(panel)
    cursor = cursor_of(panel, WITHIN, name="before") or cursor_of(panel, WITHIN)
    page = await panel.services.backoffice.audit.list(search.wanted, cursor=cursor, by=panel.principal)
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
    """The address of the entries before (older) or after (newer) a cursor; nothing where there are none."""
    if cursor is None:
        return ""
    return address(panel, **{"before": None, "after": None} | {name: cursor_text(panel, WITHIN, cursor)})


def _read_until(page: Page[AuditEntry]) -> datetime | None:
    """How far back a search was read that ended before it had found enough, because it had read many."""
    last = page.next.key[-1] if page.is_partial and page.next is not None else None
    return id_instant(last) if isinstance(last, UUID) else None


@get(f"{LOG}/export", needs=READ)
async def export_log(panel: Panel) -> Answer:
    """Everything the filters let through, as a file, read while it is sent."""
    search = await _read_search(panel)
    entries = panel.services.backoffice.audit.stream(search.wanted, by=panel.principal)
    return await csv_answer(_rows(entries), f"audit-{panel.now:%Y-%m-%d}")


async def _rows(entries: AsyncIterator[AuditEntry]) -> AsyncIterator[Sequence[object]]:
    first = await anext(entries, None)  # before the heads: an error until here is answered as one
    yield _HEADS
    if first is not None:
        yield _cells(first)
    async for entry in entries:
        yield _cells(entry)


def _cells(entry: AuditEntry) -> Sequence[object]:
    event = entry.recorded.event
    data = json.dumps(dict(event.data), ensure_ascii=False) if event.data else ""
    about = entry.about.label if entry.about else ""
    who = (event.actor.type.value, event.actor.id, entry.recorded.actor_name)
    return event.at, event.type, *who, event.subject_id, about, data, event.id


async def _read_search(panel: Panel) -> Search:
    typed = {name: panel.query_value(name).strip()[:LONGEST].replace("\x00", "") for name in FILTERS}
    audit, unknown = panel.services.backoffice.audit, []
    wanted = AuditFilter(
        actor_type=ActorType(typed["kind"]) if typed["kind"] in set(ActorType) else None,
        action=typed["action"] if typed["action"] in CATALOGUE else None,
        since=_day(typed["since"]),
        until=_end_of(typed["until"]),
    )
    if typed["actor"]:
        wanted = replace(wanted, actors=await audit.find_actors(typed["actor"], by=panel.principal))
        unknown += ["actor"] if not wanted.actors else []
    if typed["object"]:
        wanted = replace(wanted, objects=await audit.find_objects(typed["object"], by=panel.principal))
        unknown += ["object"] if not wanted.objects else []
    return Search({name: text for name, text in typed.items() if text}, wanted, tuple(unknown))


def _export_address(typed: Mapping[str, str]) -> str:
    return f"{LOG}/export?{urlencode(typed)}" if typed else f"{LOG}/export"


def _facts(data: Mapping[str, object]) -> list[tuple[str, str]]:
    """What an event says beside its name, each value in one line."""
    return [(name, _line(value)) for name, value in data.items() if value not in (None, "", [], {})]


def _line(value: object) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _day(text: str) -> datetime | None:
    """The beginning of a day, UTC."""
    try:
        return datetime.fromisoformat(text).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    except ValueError:
        return None


def _end_of(text: str) -> datetime | None:
    """The end of a day: the whole of the last day is wanted, too."""
    day = _day(text)
    try:
        return day + timedelta(days=1) if day else None
    except OverflowError:
        return None


routes = [show_log, export_log]
