"""Principals, their permissions, and what they may grant."""

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
    """Whether the name is a known permission or a custom `app:<name>`."""
    return name in PERMISSIONS or (name.startswith(APP_PERMISSION_PREFIX) and len(name) > len(APP_PERMISSION_PREFIX))


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions from configuration, with the roles and groups that its users may grant."""

    key: str
    name: str
    permissions: frozenset[str]
    may_grant: frozenset[str] = frozenset()
    may_grant_groups: frozenset[str] = frozenset()
    description: str = ""


def permits(permissions: frozenset[str], permission: str) -> bool:
    """Whether the set includes the permission; `*` includes all."""
    return permission in permissions or EVERYTHING in permissions


def covers(held_permissions: frozenset[str], required: frozenset[str]) -> bool:
    """Whether the held permissions include all required ones."""
    return EVERYTHING in held_permissions or required <= held_permissions


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: an actor with permissions and a limit on what may be granted.

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
        """Raise NotAllowed unless the principal has the permission."""
        if not self.can(permission):
            raise NotAllowed(permission)

    def can_grant_role(self, role: str) -> bool:
        return EVERYTHING in self.may_grant or role in self.may_grant

    def can_grant_group(self, key: str) -> bool:
        return EVERYTHING in self.may_grant_groups or key in self.may_grant_groups or self.can("groups:write")

    def can_grant_groups(self, keys: Iterable[str]) -> bool:
        return all(self.can_grant_group(key) for key in keys)

    @property
    def can_grant_all_content(self) -> bool:
        """Whether roles on every content object may be granted, whatever the level on it."""
        return self.can("content:write")

    def can_grant_content_at(self, level: Level) -> bool:
        """Whether roles on a content object may be granted at this level from ownership and grants."""
        return level >= Level.MAINTAINER or self.can_grant_all_content


OPERATOR_PRINCIPAL = Principal(
    ActorType.OPERATOR,
    None,
    "Operator",
    frozenset({EVERYTHING}),
    frozenset({EVERYTHING}),
    frozenset({EVERYTHING}),
)


def resolve_role(current: str | None, offered: str | None, roles: Mapping[str, Role]) -> str | None:
    """Return the user's role after accepting: the offered one if it has all permissions of the current one."""
    if offered is None or offered not in roles:
        return current
    if current is None or current not in roles:
        return offered
    return offered if covers(roles[offered].permissions, roles[current].permissions) else current


@dataclass(frozen=True, slots=True)
class Sponsor:
    """The current state of the actor who sent a link. role: of a user in the app, or of an administrator."""

    type: ActorType
    exists: bool = True
    active: bool = True
    role: str | None = None


INVITING_ADMIN_ROLES = frozenset({"super-admin", "manager"})


def may_still_grant(
    sponsor: Sponsor, bundle: Bundle, roles: Mapping[str, Role], levels: Mapping[UUID, Level] | None = None
) -> bool:
    """Whether the sponsor of a link may still grant what it carries.

    API keys, operators and the system were checked when they sent the link. Users and administrators need an active
    account: a user must be allowed to grant the bundle, an administrator needs a role that invites. levels: of the
    user on the bundle's content objects.
    """
    if sponsor.type not in {ActorType.USER, ActorType.ADMIN}:
        return True
    if not (sponsor.exists and sponsor.active):
        return False
    if sponsor.type is ActorType.ADMIN:
        return sponsor.role in INVITING_ADMIN_ROLES
    principal = principal_of_role(roles.get(sponsor.role or ""))
    return is_within_ceiling(principal, bundle) and can_grant_content(principal, bundle, levels or {})


def principal_of_role(role: Role | None) -> Principal:
    """Return a principal with the permissions of a role; without a role it has none."""
    if role is None:
        return Principal(ActorType.USER, None, "", frozenset(), frozenset(), frozenset())
    return Principal(ActorType.USER, None, "", role.permissions, role.may_grant, role.may_grant_groups)


def find_beyond_ceiling(principal: Principal, role: str | None, groups: Iterable[str]) -> tuple[str | None, list[str]]:
    """Return the role, or None, and the groups that the principal may not grant."""
    refused = role if role is not None and not principal.can_grant_role(role) else None
    return refused, [key for key in groups if not principal.can_grant_group(key)]


def is_within_ceiling(principal: Principal, bundle: Bundle) -> bool:
    """Whether the principal may grant the role and the live groups of the bundle."""
    role, groups = find_beyond_ceiling(principal, bundle.role, bundle.live_groups)
    return role is None and not groups


def can_grant_content(principal: Principal, bundle: Bundle, levels: Mapping[UUID, Level]) -> bool:
    """Whether the principal may grant the bundle's live roles on content objects.

    levels: the principal's level on each object from ownership and grants.
    """
    return principal.can_grant_all_content or all(
        principal.can_grant_content_at(levels.get(grant.target_id, Level.NONE))
        for grant in bundle.content
        if not grant.is_void
    )
