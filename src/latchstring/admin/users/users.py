"""Users as a list, and one user: what there is to know."""

from collections.abc import Sequence
from dataclasses import dataclass

from latchstring.admin.choices import group_choices
from latchstring.admin.context import Panel
from latchstring.admin.flash import fingerprint
from latchstring.admin.pagination import (
    NOBODY,
    PAGE_SIZE,
    address,
    cursor_of,
    id_in,
    page_links,
    searched,
    sort_order_of,
)
from latchstring.admin.routing import get
from latchstring.domain.account import User
from latchstring.domain.event import RecordedEvent
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
    """What the list is narrowed to, as the address says it."""

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
    """The user in the address. Raises UserNotFound."""
    return await panel.services.users.get(id_in(panel.parameter("user")))


def fingerprint_of(user: User) -> str:
    """Which state of the account a form was opened with."""
    return fingerprint(
        user.email, user.first_name, user.last_name, user.role, user.locale, user.external_id, user.email_verified
    )


def role_name(panel: Panel, key: str | None) -> str:
    """How a role is called; a key that left the configuration stands for itself."""
    role = panel.services.roles.get(key or "")
    return role.name if role else key or ""


# ---- the list --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_users(panel: Panel) -> Answer:
    """Users, newest first; searched, filtered and sorted by the address alone."""
    state = panel.query_value("state")
    asked = Filters(
        searched(panel), searched(panel, "role"), searched(panel, "group"), state if state in STATES else ""
    )
    order = sort_order_of(panel, ORDERS, "-createdAt")
    within = f"users:{order}"
    found = await panel.services.users.operations.search(
        await _search(panel, asked), order=order, cursor=cursor_of(panel, within), limit=PAGE_SIZE, by=panel.principal
    )
    return panel.show(
        "users/list.html",
        found=found,
        filters=asked,
        sorting=order,
        address=lambda **changes: address(panel, **changes),
        links=page_links(panel, within, found),
        roles=panel.services.roles,
        role_name=lambda key: role_name(panel, key),
        group_keys=await group_choices(panel),
    )


async def _search(panel: Panel, asked: Filters) -> UserSearch:
    group_id = None
    if asked.group:
        group_id = await panel.services.groups.find_id(asked.group) if is_key(asked.group) else NOBODY
    return UserSearch(
        q=asked.q or None,
        role=asked.role or None,
        group_id=group_id,
        blocked=asked.state == "blocked",
        unverified=asked.state == "unverified",
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
        held=granted.items,
        links=page_links(panel, "held", granted),
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


async def _invitations(panel: Panel, which: InvitationFilter) -> Sequence[InvitationDetails]:
    if not panel.can("invitations:read"):
        return ()
    page = await panel.services.invitations.list(which, by=panel.principal, limit=NEWEST_INVITATIONS)
    return page.items


async def _history(panel: Panel, user: User) -> Sequence[RecordedEvent]:
    if not panel.can("audit:read"):
        return ()
    return (await panel.services.users.operations.list_history(user.id, by=panel.principal)).items


routes = [show_users, show_user]
