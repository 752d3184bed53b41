"""What an invitation gives: a bundle of grants."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID


class GrantKind(IntEnum):
    """What a grant points at."""

    GROUP = 1
    CONTENT = 2


class ContentRole(IntEnum):
    """Rights on one content object; a greater one includes the smaller."""

    VIEWER = 1
    EDITOR = 2
    MAINTAINER = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """One group to join or one right on one object.

    The target's id decides; its key is kept as text, so that history survives the target.
    """

    kind: GrantKind
    target_id: UUID
    target_key: str
    target_type: str | None = None
    role: ContentRole | None = None
    void: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """All an invitation gives: at most one role in the app, and any number of grants."""

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
        return tuple(grant for grant in self.grants if not grant.void)

    @property
    def live_groups(self) -> tuple[str, ...]:
        """Keys of the groups that somebody can still be brought into."""
        return tuple(grant.target_key for grant in self.groups if not grant.void)

    def only(self, target_ids: Collection[UUID]) -> "Bundle":
        """The same bundle without the grants on other targets."""
        return Bundle(self.role, tuple(grant for grant in self.grants if grant.target_id in target_ids))

    @property
    def is_content_only(self) -> bool:
        """It gives rights on objects and nothing else."""
        return self.role is None and not self.groups and bool(self.content)

    @property
    def is_void(self) -> bool:
        """Nothing left to give."""
        return self.role is None and not self.live


def terms_digest(email_key: str, bundle: Bundle) -> UUID:
    """The same for two invitations exactly when they invite one address to the same grants.

    128 bits of SHA-256 as a UUID, which both databases index well. The grants count by target id and
    role, in any order; a void one counts as well, for terms never change.
    """
    parts = [email_key, bundle.role or ""]
    parts += sorted(f"{grant.target_id.hex}:{grant.role or 0:d}" for grant in bundle.grants)
    return UUID(bytes=hashlib.sha256("\0".join(parts).encode()).digest()[:16])
