"""Operations of content administrators on every object: search, read and change access, transfer ownership."""

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
from latchstring.domain.event import new_event
from latchstring.domain.grant import ContentRole
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.views.content import GrantedObject, Holder
from latchstring.events.record import record
from latchstring.storage.content.grants import load_access, remove_grant, replace_access, set_grant
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
from latchstring.storage.content.objects import find_object, update_object
from latchstring.storage.engine.database import Work
from latchstring.storage.groups.groups import share_lock_groups
from latchstring.storage.groups.lists import count_pending_invitations
from latchstring.storage.invitations.cascade import void_target
from latchstring.storage.users.users import share_lock_users


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChanges:
    """Changes of the access to an object; everything else stays as it is in the database.

    users, groups: new roles, higher or lower than before; groups by key. withdrawn: ids of users and groups that lose
    their grants.
    """

    visibility: Visibility | None = None
    users: Mapping[UUID, ContentRole] = field(default_factory=dict)
    groups: Mapping[str, ContentRole] = field(default_factory=dict)
    withdrawn: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class ChangedAccess:
    """The result of a change of access. missing: ids to be withdrawn that had no grant."""

    visibility: Visibility
    missing: frozenset[UUID]


@dataclass(frozen=True)
class ContentOperations:
    """Every object, for holders of `access:read`; changed by holders of `content:write`."""

    deps: ContentDependencies

    # ---- read --------------------------------------------------------------------------------------------------------

    async def search(
        self, type_: str, q: str | None, *, by: Principal, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[OwnedObject]:
        """A page of the objects of a type. q: a prefix of title or key. Orders: createdAt, title.

        Raises NotAllowed, ContentNotFound for an unknown type.
        """
        by.require(READ_ACCESS)
        key = self.deps.rules.get_type(type_).key
        return await list_objects(self.deps.db, key, q, order=order, cursor=cursor, limit=limit)

    async def get(self, type_: str, key: str, *, by: Principal) -> ContentObject:
        """Any object. Raises NotAllowed, ContentNotFound."""
        by.require(READ_ACCESS)
        content = await find_object(self.deps.db, self.deps.rules.get_type(type_).key, key) if is_key(key) else None
        if content is None:
            raise ContentNotFound("There is no such object.")
        return content

    async def list_user_holders(
        self, content: ContentObject, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[Holder]:
        """Users an object is shared with. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_user_holders(self.deps.db, content.id, cursor=cursor)

    async def list_group_holders(self, content: ContentObject, *, by: Principal) -> Sequence[Holder]:
        """Groups an object is shared with. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_group_holders(self.deps.db, content.id)

    async def count_holders(self, content: ContentObject, *, by: Principal) -> Count:
        """How many users and groups an object is shared with. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_holders(self.deps.db, content.id)

    async def count_pending_invitations(self, content: ContentObject, *, by: Principal) -> Count:
        """How many invitations to an object are pending. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_pending_invitations(self.deps.db, content.id, now=self.deps.clock())

    async def list_pending(self, content: ContentObject, *, by: Principal) -> tuple[Sequence[PendingInvitation], bool]:
        """The newest pending invitations to an object, and whether there are more. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_pending_invitations(self.deps.db, content.id, now=self.deps.clock())

    async def list_granted(
        self, subject_id: UUID, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[GrantedObject]:
        """A page of the objects that a user or a group has a role on. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_granted(self.deps.db, subject_id, cursor=cursor)

    async def count_granted(self, subject_id: UUID, *, by: Principal) -> Count:
        """How many objects a user or a group has a role on. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_granted(self.deps.db, subject_id)

    async def list_owned(self, user_id: UUID, *, by: Principal) -> Page[GrantedObject]:
        """The first page of the objects that a user owns. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await list_owned(self.deps.db, user_id)

    async def count_owned(self, user_id: UUID, *, by: Principal) -> Count:
        """How many objects a user owns. Raises NotAllowed."""
        by.require(READ_ACCESS)
        return await count_owned(self.deps.db, user_id)

    # ---- change ------------------------------------------------------------------------------------------------------

    async def change_access(self, content: ContentObject, changes: AccessChanges, *, by: Principal) -> ChangedAccess:
        """Change some grants on an object; concurrent changes of other grants are kept.

        PRIVATE removes all grants and voids those in open invitations. A grant on a PRIVATE object makes it SHARED.
        A SHARED object without grants becomes PRIVATE, which voids nothing. The owner gets no grant.
        Raises ContentNotFound, NotAllowed, UserNotFound, GroupNotFound; then nothing is changed.
        """
        subject, now = subject_of(by), self.deps.clock()
        is_closing = changes.visibility is Visibility.PRIVATE

        def work() -> Work[ChangedAccess]:
            locked = yield from lock_object(subject, content.id, Level.MAINTAINER, closing=is_closing)
            before = (yield from load_access([content.id]))[content.id].grants
            if is_closing:
                after: Mapping[UUID, ContentRole] = {}
                yield from replace_access(self.deps.db.dialect_name, locked.object, {})
                yield from void_target(content.id, cause="content-private", by=by.actor, now=now)
            else:
                after = yield from _write_grants(self.deps.db.dialect_name, locked.object, before, changes)
            visibility = _visibility_after(locked.object.visibility, changes.visibility, is_shared=bool(after))
            if visibility is not locked.object.visibility:
                yield update_object(replace(locked.object, visibility=visibility))
            if visibility is not locked.object.visibility or after != before:
                facts = {"visibility": visibility.name, **describe_change(before, after)}
                yield record(new_event("content.access_changed", content.id, by=by.actor, now=now, **facts))
            return ChangedAccess(visibility, changes.withdrawn - before.keys())

        return await self.deps.db.transact(work)

    async def withdraw_invitation(self, content: ContentObject, invitation_id: UUID, *, by: Principal) -> bool:
        """Withdraw the grant of a pending invitation on this object; an invitation with no other grant is revoked.

        False when there was nothing to withdraw. Raises NotAllowed.
        """
        by.require(WRITE)
        now = self.deps.clock()
        return await self.deps.db.transact(
            lambda: withdraw_invitation_grants(invitation_id, [content.id], by=by.actor, now=now)
        )

    async def transfer_ownership(self, content: ContentObject, new_owner_id: UUID, *, by: Principal) -> None:
        """Transfer an object to a new owner; the previous owner becomes MAINTAINER.

        Only for administrators, for objects whose owner has left; no permission of users or keys allows it.
        Raises NotAllowed, ContentNotFound, UserNotFound.
        """
        by.require(WRITE)
        if by.type is not ActorType.ADMIN:
            raise NotAllowed(WRITE)
        await transfer(self.deps, content, new_owner_id, by=by, need=Level.MAINTAINER)


def _write_grants(
    dialect_name: str, content: ContentObject, before: Mapping[UUID, ContentRole], changes: AccessChanges
) -> Work[dict[UUID, ContentRole]]:
    """Write the changed grants; returns all grants afterwards. Their users and groups are locked until the commit."""
    group_ids = yield from share_lock_groups(changes.groups)
    if missing := sorted(changes.groups.keys() - group_ids.keys()):
        raise GroupNotFound(f"There is no group {missing[0]}.")
    if unknown := changes.users.keys() - (yield from share_lock_users(changes.users)):
        raise UserNotFound(f"There is no user {min(unknown)}.")
    grants = {
        user_id: (SubjectKind.USER, role) for user_id, role in changes.users.items() if user_id != content.owner_id
    }
    grants |= {group_ids[key]: (SubjectKind.GROUP, role) for key, role in changes.groups.items()}
    after = dict(before)
    for subject_id, (kind, role) in grants.items():
        yield set_grant(dialect_name, content, subject_id, kind, role)
        after[subject_id] = role
    for subject_id in changes.withdrawn & after.keys():
        yield remove_grant(content.id, subject_id)
        del after[subject_id]
    return after


def _visibility_after(present: Visibility, requested: Visibility | None, *, is_shared: bool) -> Visibility:
    if (present if requested is None else requested) is Visibility.PUBLIC:
        return Visibility.PUBLIC
    return Visibility.SHARED if is_shared else Visibility.PRIVATE
