"""API keys: create, list, revoke."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.api_key import ApiKey
from latchstring.domain.errors import ApiKeyNotFound, FieldProblem, GrantNotAllowed, InvalidFields
from latchstring.domain.event import new_event
from latchstring.domain.ids import new_id
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.principal import EVERYTHING, Principal, is_permission
from latchstring.events.record import record
from latchstring.storage.engine.database import Work
from latchstring.storage.events.actor_names import find_named
from latchstring.storage.invitations.cascade import revoke_invitations_of
from latchstring.storage.users.api_keys import find_key, insert_key, list_keys, new_api_key_secret, revoke_key
from latchstring.users.dependencies import UserDependencies
from latchstring.users.grant_limits import check_scopes


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A key that was just created. secret: shown only once, never stored."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """API keys of backends."""

    deps: UserDependencies

    async def create(
        self,
        *,
        by: Principal,
        name: str,
        scopes: Sequence[str],
        may_grant: Sequence[str] | None = None,
        may_grant_groups: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedApiKey:
        """Create a key. By default it may grant nothing, and with scope `*` everything that its creator may.

        A key created by a key expires no later than that key; otherwise a temporary key could create a permanent one.
        Raises InvalidFields for unknown scopes, roles and a past end, GrantNotAllowed beyond the creator's ceiling.
        """
        scope_set = frozenset(scopes)
        roles = self._granted(may_grant, by.may_grant, scope_set)
        groups = self._granted(may_grant_groups, by.may_grant_groups, scope_set)
        problems = self.find_problems(scopes=scopes, may_grant=may_grant or (), expires_at=expires_at)
        if problems:
            raise InvalidFields(problems)
        check_scopes(by, scopes=scope_set, may_grant=roles, may_grant_groups=groups)
        end = await self._end_within(by, expires_at)
        now = self.deps.clock()
        key = ApiKey(new_id(now), name, scope_set, roles, groups, by.actor, end)
        secret = new_api_key_secret()
        event = new_event("api_key.created", key.id, by=by.actor, now=now, scopes=sorted(scope_set))

        def work() -> Work[None]:
            yield insert_key(key, secret.digest)
            yield record(event)

        await self.deps.db.transact(work)
        return CreatedApiKey(key, secret.token)

    def find_problems(
        self, *, scopes: Sequence[str], may_grant: Sequence[str], expires_at: datetime | None
    ) -> list[FieldProblem]:
        """The problems of a new key, independent of its creator."""
        problems = [] if scopes else [FieldProblem("/scopes", "required", "Choose at least one scope.")]
        for i, scope in enumerate(scopes):
            if not is_permission(scope):
                problems.append(FieldProblem(f"/scopes/{i}", "unknown-permission", f"There is no permission {scope}."))
        for i, role in enumerate(may_grant):
            if role != EVERYTHING and role not in self.deps.roles:
                problems.append(FieldProblem(f"/mayGrant/{i}", "unknown-role", f"There is no role {role}."))
        if expires_at is not None and expires_at <= self.deps.clock():
            problems.append(FieldProblem("/expiresAt", "in-the-past", "Choose a time in the future."))
        return problems

    async def list_page(self, *, order: SortOrder, cursor: Cursor | None = None, limit: int) -> Page[ApiKey]:
        """A page of the keys that were not revoked."""
        return await list_keys(self.deps.db, order=order, cursor=cursor, limit=limit)

    async def get(self, key_id: UUID) -> ApiKey:
        """A key that was not revoked. Raises ApiKeyNotFound."""
        key = await find_key(self.deps.db, key_id)
        if key is None:
            raise ApiKeyNotFound("There is no such API key.")
        return key

    async def find_creators(self, keys: Sequence[ApiKey]) -> dict[UUID, str]:
        """The present names of the creators of these keys; deleted ones are missing."""
        named = await find_named(self.deps.db, (key.created_by.id for key in keys if key.created_by.id is not None))
        return {id_: creator.label for id_, creator in named.items()}

    async def revoke(self, key_id: UUID, *, by: Principal, end_invitations: bool = False) -> None:
        """Revoke a key at once. end_invitations: also revoke its open invitations. Raises ApiKeyNotFound.

        No ceiling applies: every holder of `api-keys:write` must be able to stop a leaked key.
        """
        now = self.deps.clock()
        event = new_event("api_key.revoked", key_id, by=by.actor, now=now, endInvitations=end_invitations)

        def work() -> Work[None]:
            if not (yield from revoke_key(key_id, now=now)):
                raise ApiKeyNotFound("There is no such API key.")
            if end_invitations:
                sender = Actor(ActorType.API_KEY, key_id)
                yield from revoke_invitations_of(sender, cause="api-key-revoked", by=by.actor, now=now)
            yield record(event)

        await self.deps.db.transact(work)
        self.deps.api_key_cache.clear()

    async def _end_within(self, by: Principal, requested: datetime | None) -> datetime | None:
        if by.type is not ActorType.API_KEY or by.id is None:
            return requested
        creator = await find_key(self.deps.db, by.id)
        latest = creator.expires_at if creator else self.deps.clock()
        if latest is not None and requested is not None and requested > latest:
            raise GrantNotAllowed("A key cannot expire later than the key that creates it.")
        return requested or latest

    def _granted(
        self, granted: Sequence[str] | None, ceiling: frozenset[str], scopes: frozenset[str]
    ) -> frozenset[str]:
        if granted is not None:
            return frozenset(granted)
        return ceiling if EVERYTHING in scopes else frozenset()
