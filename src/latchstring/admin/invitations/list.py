"""The list of invitations. Its URL holds filters, order and columns."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.formatting import get_formats
from latchstring.admin.invitations.list_url import (
    COLUMNS,
    LIST,
    ME,
    SIZES,
    SPANS,
    ListUrl,
    clean_list_url,
    filter_of,
    group_keys,
    inviter_ids,
    parse_list_url,
)
from latchstring.admin.pagination import cursor_of, format_cursor
from latchstring.admin.routing import get
from latchstring.domain.actor import ActorType
from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.mail import DeliveryState
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.views.audit_log import NamedSubject, SubjectType
from latchstring.domain.views.saved_view import SavedView
from latchstring.http.responses import Answer
from latchstring.http.streams import csv_answer
from latchstring.invitations.browse import InvitationRow

READ, WRITE = "invitations:read", "invitations:write"
EXPORT = f"{LIST}/export.csv"
SELECTION = f"{LIST}/selection"
VIEWS = f"{LIST}/views"
SOON = timedelta(days=1)
NEWEST_FIRST = SortOrder("createdAt", descending=True)
STATES = ("PENDING", "ACCEPTED", "DECLINED", "EXPIRED", "REVOKED")  # in the order of the filter
CHOICES = 50  # the most groups and the most senders that a filter offers
# Views that every administrator has; the template translates their names.
COMMON_VIEWS = {
    "all": "",
    "expiring": "state=PENDING&expiresWithin=7d",
    "failing": "delivery=DEFERRED&delivery=BOUNCED&delivery=FAILED",
    "mine": f"inviter={ME}",
}


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of the list. common: the key of a common view; empty for a saved view, which has a name."""

    common: str
    name: str
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter. kind: its parameter; value: as in the URL; text: the name of the value, if it has one."""

    kind: str
    value: str
    text: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of a filter. kind: for senders, the type of actor."""

    value: str
    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class InvitationListRow:
    """An invitation as a row of the list."""

    invitation_row: InvitationRow
    role: str
    now: datetime

    @property
    def id(self) -> UUID:
        return self.invitation_row.details.invitation.id

    @property
    def email(self) -> str:
        return self.invitation_row.details.invitation.email

    @property
    def name(self) -> str:
        invitation = self.invitation_row.details.invitation
        return " ".join(filter(None, (invitation.first_name, invitation.last_name)))

    @property
    def state(self) -> str:
        return self.invitation_row.state.name

    @property
    def is_open(self) -> bool:
        return self.invitation_row.state in {State.PENDING, State.EXPIRED}

    @property
    def delivery(self) -> str:
        delivery = self.invitation_row.details.delivery
        return delivery.state.value if delivery else ""

    @property
    def inviter(self) -> str:
        return self.invitation_row.details.inviter_name or ""

    @property
    def inviter_kind(self) -> str:
        return self.invitation_row.details.invitation.inviter.type.value

    @property
    def created_at(self) -> datetime:
        return self.invitation_row.details.invitation.created_at

    @property
    def expires_at(self) -> datetime | None:
        """When a pending invitation expires, or an expired one did; None for ended ones."""
        return self.invitation_row.details.invitation.link.expires_at if self.is_open else None

    @property
    def expires_soon(self) -> bool:
        return (
            self.invitation_row.state is State.PENDING
            and self.invitation_row.details.invitation.link.expires_at < self.now + SOON
        )

    @property
    def accepted_at(self) -> datetime | None:
        invitation = self.invitation_row.details.invitation
        return invitation.ended_at if self.invitation_row.state is State.ACCEPTED else None


# ---- list ------------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_list(panel: Panel) -> Answer:
    """A page of the list. Empty fields, which forms send as well, are removed from the URL by a redirect."""
    view = clean_list_url(panel.query)
    if not panel.is_partial and any(not value for _, value in panel.query):
        return panel.redirect(view.address)
    lists, order = panel.services.invitations.panel_lists, view.order
    filters = await build_filter(panel, view, now=panel.now)
    within = f"invitations:{order}"
    cursor = cursor_of(panel, within, name="before") or cursor_of(panel, within, name="after")
    page = await lists.page(filters, by=panel.principal, order=order, cursor=cursor, limit=view.size)
    rows = build_rows(panel, page.items)
    first = _first_number(cursor, page)
    return panel.show(
        "invitations/list.html",
        view=view,
        rows=rows,
        page=page,
        first=first,
        stored=await lists.count(InvitationFilter(), by=panel.principal),
        tabs=_tabs(view, await lists.list_views(panel.me.id)),
        chips=await _chips(panel, view),
        choices=await _choices(panel, view),
        previous=_link(panel, view, "before", page.previous, first - 1) if first > 1 else "",
        following=_link(panel, view, "after", page.next, first - 1 + len(rows)),
        all_columns=COLUMNS,
        spans=SPANS,
        sizes=SIZES,
        export=view.url_for(EXPORT),
        saving=view.url_for(VIEWS),
        all_matching=_all_matching(panel, view, page.total),
        as_of=panel.now.isoformat(),
        n=get_formats(panel.locale),
    )


def build_rows(panel: Panel, rows: Sequence[InvitationRow]) -> list[InvitationListRow]:
    roles = panel.services.roles

    def role_name(key: str | None) -> str:
        role = roles.get(key or "")
        return role.name if role else key or ""

    return [InvitationListRow(row, role_name(row.details.invitation.bundle.role), panel.now) for row in rows]


async def build_filter(panel: Panel, view: ListUrl, *, now: datetime) -> InvitationFilter:
    """The filter of a view. A deleted group matches nothing."""
    keys = group_keys(view)
    groups: Mapping[str, UUID] = {}
    if keys:
        groups = await panel.services.invitations.panel_lists.find_group_ids(keys, by=panel.principal)
    return filter_of(view, groups=groups, me=panel.me.id, now=now)


# ---- pages -----------------------------------------------------------------------------------------------------------


def _link(panel: Panel, view: ListUrl, name: str, cursor: Cursor | None, rows_before: int) -> str:
    """The URL of the page after or before a cursor. rows_before: the number of rows before it."""
    if cursor is None:
        return ""
    text = format_cursor(panel, f"invitations:{view.order}", replace(cursor, rows_before=rows_before))
    return view.url_for(LIST, **{name: text})


def _first_number(cursor: Cursor | None, page: Page[InvitationRow]) -> int:
    """The number of the first row in the whole list, counted from page to page."""
    if cursor is None or (cursor.is_backward and page.previous is None):
        return 1
    if cursor.is_backward:
        return max(cursor.rows_before + 1 - len(page.items), 2)
    return cursor.rows_before + 1


def _all_matching(panel: Panel, view: ListUrl, total: int | None) -> str:
    """The URL of the bulk actions for all matching invitations; empty if they cannot be counted."""
    if not total:
        return ""
    unsorted = view.without("sort").without("size").without("col")
    return unsorted.url_for(SELECTION, shownCount=str(total), asOf=panel.now.isoformat())


# ---- tabs, chips and filters -----------------------------------------------------------------------------------------


def _tabs(view: ListUrl, saved: Sequence[SavedView]) -> list[Tab]:
    common = [
        Tab(name, "", parse_list_url(query).address, view.finds_same(parse_list_url(query)))
        for name, query in COMMON_VIEWS.items()
    ]
    own = [
        Tab(
            "",
            saved_view.name,
            parse_list_url(saved_view.query).address,
            view.finds_same(parse_list_url(saved_view.query)),
        )
        for saved_view in saved
    ]
    tabs = common + own
    # at most one is current: a saved view may equal a common one
    current = next((tab for tab in reversed(tabs) if tab.is_current), None)
    return [tab if tab is current else Tab(tab.common, tab.name, tab.address, is_current=False) for tab in tabs]


async def _chips(panel: Panel, view: ListUrl) -> list[Chip]:
    named = await panel.services.invitations.panel_lists.find_names(
        inviter_ids(view, panel.me.id) if view.value("inviter") else [], by=panel.principal
    )
    return [
        Chip(name, value, _value_text(panel, name, value, named), view.without(name, value).address)
        for name, value in view.filters
    ]


def _value_text(panel: Panel, name: str, value: str, named: Mapping[UUID, NamedSubject]) -> str:
    services = panel.services
    if name == "role":
        return services.roles[value].name if value in services.roles else value
    if name == "contentType":
        types = services.content_rules.types
        return types[value].name if value in types else value
    if name == "inviter":
        name_entry = named.get(panel.me.id if value == ME else UUID(value))
        return name_entry.label if name_entry else ""
    return value


async def _choices(panel: Panel, view: ListUrl) -> dict[str, Any]:
    """The choices of the filters. A selected inviter is always included."""
    services, by = panel.services, panel.principal
    senders = [Choice(str(admin.id), admin.name or admin.email, "ADMIN") for admin in await _admins(panel)]
    keys = await services.users.api_keys.list_page(order=NEWEST_FIRST, limit=CHOICES)
    senders += [Choice(str(key.id), key.name, "API_KEY") for key in keys.items]
    offered = {choice.value for choice in senders} | {ME}
    others = [id_ for id_ in view.values("inviter") if id_ not in offered]
    named = await services.invitations.panel_lists.find_names([UUID(id_) for id_ in others], by=by) if others else {}
    senders += [
        Choice(id_, name_entry.label, "")
        for id_ in others
        if (name_entry := named.get(UUID(id_))) and name_entry.type in SENDERS
    ]
    groups = await services.invitations.targets.search_groups("", by=by) if by.can("groups:read") else []
    return {
        "states": STATES,
        "roles": [Choice(role.key, role.name) for role in services.roles.values()],
        "deliveries": [state.value for state in DeliveryState],
        "groups": [Choice(group.key, group.name) for group in groups],
        "types": [Choice(key, type_.name) for key, type_ in services.content_rules.types.items()],
        "senders": senders,
    }


SENDERS = (SubjectType.USER, SubjectType.ADMIN, SubjectType.API_KEY)


async def _admins(panel: Panel) -> Sequence[Any]:
    """The other administrators; the current one is offered first."""
    admins = await panel.services.admins.list_all()
    return [admin for admin in admins if admin.id != panel.me.id][:CHOICES]


# ---- export ----------------------------------------------------------------------------------------------------------


@get(EXPORT, needs=READ)
async def export_list(panel: Panel) -> Answer:
    """All matching invitations in the order of the list, with its columns, read while they are sent."""
    view = clean_list_url(panel.query)
    filters = await build_filter(panel, view, now=panel.now)
    batches = panel.services.invitations.panel_lists.read_all(filters, by=panel.principal, order=view.order)
    return await csv_answer(_lines(panel, view, batches), "invitations")


async def export_rows(panel: Panel, view: ListUrl, rows: Sequence[InvitationRow]) -> Answer:
    """These rows as a CSV file."""

    async def once() -> AsyncIterator[Sequence[InvitationRow]]:
        yield rows

    return await csv_answer(_lines(panel, view, once()), "invitations")


async def _lines(
    panel: Panel, view: ListUrl, batches: AsyncIterator[Sequence[InvitationRow]]
) -> AsyncIterator[Sequence[object]]:
    heads: Sequence[str] | None = [
        "inviteEmail",
        "firstName",
        "lastName",
        *(_CSV_HEADER[name] for name in view.columns),
    ]
    async for rows in batches:
        if heads:  # the first batch is read before anything is sent, so that an error is answered with an error page
            yield heads
            heads = None
        for list_row in build_rows(panel, rows):
            invitation = list_row.invitation_row.details.invitation
            cells = (_cell(list_row, name) for name in view.columns)
            yield [invitation.email, invitation.first_name, invitation.last_name, *cells]


_CSV_HEADER = {
    "state": "state",
    "role": "role",
    "groups": "groups",
    "content": "content",
    "delivery": "delivery",
    "inviter": "invitedBy",
    "created": "createdAt",
    "expires": "expiresAt",
    "accepted": "acceptedAt",
}


def _cell(list_row: InvitationListRow, column: str) -> object:
    """The value of a cell as in the API; lists are separated by semicolons."""
    bundle = list_row.invitation_row.details.invitation.bundle
    content = (f"{g.target_type}/{g.target_key}:{g.role.name if g.role else ''}" for g in bundle.content)
    cells: Mapping[str, object] = {
        "state": list_row.state,
        "role": bundle.role,
        "groups": ";".join(grant.target_key for grant in bundle.groups),
        "content": ";".join(content),
        "delivery": list_row.delivery,
        "inviter": list_row.inviter
        or (ActorType.OPERATOR.value if list_row.inviter_kind == ActorType.OPERATOR else ""),
        "created": list_row.created_at,
        "expires": list_row.invitation_row.details.invitation.link.expires_at,
        "accepted": list_row.accepted_at,
    }
    return cells[column]


routes = [show_list, export_list]
