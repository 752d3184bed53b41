"""The roles, groups and content objects that an inviter can choose from."""

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
    """Searches targets while an inviter types. The ceiling is checked when the invitation is created."""

    db: Database
    roles: Roles
    content_rules: ContentRules

    def grantable_roles(self, by: Principal) -> tuple[Role, ...]:
        """The roles that the caller may grant, in the order of the configuration."""
        return tuple(role for role in self.roles.values() if by.can_grant_role(role.key))

    async def search_groups(self, text: str, *, by: Principal) -> list[GroupChoice]:
        """A few groups that the caller may grant, by a prefix of name or key. Raises NotAllowed."""
        _require(by, "groups:read")
        return [group for group in await search_groups(self.db, text) if by.can_grant_group(group.key)]

    async def find_groups(self, keys: Sequence[str], *, by: Principal) -> list[GroupChoice]:
        """Those of the keys that are groups. Raises NotAllowed."""
        _require(by, "groups:read")
        return await find_group_choices(self.db, keys)

    async def search_objects(self, text: str, *, by: Principal) -> list[ObjectChoice]:
        """A few objects, by a prefix of title or key; `type/key` puts that object first. Raises NotAllowed."""
        _require(by, "content:read")
        types = tuple(self.content_rules.types)
        choices = await search_objects(self.db, text, types=types)
        type_, _, key = text.strip().partition("/")
        exact_matches = await find_object_choices(self.db, [(type_, key)]) if type_ in types and key else {}
        return [
            *exact_matches.values(),
            *(choice for choice in choices if (choice.type, choice.key) not in exact_matches),
        ]

    async def find_objects(
        self, names: Sequence[tuple[str, str]], *, by: Principal
    ) -> dict[tuple[str, str], ObjectChoice]:
        """Those of the (type, key) pairs that are objects. Raises NotAllowed."""
        _require(by, "content:read")
        return await find_object_choices(self.db, names)


def _require(by: Principal, permission: str) -> None:
    # a role that may change all of a kind may search it, even if it does not name the read permission
    if not (by.can(permission) or by.can(permission.replace(":read", ":write"))):
        raise NotAllowed(permission)
