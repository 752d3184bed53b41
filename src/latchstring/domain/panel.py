"""Permissions of the roles of administrators. Pages and services use the same table."""

from collections.abc import Mapping
from enum import StrEnum

from latchstring.domain.account import Admin
from latchstring.domain.actor import ActorType
from latchstring.domain.principal import EVERYTHING, Principal


class PanelRole(StrEnum):
    """The roles of administrators. They are unrelated to the roles of users."""

    SUPER_ADMIN = "super-admin"
    MANAGER = "manager"
    VIEWER = "viewer"


# Permissions that exist in the panel only. The others are part of the API contract, for roles and API keys as well.
ADMINS_WRITE = "admins:write"
MAIL_READ = "mail:read"
MAIL_WRITE = "mail:write"
SETTINGS_READ = "settings:read"
TEMPLATES_WRITE = "templates:write"

_READ_PERMISSIONS = frozenset(
    {
        "invitations:read",
        "content:read",
        "access:read",
        "users:read",
        "groups:read",
        "audit:read",
        MAIL_READ,
    }
)
_MANAGE_PERMISSIONS = _READ_PERMISSIONS | {
    "invitations:write",
    "invitations:reveal",
    "content:create",
    "content:write",
    "users:write",
    "groups:write",
    MAIL_WRITE,
    TEMPLATES_WRITE,
}

PANEL_PERMISSIONS: Mapping[PanelRole, frozenset[str]] = {
    PanelRole.SUPER_ADMIN: frozenset({EVERYTHING}),
    PanelRole.MANAGER: _MANAGE_PERMISSIONS,
    PanelRole.VIEWER: _READ_PERMISSIONS,
}
_GRANTING_ROLES = frozenset({PanelRole.SUPER_ADMIN, PanelRole.MANAGER})


def panel_permissions(role: str) -> frozenset[str]:
    """Return the permissions of this role; none for an unknown role."""
    return PANEL_PERMISSIONS.get(PanelRole(role), frozenset()) if role in set(PanelRole) else frozenset()


def principal_of_admin(admin: Admin) -> Principal:
    """Return the principal of an administrator. Roles that may invite may grant every role and group."""
    grants = frozenset({EVERYTHING}) if admin.role in _GRANTING_ROLES else frozenset[str]()
    name = admin.name or admin.email
    return Principal(ActorType.ADMIN, admin.id, name, panel_permissions(admin.role), grants, grants)
