"""Who asks, and how much they may hand out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.access import Level
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import NotAllowed
from latchstring.domain.grant import Bundle

EVERYTHING = "*"

PERMISSIONS = frozenset(
    {
        "invitations:read",
        "invitations:write",
        "invitations:reveal",
        "invitations:accept",
        "content:create",
        "content:read",
        "content:write",
        "access:read",
        "users:read",
        "users:write",
        "groups:read",
        "groups:write",
        "api-keys:write",
        "audit:read",
        EVERYTHING,
    }
)
APP_PERMISSION_PREFIX = "app:"


def is_permission(name: str) -> bool:
    """Whether the name is one of the contract's permissions or a free `app:<name>`."""
    return name in PERMISSIONS or (name.startswith(APP_PERMISSION_PREFIX) and len(name) > len(APP_PERMISSION_PREFIX))


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions from configuration, with what its holders may hand on."""

    key: str
    name: str
    permissions: frozenset[str]
    may_grant: frozenset[str] = frozenset()
    may_grant_groups: frozenset[str] = frozenset()
    description: str = ""


def permits(permissions: frozenset[str], permission: str) -> bool:
    """Whether a set of permissions allows this one; `*` allows all."""
    return permission in permissions or EVERYTHING in permissions


def covers(holder: frozenset[str], wanted: frozenset[str]) -> bool:
    """Whether every wanted permission is among the holder's."""
    return EVERYTHING in holder or wanted <= holder


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an actor with permissions and a ceiling on what may be granted.

    may_grant and may_grant_groups hold keys, or `*` for all.
    """

    type: ActorType
    id: UUID | None
    name: str
    permissions: frozenset[str]
    may_grant: frozenset[str]
    may_grant_groups: frozenset[str]
    session_id: UUID | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.type, self.id)

    def can(self, permission: str) -> bool:
        return permits(self.permissions, permission)

    def require(self, permission: str) -> None:
        """Raise NotAllowed unless the permission is held."""
        if not self.can(permission):
            raise NotAllowed(permission)

    def can_grant_role(self, role: str) -> bool:
        return EVERYTHING in self.may_grant or role in self.may_grant

    def can_grant_group(self, key: str) -> bool:
        return EVERYTHING in self.may_grant_groups or key in self.may_grant_groups or self.can("groups:write")

    def can_grant_groups(self, keys: Iterable[str]) -> bool:
        return all(self.can_grant_group(key) for key in keys)


OPERATOR_PRINCIPAL = Principal(
    ActorType.OPERATOR,
    None,
    "Operator",
    frozenset({EVERYTHING}),
    frozenset({EVERYTHING}),
    frozenset({EVERYTHING}),
)


def role_after(held: str | None, offered: str | None, roles: Mapping[str, Role]) -> str | None:
    """The role somebody has after accepting: the offered one only if it permits all that the held one does."""
    if offered is None or offered not in roles:
        return held
    if held is None or held not in roles:
        return offered
    return offered if covers(roles[offered].permissions, roles[held].permissions) else held


@dataclass(frozen=True, slots=True)
class Sponsor:
    """Whoever sent a link, as they are now. role: of a user in the app, or of an admin in the panel."""

    type: ActorType
    exists: bool = True
    active: bool = True
    role: str | None = None


ADMIN_ROLES_THAT_INVITE = frozenset({"super-admin", "manager"})


def may_still_grant(
    sponsor: Sponsor, bundle: Bundle, roles: Mapping[str, Role], levels: Mapping[UUID, Level] | None = None
) -> bool:
    """Whether a link still holds because its sponsor could send it today.

    Keys, the command line and the system were checked when they sent it. A user needs the ceiling, an admin a role
    that invites; both an account that is there and in use. levels: what the user holds on the bundle's objects.
    """
    if sponsor.type not in {ActorType.USER, ActorType.ADMIN}:
        return True
    if not (sponsor.exists and sponsor.active):
        return False
    if sponsor.type is ActorType.ADMIN:
        return sponsor.role in ADMIN_ROLES_THAT_INVITE
    principal = principal_of_role(roles.get(sponsor.role or ""))
    return is_within_ceiling(principal, bundle) and maintains_all(principal, bundle, levels or {})


def principal_of_role(role: Role | None) -> Principal:
    """What a user of this role may do and hand on; without a role nothing."""
    if role is None:
        return Principal(ActorType.USER, None, "", frozenset(), frozenset(), frozenset())
    return Principal(ActorType.USER, None, "", role.permissions, role.may_grant, role.may_grant_groups)


def find_beyond_ceiling(principal: Principal, role: str | None, groups: Iterable[str]) -> tuple[str | None, list[str]]:
    """What of a role and groups the principal may not hand out."""
    refused = role if role is not None and not principal.can_grant_role(role) else None
    return refused, [key for key in groups if not principal.can_grant_group(key)]


def is_within_ceiling(principal: Principal, bundle: Bundle) -> bool:
    """Whether the principal may hand out the role and the groups that are live in the bundle."""
    role, groups = find_beyond_ceiling(principal, bundle.role, bundle.live_groups)
    return role is None and not groups


def maintains_all(principal: Principal, bundle: Bundle, levels: Mapping[UUID, Level]) -> bool:
    """Whether the principal may hand out the bundle's live rights on objects: they must maintain each of them.

    levels: what they hold on each as owner or by grants.
    """
    if principal.can("content:write"):
        return True
    return all(levels.get(g.target_id, Level.NONE) >= Level.MAINTAINER for g in bundle.content if not g.void)
