"""What each role of the panel may do. One table decides what is shown and what is answered."""

from collections.abc import Mapping
from enum import StrEnum

from latchstring.domain.account import Admin
from latchstring.domain.actor import ActorType
from latchstring.domain.principal import EVERYTHING, Principal


class PanelRole(StrEnum):
    """The roles of administrators. They have nothing to do with the roles of users."""

    SUPER_ADMIN = "super-admin"
    MANAGER = "manager"
    VIEWER = "viewer"


# Permissions that mean something in the panel only; the others are the contract's, as roles and API keys have them.
ADMINS_WRITE = "admins:write"
MAIL_READ = "mail:read"
MAIL_WRITE = "mail:write"
SETTINGS_READ = "settings:read"
TEMPLATES_WRITE = "templates:write"

_READING = frozenset(
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
_MANAGING = _READING | {
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
    PanelRole.MANAGER: _MANAGING,
    PanelRole.VIEWER: _READING,
}
_GRANTING = frozenset({PanelRole.SUPER_ADMIN, PanelRole.MANAGER})


def panel_permissions(role: str) -> frozenset[str]:
    """What an administrator of this role may do; a role nobody knows may do nothing."""
    return PANEL_PERMISSIONS.get(PanelRole(role), frozenset()) if role in set(PanelRole) else frozenset()


def principal_of_admin(admin: Admin) -> Principal:
    """An administrator as the services know who asks. Those who may invite may grant every role and group."""
    grants = frozenset({EVERYTHING}) if admin.role in _GRANTING else frozenset[str]()
    name = admin.name or admin.email
    return Principal(ActorType.ADMIN, admin.id, name, panel_permissions(admin.role), grants, grants)
