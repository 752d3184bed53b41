"""What somebody may choose from when he writes an invitation: roles, groups, and content while he types."""

from collections.abc import Sequence
from dataclasses import dataclass

from latchstring.domain.errors import NotAllowed
from latchstring.domain.principal import Principal, Role
from latchstring.domain.settings import ContentRules, Roles
from latchstring.domain.views.targets import GroupChoice, ObjectChoice
from latchstring.storage.engine.database import Database
from latchstring.storage.invitations.target_search import (
    find_group_choices,
    find_object_choices,
    search_groups,
    search_objects,
)


@dataclass(frozen=True, slots=True)
class Targets:
    """Answers while somebody types. Nothing here grants: the ceiling is judged when the invitation is made."""

    db: Database
    roles: Roles
    content_rules: ContentRules

    def grantable_roles(self, by: Principal) -> tuple[Role, ...]:
        """The roles he may hand out, as configuration orders them."""
        return tuple(role for role in self.roles.values() if by.can_grant_role(role.key))

    async def search_groups(self, text: str, *, by: Principal) -> list[GroupChoice]:
        """A few groups he may invite into whose name or key begins so. Raises NotAllowed."""
        _require(by, "groups:read")
        return [one for one in await search_groups(self.db, text) if by.can_grant_group(one.key)]

    async def find_groups(self, keys: Sequence[str], *, by: Principal) -> list[GroupChoice]:
        """Those of the keys that are groups. Raises NotAllowed."""
        _require(by, "groups:read")
        return await find_group_choices(self.db, keys)

    async def search_objects(self, text: str, *, by: Principal) -> list[ObjectChoice]:
        """A few objects whose title or key begins so; `type/key` finds that one first. Raises NotAllowed."""
        _require(by, "content:read")
        types = tuple(self.content_rules.types)
        found = await search_objects(self.db, text, types=types)
        type_, _, key = text.strip().partition("/")
        exact = await find_object_choices(self.db, [(type_, key)]) if type_ in types and key else {}
        return [*exact.values(), *(one for one in found if (one.type, one.key) not in exact)]

    async def find_objects(
        self, names: Sequence[tuple[str, str]], *, by: Principal
    ) -> dict[tuple[str, str], ObjectChoice]:
        """Those of the (type, key) pairs that are objects. Raises NotAllowed."""
        _require(by, "content:read")
        return await find_object_choices(self.db, names)


def _require(by: Principal, permission: str) -> None:
    # whoever changes all of a kind may look for it, whatever the role calls that
    if not (by.can(permission) or by.can(permission.replace(":read", ":write"))):
        raise NotAllowed(permission)
