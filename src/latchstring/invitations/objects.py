"""Content objects in invitations: which are meant, who may hand them out, who has them already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.domain.access import ContentObject, Level, Visibility
from latchstring.domain.errors import ContentNotFound, GrantNotAllowed
from latchstring.domain.grant import Bundle, ContentRole, Grant, GrantKind
from latchstring.domain.policy import ContentRules
from latchstring.domain.principal import Principal, maintains_all
from latchstring.domain.values import ActorType
from latchstring.storage.accounts import find_user_by_email_key
from latchstring.storage.content import find_levels, find_objects, has_own_access
from latchstring.storage.engine import Database

Wanted = Sequence[tuple[str, str, str]]  # type or its singular, key, role


@dataclass(frozen=True, slots=True)
class Objects:
    """Answers questions about the objects of an invitation."""

    db: Database
    rules: ContentRules

    async def grants_of(self, wanted: Wanted, by: Principal) -> tuple[Grant, ...]:
        """The grants somebody asks to hand out. Raises ContentNotFound for what he may not even view, else
        GrantNotAllowed unless he maintains it.
        """
        named = {(self._type(type_), key): ContentRole[role] for type_, key, role in wanted}
        found = await find_objects(self.db, named)
        levels = await self.levels_of(by, [one.id for one in found.values()])
        for name in named:
            _check_visible(name, found.get(name), levels, by)
        for name, one in found.items():
            if not by.can("content:write") and levels.get(one.id, Level.NONE) < Level.MAINTAINER:
                raise GrantNotAllowed(f"Only maintainers of {name[0]} {name[1]} may invite to it.")
        grants = [
            Grant(GrantKind.CONTENT, found[name].id, name[1], name[0], role) for name, role in sorted(named.items())
        ]
        return tuple(grants)

    async def levels_of(self, by: Principal, ids: Iterable[UUID]) -> Mapping[UUID, Level]:
        """What a principal holds on objects as a user; permissions are asked apart."""
        return await find_levels(self.db, by.id if by.type is ActorType.USER else None, ids)

    async def check_ceiling(self, by: Principal, bundle: Bundle) -> None:
        """Raise GrantNotAllowed unless the principal maintains every object that is live in the bundle."""
        levels = await self.levels_of(by, [grant.target_id for grant in bundle.content])
        if not maintains_all(by, bundle, levels):
            raise GrantNotAllowed("Only maintainers of an object may invite to it.")

    async def is_registered(self, email_key: str) -> bool:
        """Whether somebody has proved to be at this address."""
        user = await find_user_by_email_key(self.db, email_key)
        return user is not None and user.email_verified

    async def has_all(self, email_key: str, bundle: Bundle) -> bool:
        """Whether the person of this address holds every right of the bundle already.

        Where addresses must not be probed, only what stands in an object's own access list counts.
        """
        user = await find_user_by_email_key(self.db, email_key)
        if user is None or not user.email_verified:
            return False
        ids = [grant.target_id for grant in bundle.content]
        if not self.rules.allow_unregistered_users and not await has_own_access(self.db, user.id, ids):
            return False
        levels = await find_levels(self.db, user.id, ids)
        return all(levels.get(g.target_id, Level.NONE) >= Level(g.role or ContentRole.VIEWER) for g in bundle.content)

    def _type(self, name: str) -> str:
        """The declared type; its singular is an alias. Raises ContentNotFound."""
        if name in self.rules.types:
            return name
        for type_ in self.rules.types.values():
            if type_.singular == name:
                return type_.key
        raise ContentNotFound(f"There is no content type {name}.")


def _check_visible(
    name: tuple[str, str], one: ContentObject | None, levels: Mapping[UUID, Level], by: Principal
) -> None:
    # an object that went away between the two reads has no level
    visible = (
        one is not None
        and one.id in levels
        and (
            levels.get(one.id, Level.NONE) >= Level.VIEWER
            or one.visibility is Visibility.PUBLIC
            or by.can("content:read")
            or by.can("content:write")
        )
    )
    if not visible:
        raise ContentNotFound(f"There is no {name[0]} {name[1]}.")
