"""The roles of the configuration."""

from latchstring.domain.principal import Role
from latchstring.http.responses import Answer, View
from latchstring.rest.pagination import PageView, page_answer
from latchstring.rest.route import operation
from latchstring.services import Services


class RoleView(View):
    """A role: its permissions, and the roles and groups its holders may grant. `*` means all."""

    key: str
    name: str
    description: str
    permissions: list[str]
    may_grant: list[str]
    may_grant_groups: list[str]


def role_view(role: Role) -> RoleView:
    return RoleView(
        key=role.key,
        name=role.name,
        description=role.description,
        permissions=sorted(role.permissions),
        may_grant=sorted(role.may_grant),
        may_grant_groups=sorted(role.may_grant_groups),
    )


@operation("GET", "/api/roles", "List roles", tag="Roles", answers={200: PageView[RoleView]})
async def list_roles(services: Services) -> Answer:
    """Lists the roles in the order of the configuration, on one page."""
    roles = [role_view(role) for role in services.roles.values()]
    return page_answer(roles, next_cursor=None, total=len(roles))


routes = [list_roles]
