"""Objects as those see and change them who look after all of them, one grant at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from latchstring.content.changes import describe_change, lock_object, transfer
from latchstring.content.dependencies import WRITE, ContentDependencies
from latchstring.content.invitation_grants import withdraw_invitation_grants
from latchstring.content.read import READ_ACCESS, is_key, subject_of
from latchstring.domain.access import ContentObject, Level, PendingInvitation, SubjectKind, Visibility
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import ContentNotFound, GroupNotFound, NotAllowed, UserNotFound
from latchstring.domain.event import happened
from latchstring.domain.grant import ContentRole
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.views.content import GrantedObject, Holder
from latchstring.events.record import record
from latchstring.storage.content.grants import remove_grant, set_grant
from latchstring.storage.content.invitations import list_pending_invitations
from latchstring.storage.content.lists import (
    OwnedObject,
    count_granted,
    count_holders,
    count_owned,
    list_granted,
    list_group_holders,
    list_objects,
    list_owned,
    list_user_holders,
)
from latchstring.storage.content.objects import (
    find_object,
    load_access,
    replace_access,
    share_lock_groups,
    share_lock_users,
    update_object,
)
from latchstring.storage.engine.database import Work
from latchstring.storage.groups.lists import count_pending_invitations
from latchstring.storage.invitations.cascade import void_target


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChanges:
    """What changes of who may see an object; everything else stays as it is by then.

    users, groups: who gets exactly this role, greater or smaller than before; groups by key. withdrawn: ids of those
    who lose what they have.
    """

    visibility: Visibility | None = None
    users: Mapping[UUID, ContentRole] = field(default_factory=dict)
    groups: Mapping[str, ContentRole] = field(default_factory=dict)
    withdrawn: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class ChangedAccess:
    """What became of a change. missing: who had nothing left to lose."""

    visibility: Visibility
    missing: frozenset[UUID]


@dataclass(frozen=True)
class ContentOperations:
    """Every object, for holders of `access:read`; changed by holders of `content:write`."""

    deps: ContentDependencies

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def search(  # what a list is asked for
        self, type_: str, q: str | None, *, by: Principal, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[OwnedObject]:
        """A page of the objects of a type. q: a prefix of title or key. Orders: createdAt, title.

        Raises NotAllowed, ContentNotFound for an unknown type.
        """
        by.require(READ_ACCESS)
        key = self.deps.get_type(type_).key
        return await list_objects(self.deps.db, key, q, order=order, cursor=cursor, limit=limit)

    async def get(self, type_: str, key: str, *, by: Principal) -> ContentObject:
        """Any object. Raises NotAllowed, ContentNotFound."""
        by.require(READ_ACCESS)
        found = await find_object(self.deps.db, self.deps.get_type(type_).key, key) if is_key(key) else None
        if found is None:
            raise ContentNotFound("There is no such object.")
        return found

    async def list_user_holders(
        self, one: ContentObject, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[Holder]:
        """Users an object is shared with. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_user_holders(self.deps.db, one.id, cursor=cursor)

    async def list_group_holders(self, one: ContentObject, *, by: Principal) -> Sequence[Holder]:
        """Groups an object is shared with. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_group_holders(self.deps.db, one.id)

    async def count_holders(self, one: ContentObject, *, by: Principal) -> Count:
        """How many users and groups an object is shared with. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_holders(self.deps.db, one.id)

    async def count_pending_invitations(self, one: ContentObject, *, by: Principal) -> Count:
        """How many invitations to an object are pending. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_pending_invitations(self.deps.db, one.id, now=self.deps.clock())

    async def list_pending(self, one: ContentObject, *, by: Principal) -> tuple[Sequence[PendingInvitation], bool]:
        """The newest who are on the way to an object, and whether there are more. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_pending_invitations(self.deps.db, one.id, now=self.deps.clock())

    async def list_granted(
        self, subject_id: UUID, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[GrantedObject]:
        """What a user or a group was given. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_granted(self.deps.db, subject_id, cursor=cursor)

    async def count_granted(self, subject_id: UUID, *, by: Principal) -> Count:
        """How many objects a user or a group was given a role on. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_granted(self.deps.db, subject_id)

    async def list_owned(self, user_id: UUID, *, by: Principal) -> Page[GrantedObject]:
        """The first of what a user owns. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_owned(self.deps.db, user_id)

    async def count_owned(self, user_id: UUID, *, by: Principal) -> Count:
        """How many objects a user owns. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_owned(self.deps.db, user_id)

    # ---- changing ----------------------------------------------------------------------------------------------------

    async def change_access(self, one: ContentObject, changes: AccessChanges, *, by: Principal) -> ChangedAccess:
        """Change some of who may see an object, on top of whatever others have changed meanwhile.

        PRIVATE clears all grants and voids those in open invitations; a grant on a PRIVATE object makes it SHARED,
        SHARED with nobody left becomes PRIVATE and voids nothing. The owner needs no grant and gets none.
        Raises ContentNotFound, NotAllowed, UserNotFound, GroupNotFound; then nothing is changed.
        """
        subject, now = subject_of(by), self.deps.clock()
        is_closing = changes.visibility is Visibility.PRIVATE

        def work() -> Work[ChangedAccess]:
            seen = yield from lock_object(subject, one.id, Level.MAINTAINER, closing=is_closing)
            before = (yield from load_access([one.id]))[one.id].grants
            if is_closing:
                after: Mapping[UUID, ContentRole] = {}
                yield from replace_access(self.deps.db.dialect_name, seen.object, {})
                yield from void_target(one.id, cause="content-private", by=by.actor, now=now)
            else:
                after = yield from _write(self.deps.db.dialect_name, seen.object, before, changes)
            visibility = _visibility_after(seen.object.visibility, changes.visibility, is_shared=bool(after))
            if visibility is not seen.object.visibility:
                yield update_object(replace(seen.object, visibility=visibility))
            if visibility is not seen.object.visibility or after != before:
                facts = {"visibility": visibility.name, **describe_change(before, after)}
                yield record(happened("content.access_changed", one.id, by=by.actor, now=now, **facts))
            return ChangedAccess(visibility, changes.withdrawn - before.keys())

        return await self.deps.db.transact(work)

    async def withdraw_invitation(self, one: ContentObject, invitation_id: UUID, *, by: Principal) -> bool:
        """End what a pending invitation gives on this object; one that gives nothing else is revoked.

        False when there was nothing to end any more. Raises NotAllowed.
        """
        by.require(WRITE)
        now = self.deps.clock()
        return await self.deps.db.transact(
            lambda: withdraw_invitation_grants(invitation_id, [one.id], by=by.actor, now=now)
        )

    async def hand_over(self, one: ContentObject, new_owner_id: UUID, *, by: Principal) -> None:
        """Give an object a new owner in an administrator's name; who owned it becomes MAINTAINER.

        No permission of users or keys allows this: administrators do it for owners who have gone.
        Raises NotAllowed, ContentNotFound, UserNotFound.
        """
        by.require(WRITE)
        if by.type is not ActorType.ADMIN:
            raise NotAllowed(WRITE)
        await transfer(self.deps, one, new_owner_id, by=by, need=Level.MAINTAINER)


def _write(
    dialect_name: str, one: ContentObject, before: Mapping[UUID, ContentRole], changes: AccessChanges
) -> Work[dict[UUID, ContentRole]]:
    """The grants as they are afterwards. Whoever is given one exists until the commit."""
    found = yield from share_lock_groups(changes.groups)
    if missing := sorted(changes.groups.keys() - found.keys()):
        raise GroupNotFound(f"There is no group {missing[0]}.")
    if unknown := changes.users.keys() - (yield from share_lock_users(changes.users)):
        raise UserNotFound(f"There is no user {min(unknown)}.")
    given = {user_id: (SubjectKind.USER, role) for user_id, role in changes.users.items() if user_id != one.owner_id}
    given |= {found[key]: (SubjectKind.GROUP, role) for key, role in changes.groups.items()}
    after = dict(before)
    for subject_id, (kind, role) in given.items():
        yield set_grant(dialect_name, one, subject_id, kind, role)
        after[subject_id] = role
    for subject_id in changes.withdrawn & after.keys():
        yield remove_grant(one.id, subject_id)
        del after[subject_id]
    return after


def _visibility_after(present: Visibility, wanted: Visibility | None, *, is_shared: bool) -> Visibility:
    if (present if wanted is None else wanted) is Visibility.PUBLIC:
        return Visibility.PUBLIC
    return Visibility.SHARED if is_shared else Visibility.PRIVATE
