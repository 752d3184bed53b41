"""Who asks, and how much they may hand out."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.errors import NotAllowed
from latchstring.domain.values import Actor, ActorType

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
