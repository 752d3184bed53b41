"""The service for groups: create, rename, delete, and change members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from latchstring.domain.account import User
from latchstring.domain.actor import ActorType
from latchstring.domain.clock import Clock
from latchstring.domain.errors import ChangedMeanwhile, GroupKeyTaken, GroupNotFound, NotAllowed, UserNotFound
from latchstring.domain.event import new_event
from latchstring.domain.group import Group, GroupText
from latchstring.domain.idempotency import Once
from latchstring.domain.ids import NIL_ID, new_id
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.views.users import UserSearch
from latchstring.events.record import record
from latchstring.storage.content.grants import check_no_access_left, delete_grants_of_subject
from latchstring.storage.engine.database import Database, ReferenceViolation, UniqueViolation, Work
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.groups.groups import (
    delete_group,
    find_group,
    find_groups,
    insert_group,
    is_member,
    load_group,
    lock_group,
    replace_group,
)
from latchstring.storage.groups.lists import (
    CountedGroup,
    count_members,
    count_pending_invitations,
    list_counted_groups,
    list_groups,
)
from latchstring.storage.invitations.cascade import void_target
from latchstring.storage.users.lists import list_users
from latchstring.storage.users.users import find_user, join_groups, leave_groups

READ = "groups:read"
WRITE = "groups:write"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTexts:
    """The name and description of a group, with translations."""

    name: str
    description: str | None = None
    translations: Mapping[str, GroupText] = field(default_factory=dict)


def texts_of(group: Group) -> GroupTexts:
    """The present texts of a group."""
    return GroupTexts(name=group.name, description=group.description, translations=group.translations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Groups: named sets of users."""

    db: Database
    clock: Clock

    # ---- read --------------------------------------------------------------------------------------------------------

    async def find_by_keys(self, keys: Sequence[str]) -> dict[str, Group]:
        """The existing groups of these keys. For other services: permissions are not checked."""
        return await find_groups(self.db, keys)

    async def find_id(self, key: str) -> UUID:
        """The id of a group; the nil UUID, which no group has, for an unknown key."""
        group = await find_group(self.db, key)
        return NIL_ID if group is None else group.id

    async def list_page(
        self, *, by: Principal, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[Group]:
        """A page of the groups the caller may see: all with `groups:read`, else a user's own. Orders: createdAt, name.

        Raises NotAllowed for an API key without the permission: it is not a member of any group.
        """
        if by.can(READ):
            member_id = None
        elif by.type is ActorType.USER:
            member_id = by.id
        else:
            raise NotAllowed(READ)
        return await list_groups(self.db, member_id=member_id, order=order, cursor=cursor, limit=limit)

    async def get(self, key: str, *, by: Principal) -> Group:
        """A group, for callers with `groups:read` and its members. Raises GroupNotFound for everybody else."""
        group = await find_group(self.db, key)
        if group is None or not await self._may_see(by, group):
            raise GroupNotFound(f"There is no group {key}.")
        return group

    async def list_members(
        self, key: str, *, by: Principal, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[User]:
        """A page of the group's members. Orders: createdAt, email, name. Raises GroupNotFound."""
        group = await self.get(key, by=by)
        return await list_users(self.db, UserSearch(group_id=group.id), order=order, cursor=cursor, limit=limit)

    # ---- lists for the panel -----------------------------------------------------------------------------------------

    async def search(
        self, q: str | None, *, by: Principal, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[CountedGroup]:
        """A page of groups. q: a prefix of name or key. Orders: createdAt, name. Raises NotAllowed."""
        by.require(READ)
        return await list_counted_groups(self.db, q, order=order, cursor=cursor, limit=limit)

    async def count_members(self, group: Group, *, by: Principal) -> Count:
        """How many users are in a group. Raises NotAllowed."""
        by.require(READ)
        return await count_members(self.db, group.id)

    async def count_pending_invitations(self, group: Group, *, by: Principal) -> Count:
        """How many invitations into a group are pending. Raises NotAllowed."""
        by.require(READ)
        return await count_pending_invitations(self.db, group.id, now=self.clock())

    # ---- rules -------------------------------------------------------------------------------------------------------

    async def require_write(self, key: str, *, by: Principal) -> None:
        """Raise GroupNotFound for callers that may not see the group, NotAllowed for those that may only see it."""
        if not by.can(WRITE):
            await self.get(key, by=by)
            raise NotAllowed(WRITE)

    async def _may_see(self, by: Principal, group: Group) -> bool:
        if by.can(READ):
            return True
        return by.type is ActorType.USER and by.id is not None and await is_member(self.db, by.id, group.id)

    # ---- change ------------------------------------------------------------------------------------------------------

    async def create(self, key: str, texts: GroupTexts, *, by: Principal, once: Once | None = None) -> Group:
        """Create a group. Raises GroupKeyTaken, and AnswerStored when the idempotency key was used."""
        by.require(WRITE)
        now = self.clock()
        group = Group(new_id(now), key, texts.name, texts.description, texts.translations)
        event = new_event("group.created", group.id, by=by.actor, now=now, key=key)

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(group)
                yield from store_answer(self.db.dialect_name, once.claim, answer, subject_id=group.id, now=now)
            yield insert_group(group)
            yield record(event)

        try:
            await self.db.transact(work)
        except UniqueViolation as violation:
            if violation.constraint != "uq_groups_key":
                raise
            raise GroupKeyTaken(f"A group {key} already exists.") from violation
        return group

    async def replace(self, key: str, texts: GroupTexts, *, by: Principal, before: GroupTexts | None = None) -> Group:
        """Replace the texts of a group; its key, members and grants stay.

        before: the texts that it must still have, or None. Raises GroupNotFound, ChangedMeanwhile.
        """
        await self.require_write(key, by=by)
        now = self.clock()
        replacement = Group(new_id(now), key, texts.name, texts.description, texts.translations)

        def work() -> Work[Group]:
            if before is not None:
                present = yield from lock_group(key)
                if present is not None and texts_of(present) != before:
                    raise ChangedMeanwhile("The group was changed by somebody else.")
            group = yield from replace_group(replacement)
            if group is None:
                raise GroupNotFound(f"There is no group {key}.")
            yield record(new_event("group.updated", group.id, by=by.actor, now=now))
            return group

        return await self.db.transact(work)

    async def delete(self, key: str, *, by: Principal) -> None:
        """Delete a group with its memberships and grants; grants of it in open invitations become void.

        A group created later with the same key has another id, so it does not get anything back. Raises GroupNotFound.
        """
        await self.require_write(key, by=by)
        now = self.clock()

        def work() -> Work[None]:
            # content before the group: one order of locks everywhere, so that nothing deadlocks
            read_group = yield from load_group(key)
            if read_group is not None:
                yield from delete_grants_of_subject(read_group.id)
            group = yield from lock_group(key)
            if group is None:
                raise GroupNotFound(f"There is no group {key}.")
            yield from check_no_access_left(group.id)
            yield from void_target(group.id, cause="group-deleted", by=by.actor, now=now)
            yield delete_group(group.id)
            yield record(new_event("group.deleted", group.id, by=by.actor, now=now, key=key))

        await self.db.transact(work)

    # ---- members -----------------------------------------------------------------------------------------------------

    async def add_member(self, key: str, user_id: UUID, *, by: Principal) -> None:
        """Add a user to a group; does nothing for a member. Raises GroupNotFound, UserNotFound."""
        await self.require_write(key, by=by)
        now = self.clock()
        if await find_user(self.db, user_id) is None:
            await self._refuse_unknown(key)
            raise UserNotFound("There is no such user.")

        def work() -> Work[None]:
            group = yield from load_group(key)
            if group is None:
                raise GroupNotFound(f"There is no group {key}.")
            joined_rows = yield join_groups(self.db.dialect_name, user_id, [group.id])
            if joined_rows:
                data = {"userId": str(user_id)}
                yield record(new_event("group.member_added", group.id, by=by.actor, now=now, **data))

        try:
            await self.db.transact(work)
        except ReferenceViolation as gone:  # the user or the group was deleted since it was read
            await self._refuse_unknown(key)
            raise UserNotFound("There is no such user.") from gone

    async def remove_member(self, key: str, user_id: UUID, *, by: Principal) -> None:
        """Remove a user from a group; does nothing for a user who is not in it. Raises GroupNotFound."""
        await self.require_write(key, by=by)
        now = self.clock()

        def work() -> Work[None]:
            group = yield from load_group(key)
            if group is None:
                raise GroupNotFound(f"There is no group {key}.")
            left_rows = yield leave_groups(user_id, [group.id])
            if left_rows:
                data = {"userId": str(user_id)}
                yield record(new_event("group.member_removed", group.id, by=by.actor, now=now, **data))

        await self.db.transact(work)

    async def _refuse_unknown(self, key: str) -> None:
        if await find_group(self.db, key) is None:
            raise GroupNotFound(f"There is no group {key}.")
