"""Create, change, share, transfer and delete objects.

Every change locks the object's row first and checks the caller's level again: two changes of one object run one after
the other, and each sees the result of the previous one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from latchstring.content.dependencies import ContentDependencies
from latchstring.content.read import CREATE, ContentReader, require_level, subject_of
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
from latchstring.domain.event import Event, new_event
from latchstring.domain.grant import ContentRole
from latchstring.domain.idempotency import Once
from latchstring.domain.ids import new_id
from latchstring.domain.principal import Principal
from latchstring.domain.settings import ContentType
from latchstring.events.record import record
from latchstring.storage.content.grants import grant_access, load_access, replace_access, withdraw_access
from latchstring.storage.content.objects import (
    UNIQUE_KEY,
    delete_object,
    insert_object,
    load_levels,
    lock_object_exclusively,
    lock_objects,
    update_object,
)
from latchstring.storage.engine.database import UniqueViolation, Work
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.groups.groups import share_lock_groups
from latchstring.storage.invitations.cascade import void_target
from latchstring.storage.users.users import share_lock_users

T = TypeVar("T")
Grants = Mapping[tuple[UUID, SubjectKind], ContentRole]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """The fields of a new object. key: derived from the title if None."""

    title: str
    owner_id: UUID
    key: str | None = None
    url: str | None = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccess:
    """The complete access to an object. groups: by key."""

    visibility: Visibility
    users: Mapping[UUID, ContentRole] = field(default_factory=dict)
    groups: Mapping[str, ContentRole] = field(default_factory=dict)


@dataclass(frozen=True)
class ContentChanges(ContentReader):
    """Changes of objects by callers that have access to them."""

    # ---- create ------------------------------------------------------------------------------------------------------

    async def create(self, type_: str, new: NewObject, *, by: Principal, once: Once | None = None) -> ObjectWithAccess:
        """Create a PRIVATE object.

        Raises ContentNotFound for an unknown type, UserNotFound for an unknown owner, ContentKeyTaken for a given key
        that exists, and AnswerStored when the idempotency key was used.
        """
        declared = self.deps.rules.get_type(type_)
        by.require(CREATE)
        now = self.deps.clock()
        if new.key is not None:
            return await self._try_to_create(by, declared, new, new.key, once, now)
        for key in list_candidates(new.title, fallback=declared.singular or declared.key):
            try:
                return await self._try_to_create(by, declared, new, key, once, now)
            except ContentKeyTaken:
                continue
        raise StorageBusy("No key could be derived from this title. Try again.")

    async def _try_to_create(  # noqa: PLR0917  # all of this describes one attempt
        self,
        by: Principal,
        declared: ContentType,
        new: NewObject,
        key: str,
        once: Once | None,
        now: datetime,
    ) -> ObjectWithAccess:
        content = ContentObject(
            new_id(now), declared.key, key, new.owner_id, Visibility.PRIVATE, new.title, new.url, new.data, 1, now
        )
        subject = subject_of(by)
        level = Level.OWNER if content.owner_id == subject.user_id else Level.NONE
        created = ObjectWithAccess(content, combine_level(subject, content.visibility, level))
        facts = {"type": content.type, "key": content.key, "ownerId": str(content.owner_id)}
        event = new_event("content.created", content.id, by=by.actor, now=now, **facts)

        def work() -> Work[None]:
            if once is not None:
                answer = once.answer(created)
                yield from store_answer(self.deps.db.dialect_name, once.claim, answer, subject_id=content.id, now=now)
            yield from _share_lock_user(content.owner_id)
            yield insert_object(content)
            yield record(event)

        try:
            await self.deps.db.transact(work)
        except UniqueViolation as violation:
            if violation.constraint != UNIQUE_KEY:
                raise
            raise ContentKeyTaken(f"An object {key} of this type already exists.") from violation
        return created

    # ---- title, url and data -----------------------------------------------------------------------------------------

    async def change(
        self,
        content: ContentObject,
        changes: Mapping[str, Any],
        *,
        by: Principal,
        is_expected: Callable[[ContentObject], bool],
    ) -> ObjectWithAccess:
        """Change title, url or data. Other fields are not touched.

        is_expected: whether this is the version that the caller meant to change; ContentChanged if not.
        Raises ContentNotFound, NotAllowed.
        """
        subject, now = subject_of(by), self.deps.clock()
        event_id = new_id(now)

        def work() -> Work[ObjectWithAccess]:
            locked = yield from lock_object(subject, content.id, Level.EDITOR)
            _check_expected(locked.object, is_expected)
            # compared by repr: in Python, 1 == True
            fields = sorted(
                name for name, value in changes.items() if repr(getattr(locked.object, name)) != repr(value)
            )
            if not fields:
                return locked
            changed = replace(locked.object, **changes, version=locked.object.version + 1, updated_at=now)
            yield update_object(changed)
            yield record(Event(event_id, content.id, "content.updated", by.actor, {"fields": fields}))
            return ObjectWithAccess(changed, locked.level)

        return await self.deps.db.transact(work)

    # ---- delete ------------------------------------------------------------------------------------------------------

    async def delete(
        self, content: ContentObject, *, by: Principal, is_expected: Callable[[ContentObject], bool]
    ) -> None:
        """Delete an object with its grants; grants on it in open invitations become void.

        An object created later with the same key has another id, so it does not get the grants back.
        Raises ContentNotFound, NotAllowed, ContentChanged.
        """
        subject, now = subject_of(by), self.deps.clock()
        event = new_event("content.deleted", content.id, by=by.actor, now=now, type=content.type, key=content.key)

        def work() -> Work[None]:
            locked = yield from lock_object(subject, content.id, Level.MAINTAINER, closing=True)
            _check_expected(locked.object, is_expected)
            yield from void_target(content.id, cause="content-deleted", by=by.actor, now=now)
            yield delete_object(content.id)
            yield record(event)

        await self.deps.db.transact(work)

    # ---- access ------------------------------------------------------------------------------------------------------

    async def replace_access(self, content: ContentObject, new: NewAccess, *, by: Principal) -> ObjectWithAccess:
        """Replace all grants on an object. The owner gets no grant.

        PRIVATE removes all grants and voids those in open invitations. SHARED without grants becomes PRIVATE, which
        voids nothing. Raises ContentNotFound, NotAllowed, UserNotFound, GroupNotFound; then nothing is changed.
        """
        subject, now = subject_of(by), self.deps.clock()
        is_closing = new.visibility is Visibility.PRIVATE

        def work() -> Work[ObjectWithAccess]:
            locked = yield from lock_object(subject, content.id, Level.MAINTAINER, closing=is_closing)
            before = (yield from load_access([content.id]))[content.id]
            grants = yield from _read_grants(locked.object, new)
            yield from replace_access(self.deps.db.dialect_name, locked.object, grants)
            changed = replace(locked.object, visibility=_visibility_with(new.visibility, grants))
            yield update_object(changed)
            if is_closing:
                yield from void_target(content.id, cause="content-private", by=by.actor, now=now)
            after = {subject_id: role for (subject_id, _), role in grants.items()}
            facts = describe_change(before.grants, after)
            visibility = changed.visibility.name
            yield record(
                new_event("content.access_changed", content.id, by=by.actor, now=now, visibility=visibility, **facts)
            )
            return (yield from _load_with_access(subject, changed))

        return await self.deps.db.transact(work)

    async def change_owner(self, content: ContentObject, new_owner_id: UUID, *, by: Principal) -> ObjectWithAccess:
        """Transfer an object. The previous owner becomes MAINTAINER, so a PRIVATE object becomes SHARED. Owners only.

        Raises ContentNotFound, NotAllowed, UserNotFound.
        """
        return await transfer(self.deps, content, new_owner_id, by=by, need=Level.OWNER)


async def transfer(
    deps: ContentDependencies, content: ContentObject, new_owner_id: UUID, *, by: Principal, need: Level
) -> ObjectWithAccess:
    """Change the owner of an object. need: the level that the caller must have."""
    subject, now = subject_of(by), deps.clock()
    event_id = new_id(now)

    def work() -> Work[ObjectWithAccess]:
        locked = yield from lock_object(subject, content.id, need)
        yield from _share_lock_user(new_owner_id)
        if new_owner_id == locked.object.owner_id:
            return locked
        changed = replace(locked.object, owner_id=new_owner_id)
        yield update_object(changed)
        yield from grant_access(
            deps.db.dialect_name,
            content.id,
            content.type,
            locked.object.owner_id,
            SubjectKind.USER,
            ContentRole.MAINTAINER,
        )
        yield from withdraw_access(content.id, new_owner_id)
        if changed.visibility is Visibility.PRIVATE:
            changed = replace(changed, visibility=Visibility.SHARED)
        facts = {"from": str(locked.object.owner_id), "to": str(new_owner_id)}
        yield record(Event(event_id, content.id, "content.owner_changed", by.actor, facts))
        return (yield from _load_with_access(subject, changed))

    return await deps.db.transact(work)


def lock_object(subject: Subject, content_id: UUID, need: Level, *, closing: bool = False) -> Work[ObjectWithAccess]:
    """Lock an object, if the subject (still) has this level on it.

    Grants are read by a second statement: the one that waited for the lock would return them as they were before.
    """
    content = (
        (yield from lock_object_exclusively(content_id))
        if closing
        else (yield from lock_objects([content_id])).get(content_id)
    )
    if content is None:
        raise ContentNotFound("There is no such object.")
    levels = yield from load_levels(subject.user_id, [content_id])
    return require_level(subject, (content, levels[content_id]), need)


def _share_lock_user(user_id: UUID) -> Work[None]:
    if user_id not in (yield from share_lock_users([user_id])):
        raise UserNotFound("There is no such user.")


def _check_expected(content: ContentObject, is_expected: Callable[[ContentObject], bool]) -> None:
    if not is_expected(content):
        raise ContentChanged("The object has changed.")


def _read_grants(content: ContentObject, new: NewAccess) -> Work[Grants]:
    """The new grants by subject. The subjects are locked until the commit."""
    if new.visibility is Visibility.PRIVATE:
        return {}
    groups = yield from share_lock_groups(new.groups)
    missing = sorted(new.groups.keys() - groups.keys())
    if missing:
        raise GroupNotFound(f"There is no group {missing[0]}.")
    unknown = new.users.keys() - (yield from share_lock_users(new.users))
    if unknown:
        raise UserNotFound(f"There is no user {min(unknown)}.")
    grants = {(user_id, SubjectKind.USER): role for user_id, role in new.users.items() if user_id != content.owner_id}
    return grants | {(groups[key], SubjectKind.GROUP): role for key, role in new.groups.items()}


def _visibility_with(visibility: Visibility, grants: Grants) -> Visibility:
    return Visibility.PRIVATE if visibility is Visibility.SHARED and not grants else visibility


def describe_change(before: Mapping[UUID, ContentRole], after: Mapping[UUID, ContentRole]) -> dict[str, object]:
    """The changed grants as the event records them."""
    granted = {str(content): role.name for content, role in after.items() if before.get(content) != role}
    return {"granted": granted, "withdrawn": sorted(str(content) for content in before.keys() - after.keys())}


def _load_with_access(subject: Subject, changed: ContentObject) -> Work[ObjectWithAccess]:
    """The object with the subject's level after the change."""
    levels = yield from load_levels(subject.user_id, [changed.id])
    return ObjectWithAccess(changed, combine_level(subject, changed.visibility, levels[changed.id]))
