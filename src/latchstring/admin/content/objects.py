"""The lists of content objects by type, and the pages of one object: access, pending invitations, data, history."""

import json
from typing import Any
from urllib.parse import quote

from latchstring.admin.choices import match_groups, match_users
from latchstring.admin.context import Panel
from latchstring.admin.pagination import (
    PAGE_SIZE,
    address,
    build_page_links,
    cursor_of,
    read_search,
    read_sort_order,
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
MAX_DATA_LENGTH = 20_000  # characters of an object's data on its page
ROLES = tuple(role.name for role in ContentRole)


def path_of(content_object: ContentObject, rest: str = "") -> str:
    return f"{LIST}/{quote(content_object.type, safe='')}/{quote(content_object.key, safe='')}{rest}"


async def get_object(panel: Panel) -> ContentObject:
    """The object of the path. Raises ContentNotFound."""
    return await panel.services.content.operations.get(
        panel.parameter("type"), panel.parameter("key"), by=panel.principal
    )


async def find_owner(panel: Panel, content_object: ContentObject) -> User | None:
    try:
        return await panel.services.users.get(content_object.owner_id)
    except UserNotFound:
        return None


def object_values(panel: Panel, content_object: ContentObject) -> dict[str, Any]:
    """The template values of every page of an object."""
    kinds = panel.services.content_rules.types
    is_link = bool(content_object.url) and str(content_object.url).startswith(("https://", "http://"))
    return {
        "object": content_object,
        "object_path": path_of(content_object),
        "kind": kinds[content_object.type],
        "list_path": f"{LIST}?type={quote(content_object.type)}",
        "open_url": content_object.url if is_link else "",
    }


# ---- the list --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_objects(panel: Panel) -> Answer:
    """The objects of a type, newest first; `q` searches titles and keys."""
    kinds = panel.services.content_rules.types
    kind = _selected_type(panel)
    if kind is None:
        return panel.show("content/no_types.html")
    q, order = read_search(panel), read_sort_order(panel, ORDERS, "-createdAt")
    within = f"content:{kind.key}:{order}"
    page = await panel.services.content.operations.search(
        kind.key, q, order=order, cursor=cursor_of(panel, within), limit=PAGE_SIZE, by=panel.principal
    )
    return panel.show(
        "content/list.html",
        kinds=kinds.values(),
        kind=kind,
        page=page,
        q=q,
        sort_order=order,
        address=lambda **changes: address(panel, **changes),
        links=build_page_links(panel, within, page),
        path_of=path_of,
    )


def _selected_type(panel: Panel) -> ContentType | None:
    """The requested type, else the first; None if no type is configured."""
    kinds = panel.services.content_rules.types
    return kinds.get(panel.query_value("type")) or next(iter(kinds.values()), None)


# ---- one object ------------------------------------------------------------------------------------------------------


@get(ENTRY, needs=READ)
async def show_access(panel: Panel) -> Answer:
    """Who has access to an object, its pending invitations, and the forms that change both."""
    return await render_access(panel, await get_object(panel))


async def render_access(
    panel: Panel, content_object: ContentObject, *, form: FormState | None = None, status: int = 200, code: str = ""
) -> Answer:
    """Render the access page of an object."""
    content = panel.services.content
    people = await content.operations.list_user_holders(
        content_object, cursor=cursor_of(panel, "people"), by=panel.principal
    )
    pending, has_more = await content.operations.list_pending(content_object, by=panel.principal)
    find = read_search(panel, "find") if panel.can(WRITE) else ""
    return panel.show(
        "content/access.html",
        form=form,
        status=status,
        code=code,
        **object_values(panel, content_object),
        owner=await find_owner(panel, content_object),
        people=people.items,
        group_holders=await content.operations.list_group_holders(content_object, by=panel.principal),
        holders=await content.operations.count_holders(content_object, by=panel.principal),
        pending=pending,
        has_more_pending=has_more,
        pending_count=await content.operations.count_pending_invitations(content_object, by=panel.principal),
        links=build_page_links(panel, "people", people),
        find=find,
        matches=await _match_users(panel, find) if find else (),
        groups_found=await _match_groups(panel, find) if find else (),
        roles=ROLES,
        visibilities=[visibility.name for visibility in Visibility],
    )


async def _match_users(panel: Panel, find: str) -> object:
    return await match_users(panel, find) if panel.can("users:read") else ()


async def _match_groups(panel: Panel, find: str) -> object:
    return await match_groups(panel, find) if panel.can("groups:read") else ()


@get(f"{ENTRY}/details", needs=READ)
async def show_details(panel: Panel) -> Answer:
    """The data of an object as text, and its history."""
    content_object = await get_object(panel)
    data = "" if content_object.data is None else json.dumps(content_object.data, indent=2, ensure_ascii=False)
    history = (
        await panel.services.users.operations.list_history(content_object.id, by=panel.principal)
        if panel.can("audit:read")
        else None
    )
    return panel.show(
        "content/details.html",
        **object_values(panel, content_object),
        owner=await find_owner(panel, content_object),
        data=data[:MAX_DATA_LENGTH],
        is_truncated=len(data) > MAX_DATA_LENGTH,
        history=history.items if history else (),
    )


routes = [show_objects, show_access, show_details]
