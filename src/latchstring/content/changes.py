"""Making, changing, sharing, handing over and removing objects.

Every change locks the object's row first and looks at what the caller may do once more: two changes of one object
happen one after the other, and each sees what the one before left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from latchstring.content.dependencies import ContentDependencies
from latchstring.content.read import CREATE, ContentReader, admit, subject_of
from latchstring.content.slugs import list_candidates
from latchstring.domain.access import (
    ContentObject,
    Level,
    ObjectWithAccess,
    Subject,
    SubjectKind,
    Visibility,
    combine_level,
)
from latchstring.domain.errors import (
    ContentChanged,
    ContentKeyTaken,
    ContentNotFound,
    GroupNotFound,
    StorageBusy,
    UserNotFound,
)
from latchstring.domain.event import Event, happened
from latchstring.domain.grant import ContentRole
from latchstring.domain.idempotency import Once
from latchstring.domain.ids import new_id
from latchstring.domain.principal import Principal
from latchstring.domain.settings import ContentType
from latchstring.events.record import record
from latchstring.storage.content.objects import (
    UNIQUE_KEY,
    delete_object,
    grant_access,
    insert_object,
    load_access,
    load_levels,
    lock_object_exclusively,
    lock_objects,
    replace_access,
    share_lock_groups,
    share_lock_users,
    update_object,
    withdraw_access,
)
from latchstring.storage.engine.database import UniqueViolation, Work
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.invitations.cascade import void_target

T = TypeVar("T")
Grants = Mapping[tuple[UUID, SubjectKind], ContentRole]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object to be. key: made from the title when it is None."""

    title: str
    owner_id: UUID
    key: str | None = None
    url: str | None = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccess:
    """Who shall have access to an object, and nobody else. groups by key."""

    visibility: Visibility
    users: Mapping[UUID, ContentRole] = field(default_factory=dict)
    groups: Mapping[str, ContentRole] = field(default_factory=dict)


@dataclass(frozen=True)
class ContentChanges(ContentReader):
    """What who may see an object may change about it."""

    # ---- making ------------------------------------------------------------------------------------------------------

    async def create(self, type_: str, new: NewObject, *, by: Principal, once: Once | None = None) -> ObjectWithAccess:
        """Make a PRIVATE object.

        Raises ContentNotFound for an unknown type, UserNotFound for an unknown owner, ContentKeyTaken for a key
        that was asked for, and AnswerStored when the idempotency key was used.
        """
        declared = self.deps.get_type(type_)
        by.require(CREATE)
        now = self.deps.clock()
        if new.key is not None:
            return await self._try_to_make(by, declared, new, new.key, once, now)
        for key in list_candidates(new.title, otherwise=declared.singular or declared.key):
            try:
                return await self._try_to_make(by, declared, new, key, once, now)
            except ContentKeyTaken:
                continue
        raise StorageBusy("No key could be derived from this title. Try again.")

    async def _try_to_make(  # noqa: PLR0917  # one attempt is all of this
        self,
        principal: Principal,
        declared: ContentType,
        new: NewObject,
        key: str,
        once: Once | None,
        now: datetime,
    ) -> ObjectWithAccess:
        made = ContentObject(
            new_id(now), declared.key, key, new.owner_id, Visibility.PRIVATE, new.title, new.url, new.data, 1, now
        )
        subject = subject_of(principal)
        held = Level.OWNER if made.owner_id == subject.user_id else Level.NONE
        seen = ObjectWithAccess(made, combine_level(subject, made.visibility, held))
        facts = {"type": made.type, "key": made.key, "ownerId": str(made.owner_id)}
        event = happened("content.created", made.id, by=principal.actor, now=now, **facts)

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(seen)
                yield from store_answer(self.deps.db.dialect_name, once.claim, answer, subject_id=made.id, now=now)
            yield from _hold_user(made.owner_id)
            yield insert_object(made)
            yield record(event)

        try:
            await self.deps.db.transact(work)
        except UniqueViolation as violation:
            if violation.constraint != UNIQUE_KEY:
                raise
            raise ContentKeyTaken(f"An object {key} of this type already exists.") from violation
        return seen

    # ---- words and data ----------------------------------------------------------------------------------------------

    async def change(
        self,
        one: ContentObject,
        changes: Mapping[str, Any],
        *,
        by: Principal,
        is_expected: Callable[[ContentObject], bool],
    ) -> ObjectWithAccess:
        """Change title, url or data. Nothing else, and no other field, is touched.

        is_expected: whether the present version is one the caller meant to change; ContentChanged if not.
        Raises ContentNotFound, NotAllowed.
        """
        subject, now = subject_of(by), self.deps.clock()
        event_id = new_id(now)

        def work() -> Work[ObjectWithAccess]:
            seen = yield from lock_object(subject, one.id, Level.EDITOR)
            _check_expected(seen.object, is_expected)
            # by their texts: to Python, 1 equals True
            fields = sorted(name for name, value in changes.items() if repr(getattr(seen.object, name)) != repr(value))
            if not fields:
                return seen
            changed = replace(seen.object, **changes, version=seen.object.version + 1, updated_at=now)
            yield update_object(changed)
            yield record(Event(event_id, one.id, "content.updated", by.actor, {"fields": fields}))
            return ObjectWithAccess(changed, seen.level)

        return await self.deps.db.transact(work)

    # ---- removing ----------------------------------------------------------------------------------------------------

    async def delete(self, one: ContentObject, *, by: Principal, is_expected: Callable[[ContentObject], bool]) -> None:
        """Remove an object with its grants; those in open invitations are void.

        One made again under the key is another object: ids decide, and they are never used twice.
        Raises ContentNotFound, NotAllowed, ContentChanged.
        """
        subject, now = subject_of(by), self.deps.clock()
        event = happened("content.deleted", one.id, by=by.actor, now=now, type=one.type, key=one.key)

        def work() -> Work[None]:
            seen = yield from lock_object(subject, one.id, Level.MAINTAINER, closing=True)
            _check_expected(seen.object, is_expected)
            yield from void_target(one.id, cause="content-deleted", by=by.actor, now=now)
            yield delete_object(one.id)
            yield record(event)

        await self.deps.db.transact(work)

    # ---- access ------------------------------------------------------------------------------------------------------

    async def replace_access(self, one: ContentObject, new: NewAccess, *, by: Principal) -> ObjectWithAccess:
        """Let exactly these have access; the owner needs no grant and gets none.

        PRIVATE clears all grants and voids those in open invitations; SHARED with nobody becomes PRIVATE and voids
        nothing. Raises ContentNotFound, NotAllowed, UserNotFound, GroupNotFound; then nothing is changed.
        """
        subject, now = subject_of(by), self.deps.clock()
        is_closing = new.visibility is Visibility.PRIVATE

        def work() -> Work[ObjectWithAccess]:
            seen = yield from lock_object(subject, one.id, Level.MAINTAINER, closing=is_closing)
            before = (yield from load_access([one.id]))[one.id]
            grants = yield from _read_grants(seen.object, new)
            yield from replace_access(self.deps.db.dialect_name, seen.object, grants)
            changed = replace(seen.object, visibility=_visibility_with(new.visibility, grants))
            yield update_object(changed)
            if is_closing:
                yield from void_target(one.id, cause="content-private", by=by.actor, now=now)
            after = {subject_id: role for (subject_id, _), role in grants.items()}
            facts = describe_change(before.grants, after)
            visibility = changed.visibility.name
            yield record(
                happened("content.access_changed", one.id, by=by.actor, now=now, visibility=visibility, **facts)
            )
            return (yield from _see_again(subject, changed))

        return await self.deps.db.transact(work)

    async def change_owner(self, one: ContentObject, new_owner_id: UUID, *, by: Principal) -> ObjectWithAccess:
        """Hand an object over; who owned it becomes MAINTAINER, so that PRIVATE becomes SHARED. Owners only.

        Raises ContentNotFound, NotAllowed, UserNotFound.
        """
        return await transfer(self.deps, one, new_owner_id, by=by, need=Level.OWNER)


async def transfer(
    deps: ContentDependencies, one: ContentObject, new_owner_id: UUID, *, by: Principal, need: Level
) -> ObjectWithAccess:
    """Give an object another owner. need: what the caller has to be able to do with it now."""
    subject, now = subject_of(by), deps.clock()
    event_id = new_id(now)

    def work() -> Work[ObjectWithAccess]:
        seen = yield from lock_object(subject, one.id, need)
        yield from _hold_user(new_owner_id)
        if new_owner_id == seen.object.owner_id:
            return seen
        changed = replace(seen.object, owner_id=new_owner_id)
        yield update_object(changed)
        yield from grant_access(
            deps.db.dialect_name,
            one.id,
            one.type,
            seen.object.owner_id,
            SubjectKind.USER,
            ContentRole.MAINTAINER,
        )
        yield from withdraw_access(one.id, new_owner_id)
        if changed.visibility is Visibility.PRIVATE:
            changed = replace(changed, visibility=Visibility.SHARED)
        facts = {"from": str(seen.object.owner_id), "to": str(new_owner_id)}
        yield record(Event(event_id, one.id, "content.owner_changed", by.actor, facts))
        return (yield from _see_again(subject, changed))

    return await deps.db.transact(work)


def lock_object(subject: Subject, content_id: UUID, need: Level, *, closing: bool = False) -> Work[ObjectWithAccess]:
    """The object, for this transaction alone, if the subject may (still) do this much with it.

    Grants are read in a statement of their own: one that waited for the lock would show them as they were before.
    """
    one = (
        (yield from lock_object_exclusively(content_id))
        if closing
        else (yield from lock_objects([content_id])).get(content_id)
    )
    if one is None:
        raise ContentNotFound("There is no such object.")
    held = yield from load_levels(subject.user_id, [content_id])
    return admit(subject, (one, held[content_id]), need)


def _hold_user(user_id: UUID) -> Work[None]:
    if user_id not in (yield from share_lock_users([user_id])):
        raise UserNotFound("There is no such user.")


def _check_expected(one: ContentObject, is_expected: Callable[[ContentObject], bool]) -> None:
    if not is_expected(one):
        raise ContentChanged("The object has changed.")


def _read_grants(one: ContentObject, new: NewAccess) -> Work[Grants]:
    """The grants by subject, all of whom exist until the commit."""
    if new.visibility is Visibility.PRIVATE:
        return {}
    groups = yield from share_lock_groups(new.groups)
    missing = sorted(new.groups.keys() - groups.keys())
    if missing:
        raise GroupNotFound(f"There is no group {missing[0]}.")
    unknown = new.users.keys() - (yield from share_lock_users(new.users))
    if unknown:
        raise UserNotFound(f"There is no user {min(unknown)}.")
    given = {(user_id, SubjectKind.USER): role for user_id, role in new.users.items() if user_id != one.owner_id}
    return given | {(groups[key], SubjectKind.GROUP): role for key, role in new.groups.items()}


def _visibility_with(wanted: Visibility, grants: Grants) -> Visibility:
    return Visibility.PRIVATE if wanted is Visibility.SHARED and not grants else wanted


def describe_change(before: Mapping[UUID, ContentRole], after: Mapping[UUID, ContentRole]) -> dict[str, object]:
    """What history keeps: who was given which role, and whose was taken away."""
    granted = {str(one): role.name for one, role in after.items() if before.get(one) != role}
    return {"granted": granted, "withdrawn": sorted(str(one) for one in before.keys() - after.keys())}


def _see_again(subject: Subject, changed: ContentObject) -> Work[ObjectWithAccess]:
    """What the subject may do now that access has changed."""
    held = yield from load_levels(subject.user_id, [changed.id])
    return ObjectWithAccess(changed, combine_level(subject, changed.visibility, held[changed.id]))
