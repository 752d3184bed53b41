"""The list of invitations: everything about it stands in its address."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.formatting import numbers_in
from latchstring.admin.invitations.list_url import (
    COLUMNS,
    LIST,
    ME,
    SIZES,
    SPANS,
    ListUrl,
    filter_of,
    group_keys,
    inviter_ids,
    view_in,
    view_of,
)
from latchstring.admin.pagination import cursor_of, cursor_text
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
STATES = ("PENDING", "ACCEPTED", "DECLINED", "EXPIRED", "REVOKED")  # as one thinks of them
CHOICES = 50  # of groups and of senders in the filters
# Views that everybody has, by name: the template has the words.
COMMON = {
    "all": "",
    "expiring": "state=PENDING&expiresWithin=7d",
    "failing": "delivery=DEFERRED&delivery=BOUNCED&delivery=FAILED",
    "mine": f"inviter={ME}",
}


@dataclass(frozen=True, slots=True)
class Tab:
    """A view one can turn to. known: which of the common ones, else its name counts."""

    known: str
    name: str
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in use. kind: which; value: as in the address; words: what its value is called, where it has a name."""

    kind: str
    value: str
    words: str
    off: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Something a filter offers. kind: for senders, what they are."""

    value: str
    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class InvitationListRow:
    """An invitation as a row shows it."""

    row: InvitationRow
    role: str
    at: datetime

    @property
    def id(self) -> UUID:
        return self.row.details.invitation.id

    @property
    def email(self) -> str:
        return self.row.details.invitation.email

    @property
    def name(self) -> str:
        invitation = self.row.details.invitation
        return " ".join(filter(None, (invitation.first_name, invitation.last_name)))

    @property
    def state(self) -> str:
        return self.row.state.name

    @property
    def is_open(self) -> bool:
        return self.row.state in {State.PENDING, State.EXPIRED}

    @property
    def delivery(self) -> str:
        delivery = self.row.details.delivery
        return delivery.state.value if delivery else ""

    @property
    def inviter(self) -> str:
        return self.row.details.inviter_name or ""

    @property
    def inviter_kind(self) -> str:
        return self.row.details.invitation.inviter.type.value

    @property
    def created_at(self) -> datetime:
        return self.row.details.invitation.created_at

    @property
    def expires_at(self) -> datetime | None:
        """When an open one runs out, or did; nothing where an answer came before."""
        return self.row.details.invitation.link.expires_at if self.is_open else None

    @property
    def is_soon(self) -> bool:
        return self.row.state is State.PENDING and self.row.details.invitation.link.expires_at < self.at + SOON

    @property
    def accepted_at(self) -> datetime | None:
        invitation = self.row.details.invitation
        return invitation.ended_at if self.row.state is State.ACCEPTED else None


# ---- the page --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_list(panel: Panel) -> Answer:
    """A page of the list. A form sends empty fields, too: they are taken out of the address."""
    view = view_of(panel.query)
    if not panel.is_partial and any(not value for _, value in panel.query):
        return panel.redirect(view.address)
    browsing, order = panel.services.invitations.panel_lists, view.order
    wanted = await wanted_by(panel, view, now=panel.now)
    within = f"invitations:{order}"
    cursor = cursor_of(panel, within, name="before") or cursor_of(panel, within, name="after")
    page = await browsing.page(wanted, by=panel.principal, order=order, cursor=cursor, limit=view.size)
    rows = shown_rows(panel, page.items)
    first = _first_number(cursor, page)
    return panel.show(
        "invitations/list.html",
        view=view,
        rows=rows,
        page=page,
        first=first,
        stored=await browsing.count(InvitationFilter(), by=panel.principal),
        tabs=_tabs(view, await browsing.list_views(panel.me.id)),
        chips=await _chips(panel, view),
        choices=await _choices(panel, view),
        previous=_link(panel, view, "before", page.previous, first - 1) if first > 1 else "",
        following=_link(panel, view, "after", page.next, first - 1 + len(rows)),
        all_columns=COLUMNS,
        spans=SPANS,
        sizes=SIZES,
        export=view.at(EXPORT),
        saving=view.at(VIEWS),
        all_matching=_all_matching(panel, view, page.total),
        as_of=panel.now.isoformat(),
        n=numbers_in(panel.locale),
    )


def shown_rows(panel: Panel, rows: Sequence[InvitationRow]) -> list[InvitationListRow]:
    roles = panel.services.roles

    def called(key: str | None) -> str:
        role = roles.get(key or "")
        return role.name if role else key or ""

    return [InvitationListRow(row, called(row.details.invitation.bundle.role), panel.now) for row in rows]


async def wanted_by(panel: Panel, view: ListUrl, *, now: datetime) -> InvitationFilter:
    """The filter of a view. A group that is gone matches nothing."""
    keys = group_keys(view)
    groups: Mapping[str, UUID] = {}
    if keys:
        groups = await panel.services.invitations.panel_lists.find_group_ids(keys, by=panel.principal)
    return filter_of(view, groups=groups, me=panel.me.id, now=now)


# ---- pages -----------------------------------------------------------------------------------------------------------


def _link(panel: Panel, view: ListUrl, name: str, cursor: Cursor | None, rows_before: int) -> str:
    """The address of the page behind or before a cursor. rows_before: how many rows come before that place."""
    if cursor is None:
        return ""
    text = cursor_text(panel, f"invitations:{view.order}", replace(cursor, rows_before=rows_before))
    return view.at(LIST, **{name: text})


def _first_number(cursor: Cursor | None, page: Page[InvitationRow]) -> int:
    """The number of the first row in the whole list, as counted while turning pages."""
    if cursor is None or (cursor.is_backward and page.previous is None):
        return 1
    if cursor.is_backward:
        return max(cursor.rows_before + 1 - len(page.items), 2)
    return cursor.rows_before + 1


def _all_matching(panel: Panel, view: ListUrl, total: int | None) -> str:
    """Where a dry run for all that match begins; nothing where they cannot be counted."""
    if not total:
        return ""
    unsorted = view.without("sort").without("size").without("col")
    return unsorted.at(SELECTION, shown=str(total), asOf=panel.now.isoformat())


# ---- what stands around the table ------------------------------------------------------------------------------------


def _tabs(view: ListUrl, saved: Sequence[SavedView]) -> list[Tab]:
    known = [Tab(name, "", view_in(query).address, view.shows_like(view_in(query))) for name, query in COMMON.items()]
    own = [Tab("", one.name, view_in(one.query).address, view.shows_like(view_in(one.query))) for one in saved]
    tabs = known + own
    # one at most: a saved view may be the same as a common one
    current = next((tab for tab in reversed(tabs) if tab.is_current), None)
    return [tab if tab is current else Tab(tab.known, tab.name, tab.address, is_current=False) for tab in tabs]


async def _chips(panel: Panel, view: ListUrl) -> list[Chip]:
    named = await panel.services.invitations.panel_lists.find_names(
        inviter_ids(view, panel.me.id) if view.one("inviter") else [], by=panel.principal
    )
    return [
        Chip(name, value, _words(panel, name, value, named), view.without(name, value).address)
        for name, value in view.filters
    ]


def _words(panel: Panel, name: str, value: str, named: Mapping[UUID, NamedSubject]) -> str:
    services = panel.services
    if name == "role":
        return services.roles[value].name if value in services.roles else value
    if name == "contentType":
        types = services.content_rules.types
        return types[value].name if value in types else value
    if name == "inviter":
        one = named.get(panel.me.id if value == ME else UUID(value))
        return one.label if one else ""
    return value


async def _choices(panel: Panel, view: ListUrl) -> dict[str, Any]:
    """What the filters offer. A chosen inviter is always offered, too."""
    services, by = panel.services, panel.principal
    senders = [Choice(str(admin.id), admin.name or admin.email, "ADMIN") for admin in await _admins(panel)]
    keys = await services.users.api_keys.list_page(order=NEWEST_FIRST, limit=CHOICES)
    senders += [Choice(str(key.id), key.name, "API_KEY") for key in keys.items]
    offered = {choice.value for choice in senders} | {ME}
    others = [id_ for id_ in view.all("inviter") if id_ not in offered]
    named = await services.invitations.panel_lists.find_names([UUID(id_) for id_ in others], by=by) if others else {}
    senders += [Choice(id_, one.label, "") for id_ in others if (one := named.get(UUID(id_))) and one.noun in SENDERS]
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
    """Administrators but oneself, who is offered first."""
    admins = await panel.services.admins.list_all()
    return [admin for admin in admins if admin.id != panel.me.id][:CHOICES]


# ---- export ----------------------------------------------------------------------------------------------------------


@get(EXPORT, needs=READ)
async def export_list(panel: Panel) -> Answer:
    """Everything that matches, in the order of the list and with its columns, read while it is sent."""
    view = view_of(panel.query)
    wanted = await wanted_by(panel, view, now=panel.now)
    batches = panel.services.invitations.panel_lists.read_all(wanted, by=panel.principal, order=view.order)
    return await csv_answer(_lines(panel, view, batches), "invitations")


async def export_rows(panel: Panel, view: ListUrl, rows: Sequence[InvitationRow]) -> Answer:
    """These rows as a file."""

    async def once() -> AsyncIterator[Sequence[InvitationRow]]:
        yield rows

    return await csv_answer(_lines(panel, view, once()), "invitations")


async def _lines(
    panel: Panel, view: ListUrl, batches: AsyncIterator[Sequence[InvitationRow]]
) -> AsyncIterator[Sequence[object]]:
    heads: Sequence[str] | None = ["inviteEmail", "firstName", "lastName", *(_HEADS[name] for name in view.columns)]
    async for rows in batches:
        if heads:  # the first batch is read before anything is sent
            yield heads
            heads = None
        for shown in shown_rows(panel, rows):
            invitation = shown.row.details.invitation
            cells = (_cell(shown, name) for name in view.columns)
            yield [invitation.email, invitation.first_name, invitation.last_name, *cells]


_HEADS = {
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


def _cell(shown: InvitationListRow, column: str) -> object:
    """Keys and words of the contract; lists are separated by semicolons."""
    bundle = shown.row.details.invitation.bundle
    content = (f"{g.target_type}/{g.target_key}:{g.role.name if g.role else ''}" for g in bundle.content)
    cells: Mapping[str, object] = {
        "state": shown.state,
        "role": bundle.role,
        "groups": ";".join(grant.target_key for grant in bundle.groups),
        "content": ";".join(content),
        "delivery": shown.delivery,
        "inviter": shown.inviter or (ActorType.OPERATOR.value if shown.inviter_kind == ActorType.OPERATOR else ""),
        "created": shown.created_at,
        "expires": shown.row.details.invitation.link.expires_at,
        "accepted": shown.accepted_at,
    }
    return cells[column]


routes = [show_list, export_list]
