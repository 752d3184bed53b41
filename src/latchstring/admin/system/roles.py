"""The configured roles: their permissions, what they may grant, and how many users have them."""

from latchstring.admin.context import Panel
from latchstring.admin.routing import get
from latchstring.domain.principal import APP_PERMISSION_PREFIX, EVERYTHING, PERMISSIONS
from latchstring.http.responses import Answer

LIST = "/admin/roles"


@get(LIST, needs="users:read")
async def show_roles(panel: Panel) -> Answer:
    """The matrix of roles and permissions. Roles are changed in the configuration."""
    roles = panel.services.roles
    own = sorted(
        {
            permission
            for role in roles.values()
            for permission in role.permissions
            if permission.startswith(APP_PERMISSION_PREFIX)
        }
    )
    return panel.show(
        "system/roles.html",
        roles=roles,
        permissions=[*sorted(PERMISSIONS - {EVERYTHING}), *own],
        holders=await panel.services.users.operations.count_by_role(by=panel.principal),
        default_role=panel.services.account_rules.default_role,
    )


routes = [show_roles]
