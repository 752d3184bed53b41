"""Users and groups that the forms of several pages offer as choices."""

from collections.abc import Sequence

from latchstring.admin.context import Panel
from latchstring.domain.account import User
from latchstring.domain.group import Group
from latchstring.domain.pagination import SortOrder
from latchstring.domain.views.users import UserSearch

MATCHES = 8
GROUPS = 100


async def match_users(panel: Panel, text: str) -> Sequence[User]:
    """The first users whose address or name starts with the text, by address."""
    page = await panel.services.users.operations.search(
        UserSearch(q=text), order=SortOrder("email"), limit=MATCHES, by=panel.principal
    )
    return page.items


async def match_groups(panel: Panel, text: str) -> Sequence[Group]:
    """The first groups whose name or key starts with the text, by name."""
    page = await panel.services.groups.search(text, order=SortOrder("name"), limit=MATCHES, by=panel.principal)
    return [item.group for item in page.items]


async def group_choices(panel: Panel) -> Sequence[tuple[str, str]]:
    """Key and name of the first groups by name; empty without the permission to read groups."""
    if not panel.can("groups:read"):
        return ()
    page = await panel.services.groups.search(None, order=SortOrder("name"), limit=GROUPS, by=panel.principal)
    return [(item.group.key, item.group.name) for item in page.items]
