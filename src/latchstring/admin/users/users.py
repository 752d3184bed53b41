"""The list of users, and the page of one user."""

from collections.abc import Sequence
from dataclasses import dataclass

from latchstring.admin.choices import group_choices
from latchstring.admin.context import Panel
from latchstring.admin.flash import fingerprint
from latchstring.admin.pagination import (
    PAGE_SIZE,
    address,
    build_page_links,
    cursor_of,
    parse_id,
    read_search,
    read_sort_order,
)
from latchstring.admin.routing import get
from latchstring.domain.account import User
from latchstring.domain.event import RecordedEvent
from latchstring.domain.ids import NIL_ID
from latchstring.domain.invitation import InvitationDetails
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.keys import is_key
from latchstring.domain.pagination import Page
from latchstring.domain.views.content import GrantedObject
from latchstring.domain.views.users import UserSearch
from latchstring.http.responses import Answer

READ, WRITE = "users:read", "users:write"
LIST = "/admin/users"
ENTRY = f"{LIST}/{{user:str}}"
ORDERS = {"createdAt": True, "email": False, "name": False}
STATES = ("blocked", "unverified")
NEWEST_INVITATIONS = 5


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of the list, from the URL."""

    q: str
    role: str
    group: str
    state: str

    @property
    def is_any(self) -> bool:
        return bool(self.q or self.role or self.group or self.state)


def path_of(user: User, rest: str = "") -> str:
    return f"{LIST}/{user.id}{rest}"


async def user_of(panel: Panel) -> User:
    """The user of the path. Raises UserNotFound."""
    return await panel.services.users.get(parse_id(panel.parameter("user")))


def user_fingerprint(user: User) -> str:
    """The fingerprint of the fields that the form of an account shows."""
    return fingerprint(
        user.email, user.first_name, user.last_name, user.role, user.locale, user.external_id, user.email_verified
    )


def role_name(panel: Panel, key: str | None) -> str:
    """The name of a role; its key if the role is no longer configured."""
    role = panel.services.roles.get(key or "")
    return role.name if role else key or ""


# ---- the list --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_users(panel: Panel) -> Answer:
    """Users, newest first; the URL holds search, filters and order."""
    state = panel.query_value("state")
    filters = Filters(
        read_search(panel), read_search(panel, "role"), read_search(panel, "group"), state if state in STATES else ""
    )
    order = read_sort_order(panel, ORDERS, "-createdAt")
    within = f"users:{order}"
    page = await panel.services.users.operations.search(
        await _search(panel, filters), order=order, cursor=cursor_of(panel, within), limit=PAGE_SIZE, by=panel.principal
    )
    return panel.show(
        "users/list.html",
        page=page,
        filters=filters,
        sort_order=order,
        address=lambda **changes: address(panel, **changes),
        links=build_page_links(panel, within, page),
        roles=panel.services.roles,
        role_name=lambda key: role_name(panel, key),
        group_keys=await group_choices(panel),
    )


async def _search(panel: Panel, filters: Filters) -> UserSearch:
    group_id = None
    if filters.group:
        group_id = await panel.services.groups.find_id(filters.group) if is_key(filters.group) else NIL_ID
    return UserSearch(
        q=filters.q or None,
        role=filters.role or None,
        group_id=group_id,
        blocked=filters.state == "blocked",
        unverified=filters.state == "unverified",
    )


# ---- one user --------------------------------------------------------------------------------------------------------


@get(ENTRY, needs=READ)
async def show_user(panel: Panel) -> Answer:
    """One user: details, groups, granted access, invitations and history."""
    return await show_entry(panel, await user_of(panel))


async def show_entry(panel: Panel, user: User) -> Answer:
    """The page of a user."""
    granted, owned = await _granted(panel, user), await _owned(panel, user)
    return panel.show(
        "users/entry.html",
        user=user,
        user_path=path_of(user),
        role_name=lambda key: role_name(panel, key),
        has_terms=panel.services.app.terms_version is not None,
        groups=await panel.services.groups.find_by_keys(user.groups),
        group_keys=await group_choices(panel),
        owned=owned.items,
        owns_more=owned.next is not None,
        objects=granted.items,
        links=build_page_links(panel, "held", granted),
        invited=await _invitations(panel, InvitationFilter(email_key=user.email_key)),
        inviting=await _invitations(panel, InvitationFilter(inviter_ids=[user.id])),
        history=await _history(panel, user),
    )


async def _granted(panel: Panel, user: User) -> Page[GrantedObject]:
    if not panel.can("access:read"):
        return Page()
    return await panel.services.content.operations.list_granted(
        user.id, cursor=cursor_of(panel, "held"), by=panel.principal
    )


async def _owned(panel: Panel, user: User) -> Page[GrantedObject]:
    if not panel.can("access:read"):
        return Page()
    return await panel.services.content.operations.list_owned(user.id, by=panel.principal)


async def _invitations(panel: Panel, invitation_filter: InvitationFilter) -> Sequence[InvitationDetails]:
    if not panel.can("invitations:read"):
        return ()
    page = await panel.services.invitations.list(invitation_filter, by=panel.principal, limit=NEWEST_INVITATIONS)
    return page.items


async def _history(panel: Panel, user: User) -> Sequence[RecordedEvent]:
    if not panel.can("audit:read"):
        return ()
    return (await panel.services.users.operations.list_history(user.id, by=panel.principal)).items


routes = [show_users, show_user]
