"""Content objects as lists by type, and one object: who may see it, who is on the way, what it holds."""

import json
from typing import Any
from urllib.parse import quote

from latchstring.admin.choices import match_groups, match_users
from latchstring.admin.context import Panel
from latchstring.admin.pagination import (
    PAGE_SIZE,
    address,
    cursor_of,
    page_links,
    searched,
    sort_order_of,
)
from latchstring.admin.routing import get
from latchstring.domain.access import ContentObject, Visibility
from latchstring.domain.account import User
from latchstring.domain.errors import UserNotFound
from latchstring.domain.grant import ContentRole
from latchstring.domain.settings import ContentType
from latchstring.http.responses import Answer
from latchstring.pages.forms import FormState

READ, WRITE = "access:read", "content:write"
LIST = "/admin/content"
ENTRY = f"{LIST}/{{type:str}}/{{key:str}}"
ORDERS = {"createdAt": True, "title": False}
LONGEST_DATA = 20_000  # characters of an object's data that are shown
ROLES = tuple(role.name for role in ContentRole)


def path_of(one: ContentObject, rest: str = "") -> str:
    return f"{LIST}/{quote(one.type, safe='')}/{quote(one.key, safe='')}{rest}"


async def object_of(panel: Panel) -> ContentObject:
    """The object in the address. Raises ContentNotFound."""
    return await panel.services.content.operations.get(
        panel.parameter("type"), panel.parameter("key"), by=panel.principal
    )


async def owner_of(panel: Panel, one: ContentObject) -> User | None:
    try:
        return await panel.services.users.get(one.owner_id)
    except UserNotFound:
        return None


def common(panel: Panel, one: ContentObject) -> dict[str, Any]:
    """What every page of an object is told."""
    kinds = panel.services.content_rules.types
    is_link = bool(one.url) and str(one.url).startswith(("https://", "http://"))
    return {
        "object": one,
        "object_path": path_of(one),
        "kind": kinds[one.type],
        "list_path": f"{LIST}?type={quote(one.type)}",
        "open_url": one.url if is_link else "",
    }


# ---- the list --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_objects(panel: Panel) -> Answer:
    """The objects of a type, newest first; `q` searches titles and keys."""
    kinds = panel.services.content_rules.types
    kind = _kind(panel)
    if kind is None:
        return panel.show("content/no_types.html")
    q, order = searched(panel), sort_order_of(panel, ORDERS, "-createdAt")
    within = f"content:{kind.key}:{order}"
    found = await panel.services.content.operations.search(
        kind.key, q, order=order, cursor=cursor_of(panel, within), limit=PAGE_SIZE, by=panel.principal
    )
    return panel.show(
        "content/list.html",
        kinds=kinds.values(),
        kind=kind,
        found=found,
        q=q,
        sorting=order,
        address=lambda **changes: address(panel, **changes),
        links=page_links(panel, within, found),
        path_of=path_of,
    )


def _kind(panel: Panel) -> ContentType | None:
    """The type asked for, else the first; None where none is declared."""
    kinds = panel.services.content_rules.types
    return kinds.get(panel.query_value("type")) or next(iter(kinds.values()), None)


# ---- one object ------------------------------------------------------------------------------------------------------


@get(ENTRY, needs=READ)
async def show_access(panel: Panel) -> Answer:
    """Who may see an object, who is on the way to it, and the forms that change both."""
    return await show_access_of(panel, await object_of(panel))


async def show_access_of(
    panel: Panel, one: ContentObject, *, form: FormState | None = None, status: int = 200, code: str = ""
) -> Answer:
    """The page of an object's access."""
    content = panel.services.content
    people = await content.operations.list_user_holders(one, cursor=cursor_of(panel, "people"), by=panel.principal)
    pending, has_more = await content.operations.list_pending(one, by=panel.principal)
    find = searched(panel, "find") if panel.can(WRITE) else ""
    return panel.show(
        "content/access.html",
        form=form,
        status=status,
        code=code,
        **common(panel, one),
        owner=await owner_of(panel, one),
        people=people.items,
        teams=await content.operations.list_group_holders(one, by=panel.principal),
        holders=await content.operations.count_holders(one, by=panel.principal),
        pending=pending,
        has_more_pending=has_more,
        on_the_way=await content.operations.count_pending_invitations(one, by=panel.principal),
        links=page_links(panel, "people", people),
        find=find,
        matches=await _matches(panel, find) if find else (),
        groups_found=await _count_existing_groups(panel, find) if find else (),
        roles=ROLES,
        visibilities=[visibility.name for visibility in Visibility],
    )


async def _matches(panel: Panel, find: str) -> object:
    return await match_users(panel, find) if panel.can("users:read") else ()


async def _count_existing_groups(panel: Panel, find: str) -> object:
    return await match_groups(panel, find) if panel.can("groups:read") else ()


@get(f"{ENTRY}/details", needs=READ)
async def show_details(panel: Panel) -> Answer:
    """What an object holds, as text, and what happened to it."""
    one = await object_of(panel)
    data = "" if one.data is None else json.dumps(one.data, indent=2, ensure_ascii=False)
    history = (
        await panel.services.users.operations.list_history(one.id, by=panel.principal)
        if panel.can("audit:read")
        else None
    )
    return panel.show(
        "content/details.html",
        **common(panel, one),
        owner=await owner_of(panel, one),
        data=data[:LONGEST_DATA],
        is_cut=len(data) > LONGEST_DATA,
        history=history.items if history else (),
    )


routes = [show_objects, show_access, show_details]
