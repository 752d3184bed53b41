"""Accounts of users: create, read, change, erase."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import User
from latchstring.domain.errors import ChangedMeanwhile, FieldProblem, GroupNotFound, InvalidFields, UserNotFound
from latchstring.domain.event import Event, new_event
from latchstring.domain.group import Group
from latchstring.domain.idempotency import Once
from latchstring.domain.ids import new_id
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.views.users import UserSearch
from latchstring.events.record import record
from latchstring.formats.email_address import Address
from latchstring.storage.content.grants import check_no_access_left, transfer_objects
from latchstring.storage.engine.database import Conflict, ReferenceViolation, UniqueViolation, Work
from latchstring.storage.engine.idempotency import store_answer
from latchstring.storage.groups.groups import find_group, find_groups, load_groups
from latchstring.storage.invitations.cascade import erase_person
from latchstring.storage.users.lists import list_users
from latchstring.storage.users.sessions import end_sessions
from latchstring.storage.users.users import (
    delete_user,
    find_user,
    find_user_by_email_key,
    insert_user,
    join_groups,
    leave_groups,
    load_user,
    lock_user,
    share_lock_users,
    translate_violation,
    update_user,
)
from latchstring.users.dependencies import UserDependencies
from latchstring.users.grant_limits import check_grant, check_may_impersonate, check_may_manage, find_role_problems

T = TypeVar("T")
V = TypeVar("V", str, bool)


class Unchanged(Enum):
    """Marks fields that a change does not touch."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """The fields of a new account. groups: keys."""

    address: Address
    first_name: str = ""
    last_name: str = ""
    role: str | None = None
    groups: tuple[str, ...] = ()
    locale: str | None = None
    external_id: str | None = None
    password: str | None = field(default=None, repr=False)
    email_verified: bool = True
    accept_terms: bool = True
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """Changes of an account by a caller with `users:write`. groups: keys, replaced as a whole."""

    address: Address | Unchanged = UNCHANGED
    first_name: str | Unchanged = UNCHANGED
    last_name: str | Unchanged = UNCHANGED
    role: str | Unchanged | None = UNCHANGED
    groups: tuple[str, ...] | Unchanged = UNCHANGED
    locale: str | Unchanged | None = UNCHANGED
    external_id: str | Unchanged | None = UNCHANGED
    password: str | Unchanged = field(default=UNCHANGED, repr=False)
    email_verified: bool | Unchanged = UNCHANGED
    accept_terms: bool | Unchanged = UNCHANGED
    blocked: bool | Unchanged = UNCHANGED

    @property
    def names(self) -> list[str]:
        """The names of the changed fields, as events record them."""
        return [item.name for item in fields(self) if getattr(self, item.name) is not UNCHANGED]

    @property
    def is_credential(self) -> bool:
        """Whether the caller could sign in as the account after this change."""
        values = (self.address, self.password, self.external_id, self.email_verified)
        return any(value is not UNCHANGED for value in values)


@dataclass(frozen=True, slots=True)
class UserAccounts:
    """Creates, reads, changes and erases accounts."""

    deps: UserDependencies

    # ---- read --------------------------------------------------------------------------------------------------------

    async def get(self, user_id: UUID) -> User:
        """Raises UserNotFound."""
        user = await find_user(self.deps.db, user_id)
        if user is None:
            raise UserNotFound("There is no such user.")
        return user

    async def find_by_address(self, address: Address) -> User | None:
        return await find_user_by_email_key(self.deps.db, address.email_key)

    async def list_page(
        self,
        *,
        order: SortOrder,
        cursor: Cursor | None = None,
        limit: int,
        address: Address | None = None,
        role: str | None = None,
        group: str | None = None,
        q: str | None = None,
    ) -> Page[User]:
        """A page of accounts. group: a key; q: a prefix of address, first or last name.

        Orders: createdAt, email, name.
        """
        search = UserSearch(q, role, email_key=address.email_key if address else None)
        if group is not None:
            member_of = await find_group(self.deps.db, group)
            if member_of is None:
                return Page([], total=0)
            search = replace(search, group_id=member_of.id)
        return await list_users(self.deps.db, search, order=order, cursor=cursor, limit=limit)

    # ---- rules -------------------------------------------------------------------------------------------------------

    def find_profile_problems(
        self, *, role: str | None, password: str | None, email: str = "", names: tuple[str, ...] = ()
    ) -> list[FieldProblem]:
        """The problems of a role or a new password."""
        problems = find_role_problems(role, self.deps.roles)
        if password is not None:
            problems += check_policy(password, self.deps.rules, email=email, names=names)
        return problems

    # ---- create ------------------------------------------------------------------------------------------------------

    async def create(self, new: NewUser, *, by: Principal, once: Once | None = None) -> User:
        """Create an account.

        Raises GrantNotAllowed beyond the caller's ceiling, GroupNotFound, EmailTaken, ExternalIdTaken, InvalidFields,
        and AnswerStored when the idempotency key was used.
        """
        names = (new.first_name, new.last_name)
        problems = self.find_profile_problems(
            role=new.role, password=new.password, email=new.address.email, names=names
        )
        if problems:
            raise InvalidFields(problems)
        await self._check_groups_exist(new.groups)
        check_grant(by, self.deps.roles, role=new.role, groups=new.groups)
        password_hash = None if new.password is None else await self.deps.passwords.hash(new.password)
        now = self.deps.clock()
        user = self._new_user(new, password_hash, now)
        event = new_event("user.created", user.id, by=by.actor, now=now, via="users")
        await self._store(lambda: self._insert(user, event, once, now))
        return user

    def _new_user(self, new: NewUser, password_hash: str | None, now: datetime) -> User:
        terms = self.deps.app.terms_version if new.accept_terms else None
        return User(
            id=new_id(now),
            email=new.address.email,
            email_key=new.address.email_key,
            first_name=new.first_name,
            last_name=new.last_name,
            email_verified=new.email_verified,
            external_id=new.external_id,
            role=new.role,
            locale=new.locale,
            blocked=new.blocked,
            password_hash=password_hash,
            terms_version=terms,
            terms_accepted_at=None if terms is None else now,
            groups=tuple(sorted(set(new.groups))),
        )

    def _insert(self, user: User, event: Event, once: Once | None, now: datetime) -> Work[None]:
        if once is not None:
            answer = once.answer(user)
            yield from store_answer(self.deps.db.dialect_name, once.claim, answer, subject_id=user.id, now=now)
        yield insert_user(user)
        if user.groups:
            groups_by_key = yield from load_groups(user.groups)
            _require_groups(user.groups, groups_by_key)
            yield join_groups(self.deps.db.dialect_name, user.id, [group.id for group in groups_by_key.values()])
        yield record(event)

    # ---- change ------------------------------------------------------------------------------------------------------

    async def change(
        self,
        user_id: UUID,
        changes: UserChanges,
        *,
        by: Principal,
        is_expected: Callable[[User], bool] = lambda _user: True,
    ) -> User:
        """Change an account.

        is_expected: whether this is the version that the caller meant to change; ChangedMeanwhile if not.
        Raises UserNotFound, GrantNotAllowed when the account or the change is beyond the caller's ceiling,
        GroupNotFound, EmailTaken, ExternalIdTaken, InvalidFields.
        """
        present = await self.get(user_id)
        self._check_change(by, present, changes)
        password_hash = await self._hash_new(changes, present)
        if isinstance(changes.groups, tuple):
            await self._check_groups_exist(changes.groups)
        self._check_change_of_groups(by, present, changes)
        now = self.deps.clock()

        def work() -> Work[User]:
            user = yield from lock_user(user_id)
            if user is None:
                raise UserNotFound("There is no such user.")
            if not is_expected(user):
                raise ChangedMeanwhile("The account was changed by somebody else.")
            self._check_change(by, user, changes)  # again: role and groups may have changed since
            self._check_change_of_groups(by, user, changes)
            return (yield from self._apply(by, user, changes, password_hash, now))

        return await self._store(work)

    async def _store(self, work: Callable[[], Work[T]]) -> T:
        """Run a transaction that writes an account; translates violated constraints into domain errors."""
        try:
            return await self.deps.db.transact(work)
        except UniqueViolation as violation:
            raise translate_violation(violation) or violation from violation
        except ReferenceViolation as gone:
            raise GroupNotFound("A group was deleted at the same time.") from gone

    async def _hash_new(self, changes: UserChanges, user: User) -> str | None:
        password = None if isinstance(changes.password, Unchanged) else changes.password
        role = None if isinstance(changes.role, Unchanged) else changes.role
        names = (_value_or(changes.first_name, user.first_name), _value_or(changes.last_name, user.last_name))
        email = user.email if isinstance(changes.address, Unchanged) else changes.address.email
        problems = self.find_profile_problems(role=role, password=password, email=email, names=names)
        if problems:
            raise InvalidFields(problems)
        return None if password is None else await self.deps.passwords.hash(password)

    def _check_change(self, by: Principal, user: User, changes: UserChanges) -> None:
        check_may_manage(by, user, self.deps.roles)
        if changes.is_credential:
            check_may_impersonate(by, user, self.deps.roles)

    def _check_change_of_groups(self, by: Principal, user: User, changes: UserChanges) -> None:
        if not isinstance(changes.role, Unchanged) and changes.role != user.role:
            check_grant(by, self.deps.roles, role=changes.role)
        if isinstance(changes.groups, tuple):
            check_grant(by, self.deps.roles, groups=sorted(set(changes.groups) ^ set(user.groups)))

    def _apply(
        self, by: Principal, user: User, changes: UserChanges, password_hash: str | None, now: datetime
    ) -> Work[User]:
        changed = self._changed(user, changes, password_hash, now)
        yield update_user(changed)
        if isinstance(changes.groups, tuple):
            yield from self._replace_groups(user, changes.groups)
        if changed.blocked or password_hash is not None:
            yield end_sessions(user.id, now=now)
        for event in _change_events(by, user, changed, changes, now):
            yield record(event)
        return (yield from load_user(user.id)) or changed

    def _replace_groups(self, user: User, group_keys: tuple[str, ...]) -> Work[None]:
        keys = sorted({*group_keys, *user.groups})
        groups_by_key = yield from load_groups(keys)
        _require_groups(group_keys, groups_by_key)
        yield leave_groups(user.id, [group.id for key, group in groups_by_key.items() if key not in group_keys])
        yield join_groups(
            self.deps.db.dialect_name, user.id, [group.id for key, group in groups_by_key.items() if key in group_keys]
        )

    def _changed(self, user: User, changes: UserChanges, hashed: str | None, now: datetime) -> User:
        address_changed = not isinstance(changes.address, Unchanged) and changes.address.email_key != user.email_key
        address = Address(user.email, user.email_key) if isinstance(changes.address, Unchanged) else changes.address
        return replace(
            user,
            email=address.email,
            email_key=address.email_key,
            # the new mailbox is not proved, unless the caller says so
            email_verified=_value_or(changes.email_verified, user.email_verified and not address_changed),
            first_name=_value_or(changes.first_name, user.first_name),
            last_name=_value_or(changes.last_name, user.last_name),
            role=user.role if isinstance(changes.role, Unchanged) else changes.role,
            locale=user.locale if isinstance(changes.locale, Unchanged) else changes.locale,
            external_id=user.external_id if isinstance(changes.external_id, Unchanged) else changes.external_id,
            blocked=_value_or(changes.blocked, user.blocked),
            password_hash=hashed or user.password_hash,
            # links mailed to the old address or before the new password stop working
            link_generation=user.link_generation + (1 if address_changed or hashed else 0),
            **self._terms(user, changes.accept_terms, now),
        )

    def _terms(self, user: User, accepts: bool | Unchanged, now: datetime) -> dict[str, Any]:  # noqa: FBT001  # a field's value
        if isinstance(accepts, Unchanged) or (accepts and user.has_accepted(self.deps.app.terms_version)):
            return {}
        version = self.deps.app.terms_version if accepts else None
        return {"terms_version": version, "terms_accepted_at": None if version is None else now}

    async def change_profile(self, user_id: UUID, changes: UserChanges) -> User:
        """Change one's own names, language or consent to the terms. Raises UserNotFound."""
        now = self.deps.clock()

        def work() -> Work[User]:
            user = yield from lock_user(user_id)
            if user is None:
                raise UserNotFound("There is no such user.")
            changed = self._changed(user, changes, None, now)
            yield update_user(changed)
            for event in _change_events(self.deps.principal_of(user), user, changed, changes, now):
                yield record(event)
            return changed

        return await self.deps.db.transact(work)

    # ---- erase -------------------------------------------------------------------------------------------------------

    async def erase(self, user_id: UUID, *, by: Principal, new_owner_id: UUID | None = None) -> None:
        """Erase an account with every name and address stored of it; pending invitations to it are revoked.

        Its objects go to the new owner, its grants end. Raises OwnsContent when it owns objects and there is no new
        owner, UserNotFound (also for the new owner), GrantNotAllowed when the account is above the caller's ceiling.
        """
        check_may_manage(by, await self.get(user_id), self.deps.roles)
        if new_owner_id == user_id:
            new_owner_id = None  # the erased user cannot be the new owner
        if new_owner_id is not None:
            await self.get(new_owner_id)
        now = self.deps.clock()
        event = new_event("user.erased", user_id, by=by.actor, now=now)

        def work() -> Work[None]:
            # content, invitations, account: one order of locks everywhere, so that nothing deadlocks
            read_user = yield from load_user(user_id)
            if read_user is None:
                raise UserNotFound("There is no such user.")
            handed_over = yield from transfer_objects(user_id, new_owner_id)
            yield from erase_person(user_id, read_user.email_key, by=by.actor, now=now)
            user = yield from lock_user(user_id)
            if user is None or user.email_key != read_user.email_key:
                raise Conflict  # the address was changed meanwhile: run the transaction again with the present one
            check_may_manage(by, user, self.deps.roles)
            if new_owner_id is not None and new_owner_id not in (yield from share_lock_users([new_owner_id])):
                raise UserNotFound("The new owner does not exist.")
            yield delete_user(user_id)
            yield from check_no_access_left(user_id)
            for content_id in handed_over:
                yield record(_owner_changed_event(by, content_id, user_id, new_owner_id, now))
            yield record(event)

        await self.deps.db.transact(work)

    async def _check_groups_exist(self, keys: tuple[str, ...]) -> dict[str, Group]:
        groups = await find_groups(self.deps.db, sorted(set(keys)))
        _require_groups(keys, groups)
        return groups


def _value_or(value: V | Unchanged, present: V) -> V:
    """The new value, or the present one if the field is unchanged."""
    return present if isinstance(value, Unchanged) else value


def _require_groups(keys: tuple[str, ...], groups: dict[str, Group]) -> None:
    missing = sorted(set(keys) - groups.keys())
    if missing:
        raise GroupNotFound(f"There is no group {missing[0]}.")


def _owner_changed_event(
    by: Principal, content_id: UUID, old_owner_id: UUID, new_owner_id: UUID | None, now: datetime
) -> Event:
    facts = {"from": str(old_owner_id), "to": str(new_owner_id), "cause": "person-erased"}
    return new_event("content.owner_changed", content_id, by=by.actor, now=now, **facts)


def _change_events(by: Principal, before: User, after: User, changes: UserChanges, now: datetime) -> list[Event]:
    events = [new_event("user.updated", after.id, by=by.actor, now=now, fields=sorted(changes.names))]
    if before.blocked != after.blocked:
        name = "user.blocked" if after.blocked else "user.unblocked"
        events.append(new_event(name, after.id, by=by.actor, now=now))
    if after.terms_version is not None and after.terms_version != before.terms_version:
        events.append(new_event("user.terms_accepted", after.id, by=by.actor, now=now, version=after.terms_version))
    return events
