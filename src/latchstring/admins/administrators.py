"""Administrators, managed by super-admins. One super-admin who can sign in always remains."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.sessions import IDLE_LIFETIME
from latchstring.admins.set_up_links import SetUpLinks, SetUpSent
from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import ADMIN_ROLES, SUPER_ADMIN, Admin, AdminSession
from latchstring.domain.errors import (
    AccountBlocked,
    AdminNotFound,
    EmailTaken,
    FieldProblem,
    InvalidFields,
    LastSuperAdmin,
)
from latchstring.domain.event import Event, new_event
from latchstring.domain.ids import new_id
from latchstring.domain.panel import ADMINS_WRITE
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.formats.email_address import Address
from latchstring.storage.admins.admins import (
    admin_of,
    find_admin,
    find_admin_by_email_key,
    increment_link_generation,
    insert_admin,
    list_admins,
    lock_admin,
    lock_super_admins,
    set_admin_deactivated,
    set_admin_role,
)
from latchstring.storage.admins.sessions import end_admin_sessions, list_admin_sessions
from latchstring.storage.engine.database import Step, UniqueViolation, Work
from latchstring.storage.outbox.outbox import queue_mail


@dataclass(frozen=True, slots=True)
class CreatedAdmin:
    """An administrator that was just created. set_up_url: if there is no password yet."""

    admin: Admin
    set_up_url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AdminAccounts:
    """Accounts of administrators. They are separate from users: other accounts, logins and sessions."""

    deps: AdminDependencies
    set_up_links: SetUpLinks

    # ---- read --------------------------------------------------------------------------------------------------------

    async def find_by_address(self, address: Address) -> Admin | None:
        return await find_admin_by_email_key(self.deps.db, address.email_key)

    async def get(self, admin_id: UUID) -> Admin:
        """Raises AdminNotFound."""
        admin = await find_admin(self.deps.db, admin_id)
        if admin is None:
            raise AdminNotFound(_UNKNOWN_ADMIN)
        return admin

    async def list_all(self) -> Sequence[Admin]:
        """Every administrator, by address."""
        return await list_admins(self.deps.db)

    # ---- create ------------------------------------------------------------------------------------------------------

    async def create(
        self, *, by: Principal, address: Address, role: str, name: str = "", password: str | None = None
    ) -> CreatedAdmin:
        """Create an administrator, with a password or a link that sets one. Raises InvalidFields, EmailTaken."""
        by.require(ADMINS_WRITE)
        problems = _check_role(role)
        if password is not None:
            problems += check_policy(password, self.deps.rules, email=address.email, names=[name])
        if problems:
            raise InvalidFields(problems)
        password_hash = None if password is None else await self.deps.passwords.hash(password)
        admin = self._new_admin(address, role=role, name=name, password_hash=password_hash)
        await self._insert_admin(admin, by)
        return CreatedAdmin(admin, None if password is not None else self.set_up_links.url_of(admin))

    async def invite(
        self, *, by: Principal, address: Address, role: str, name: str = "", locale: str | None = None
    ) -> SetUpSent:
        """Create an administrator and mail the set-up link.

        Counts for the limit of the address, even if it is refused later. Raises NotAllowed, TooManyRequests,
        InvalidFields, EmailTaken.
        """
        by.require(ADMINS_WRITE)
        self.deps.limiter.check_recipient(address.email_key)
        if problems := _check_role(role):
            raise InvalidFields(problems)
        admin = self._new_admin(address, role=role, name=name, locale=locale)
        await self._insert_admin(
            admin, by, extra_steps=[queue_mail(self.set_up_links.mail_to(admin, admin.created_at))]
        )
        self.deps.wake_worker()
        return self.set_up_links.result_for(admin)

    def _new_admin(
        self,
        address: Address,
        *,
        role: str,
        name: str,
        password_hash: str | None = None,
        locale: str | None = None,
    ) -> Admin:
        admin_id = new_id(self.deps.clock())
        return Admin(admin_id, address.email, address.email_key, name, role, password_hash, locale=locale)

    async def _insert_admin(self, admin: Admin, by: Principal, *, extra_steps: Sequence[Step] = ()) -> None:
        event = new_event("admin.created", admin.id, by=by.actor, now=admin.created_at, role=admin.role)

        def work() -> Work[None]:
            yield insert_admin(admin)
            for step in extra_steps:  # noqa: UP028  # a list cannot be sent the rows
                yield step
            yield record(event)

        try:
            await self.deps.db.transact(work)
        except UniqueViolation as violation:
            raise EmailTaken("Another administrator has this address.") from violation

    async def resend_set_up(self, admin_id: UUID, *, by: Principal) -> SetUpSent:
        """Send a new set-up link; earlier ones stop working. An existing password works until the link is used.

        Raises NotAllowed, AdminNotFound, TooManyRequests, AccountBlocked for a deactivated administrator.
        """
        by.require(ADMINS_WRITE)
        admin = await self.get(admin_id)
        self.deps.limiter.check_recipient(admin.email_key)
        now = self.deps.clock()
        event = new_event("admin.invited", admin_id, by=by.actor, now=now)
        mail = self.set_up_links.mail_to(admin, now)

        def work() -> Work[Admin]:
            rows = yield increment_link_generation(admin_id)
            if not rows:
                raise AccountBlocked("This administrator is deactivated.")
            present = admin_of(rows[0])
            yield queue_mail(replace(mail, generation=present.link_generation))
            yield record(event)
            return present

        present = await self.deps.db.transact(work)
        self.deps.wake_worker()
        return self.set_up_links.result_for(present)

    # ---- change ------------------------------------------------------------------------------------------------------

    async def set_role(self, admin_id: UUID, role: str, *, by: Principal) -> Admin:
        """Change the role, effective from the next request.

        Raises NotAllowed, InvalidFields, AdminNotFound, LastSuperAdmin.
        """
        by.require(ADMINS_WRITE)
        if problems := _check_role(role):
            raise InvalidFields(problems)
        event = new_event("admin.updated", admin_id, by=by.actor, now=self.deps.clock(), fields=["role"], role=role)

        def work() -> Work[Admin]:
            admin = yield from _lock_for_change(admin_id, keeps_super_admin=role == SUPER_ADMIN)
            if admin.role != role:
                yield set_admin_role(admin_id, role)
                yield record(event)
            return replace(admin, role=role)

        return await self.deps.db.transact(work)

    async def deactivate(self, admin_id: UUID, *, by: Principal) -> Admin:
        """Deactivate an administrator at once: sessions end, links stop working.

        Raises NotAllowed, AdminNotFound, LastSuperAdmin.
        """
        by.require(ADMINS_WRITE)
        now = self.deps.clock()
        event = new_event("admin.deactivated", admin_id, by=by.actor, now=now)

        def work() -> Work[Admin]:
            admin = yield from _lock_for_change(admin_id, keeps_super_admin=False)
            if admin.is_active:
                yield set_admin_deactivated(admin_id, now)
                yield end_admin_sessions(admin_id, now=now)
                yield record(event)
            return replace(admin, deactivated_at=admin.deactivated_at or now)

        return await self.deps.db.transact(work)

    async def reactivate(self, admin_id: UUID, *, by: Principal) -> Admin:
        """Let an administrator sign in again; earlier sessions stay ended. Raises NotAllowed, AdminNotFound."""
        by.require(ADMINS_WRITE)
        event = new_event("admin.reactivated", admin_id, by=by.actor, now=self.deps.clock())

        def work() -> Work[Admin]:
            admin = yield from lock_admin(admin_id)
            if admin is None:
                raise AdminNotFound(_UNKNOWN_ADMIN)
            if not admin.is_active:
                yield set_admin_deactivated(admin_id, None)
                yield record(event)
            return replace(admin, deactivated_at=None)

        return await self.deps.db.transact(work)

    # ---- sessions ----------------------------------------------------------------------------------------------------

    async def list_sessions(self, admin_id: UUID, *, by: Principal) -> Sequence[AdminSession]:
        """The sessions of an administrator, most recently used first. Raises NotAllowed."""
        by.require(ADMINS_WRITE)
        now = self.deps.clock()
        return await list_admin_sessions(self.deps.db, admin_id, now=now, idle_since=now - IDLE_LIFETIME)

    async def end_sessions(self, admin_id: UUID, *, by: Principal) -> int:
        """End every session of an administrator; returns how many. Raises NotAllowed, AdminNotFound."""
        by.require(ADMINS_WRITE)
        await self.get(admin_id)
        now = self.deps.clock()
        event_id = new_id(now)

        def work() -> Work[int]:
            ended = len((yield end_admin_sessions(admin_id, now=now)))
            if ended:
                yield record(Event(event_id, admin_id, "admin.sessions_ended", by.actor, {"count": ended}))
            return ended

        return await self.deps.db.transact(work)


_UNKNOWN_ADMIN = "There is no such administrator."


def _check_role(role: str) -> list[FieldProblem]:
    if role in ADMIN_ROLES:
        return []
    return [FieldProblem("/role", "unknown-role", f"Choose one of {', '.join(ADMIN_ROLES)}.")]


def _lock_for_change(admin_id: UUID, *, keeps_super_admin: bool) -> Work[Admin]:
    """Lock an administrator. Raises LastSuperAdmin when no super-admin who can sign in would remain.

    All super-admins are locked first, always in the same order: two who demote each other at once cannot both succeed.
    """
    super_admin_ids = yield from lock_super_admins()
    admin = yield from lock_admin(admin_id)
    if admin is None:
        raise AdminNotFound(_UNKNOWN_ADMIN)
    if not keeps_super_admin and super_admin_ids == {admin_id}:
        raise LastSuperAdmin("Make another administrator a super-admin first, and have them sign in.")
    return admin
