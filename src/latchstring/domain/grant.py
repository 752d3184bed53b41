"""The grants of an invitation."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID


class GrantKind(IntEnum):
    """The kind of a grant's target."""

    GROUP = 1
    CONTENT = 2


class ContentRole(IntEnum):
    """Roles on a content object. A higher role includes the lower ones."""

    VIEWER = 1
    EDITOR = 2
    MAINTAINER = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """Membership in a group, or a role on a content object.

    The target is identified by its id. Its key is a copy, so that it stays readable after the target is deleted.
    """

    kind: GrantKind
    target_id: UUID
    target_key: str
    target_type: str | None = None
    role: ContentRole | None = None
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that an invitation grants: at most one role in the app, and any number of grants."""

    role: str | None
    grants: tuple[Grant, ...] = ()

    @property
    def groups(self) -> tuple[Grant, ...]:
        return tuple(grant for grant in self.grants if grant.kind is GrantKind.GROUP)

    @property
    def content(self) -> tuple[Grant, ...]:
        return tuple(grant for grant in self.grants if grant.kind is GrantKind.CONTENT)

    @property
    def live(self) -> tuple[Grant, ...]:
        return tuple(grant for grant in self.grants if not grant.is_void)

    @property
    def live_groups(self) -> tuple[str, ...]:
        """Keys of the groups whose grants are not void."""
        return tuple(grant.target_key for grant in self.groups if not grant.is_void)

    def only(self, target_ids: Collection[UUID]) -> "Bundle":
        """Return the bundle without the grants on other targets."""
        return Bundle(self.role, tuple(grant for grant in self.grants if grant.target_id in target_ids))

    @property
    def is_content_only(self) -> bool:
        """Whether it grants roles on content objects and nothing else."""
        return self.role is None and not self.groups and bool(self.content)

    @property
    def single_object(self) -> Grant | None:
        """The grant on a content object, if that is everything: such an invitation has a landing page of its own."""
        return self.content[0] if len(self.grants) == 1 and self.is_content_only else None

    @property
    def is_void(self) -> bool:
        """Whether it has no role and every grant is void."""
        return self.role is None and not self.live


def terms_digest(email_key: str, bundle: Bundle) -> UUID:
    """Return a digest that is equal exactly when two invitations have the same address, role and grants.

    128 bits of SHA-256 as a UUID, which both databases index well. Grants are compared by target id and role, in any
    order. Void grants are included, because the terms of an invitation never change.
    """
    fields = [email_key, bundle.role or ""]
    fields += sorted(f"{grant.target_id.hex}:{grant.role or 0:d}" for grant in bundle.grants)
    return UUID(bytes=hashlib.sha256("\0".join(fields).encode()).digest()[:16])
