"""Administrators: who they are, and what super-admins do about them. One super-admin who can sign in always remains."""

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
from latchstring.domain.event import Event, happened
from latchstring.domain.ids import new_id
from latchstring.domain.panel import ADMINS_WRITE
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.formats.email_address import Address
from latchstring.storage.admins.admins import (
    admin_of,
    find_admin,
    find_admin_by_email_key,
    insert_admin,
    list_admins,
    lock_admin,
    lock_super_admins,
    make_next_link,
    set_admin_deactivated,
    set_admin_role,
)
from latchstring.storage.admins.sessions import end_admin_sessions, list_admin_sessions
from latchstring.storage.engine.database import Step, UniqueViolation, Work
from latchstring.storage.outbox.outbox import queue_mail


@dataclass(frozen=True, slots=True)
class CreatedAdmin:
    """An administrator that was just made; set_up_url when there is no password yet."""

    admin: Admin
    set_up_url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AdminAccounts:
    """Administrators. Apart from users: another account, another login, another session."""

    deps: AdminDependencies
    set_up_links: SetUpLinks

    # ---- who there is ------------------------------------------------------------------------------------------------

    async def find_by_address(self, address: Address) -> Admin | None:
        return await find_admin_by_email_key(self.deps.db, address.email_key)

    async def get(self, admin_id: UUID) -> Admin:
        """Raises AdminNotFound."""
        admin = await find_admin(self.deps.db, admin_id)
        if admin is None:
            raise AdminNotFound(_NOBODY)
        return admin

    async def list_all(self) -> Sequence[Admin]:
        """Every administrator, by address."""
        return await list_admins(self.deps.db)

    # ---- making ------------------------------------------------------------------------------------------------------

    async def create(
        self, *, by: Principal, address: Address, role: str, name: str = "", password: str | None = None
    ) -> CreatedAdmin:
        """Make an administrator, with a password or a link that sets one. Raises InvalidFields, EmailTaken."""
        by.require(ADMINS_WRITE)
        problems = _check_role(role)
        if password is not None:
            problems += check_policy(password, self.deps.rules, email=address.email, names=[name])
        if problems:
            raise InvalidFields(problems)
        hashed = None if password is None else await self.deps.passwords.hash(password)
        admin = self._new_admin(address, role=role, name=name, password_hash=hashed)
        await self._insert_admin(admin, by)
        return CreatedAdmin(admin, None if password is not None else self.set_up_links.url_of(admin))

    async def invite(
        self, *, by: Principal, address: Address, role: str, name: str = "", locale: str | None = None
    ) -> SetUpSent:
        """Make an administrator and mail the set-up link. Raises NotAllowed, InvalidFields, EmailTaken."""
        by.require(ADMINS_WRITE)
        if problems := _check_role(role):
            raise InvalidFields(problems)
        admin = self._new_admin(address, role=role, name=name, locale=locale)
        await self._insert_admin(admin, by, also=[queue_mail(self.set_up_links.mail_to(admin, admin.created_at))])
        self.deps.wake_worker()
        return self.set_up_links.sent(admin)

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

    async def _insert_admin(self, admin: Admin, principal: Principal, *, also: Sequence[Step] = ()) -> None:
        event = happened("admin.created", admin.id, by=principal.actor, now=admin.created_at, role=admin.role)

        def work() -> Work[None]:
            yield insert_admin(admin)
            for one in also:  # noqa: UP028  # a list cannot be sent the rows
                yield one
            yield record(event)

        try:
            await self.deps.db.transact(work)
        except UniqueViolation as violation:
            raise EmailTaken("Another administrator has this address.") from violation

    async def resend_set_up(self, admin_id: UUID, *, by: Principal) -> SetUpSent:
        """Send a fresh set-up link; earlier ones are dead. A password there is keeps working until it is used.

        Raises NotAllowed, AdminNotFound, AccountBlocked for somebody deactivated.
        """
        by.require(ADMINS_WRITE)
        admin = await self.get(admin_id)
        now = self.deps.clock()
        event = happened("admin.invited", admin_id, by=by.actor, now=now)
        fresh = self.set_up_links.mail_to(admin, now)

        def work() -> Work[Admin]:
            rows = yield make_next_link(admin_id)
            if not rows:
                raise AccountBlocked("This administrator is deactivated.")
            present = admin_of(rows[0])
            yield queue_mail(replace(fresh, generation=present.link_generation))
            yield record(event)
            return present

        present = await self.deps.db.transact(work)
        self.deps.wake_worker()
        return self.set_up_links.sent(present)

    # ---- changing ----------------------------------------------------------------------------------------------------

    async def set_role(self, admin_id: UUID, role: str, *, by: Principal) -> Admin:
        """Give another role; it counts from the next request. Raises NotAllowed, InvalidFields, AdminNotFound,
        LastSuperAdmin.
        """
        by.require(ADMINS_WRITE)
        if problems := _check_role(role):
            raise InvalidFields(problems)
        event = happened("admin.updated", admin_id, by=by.actor, now=self.deps.clock(), fields=["role"], role=role)

        def work() -> Work[Admin]:
            admin = yield from _lock_for_change(admin_id, keeps_super_admin=role == SUPER_ADMIN)
            if admin.role != role:
                yield set_admin_role(admin_id, role)
                yield record(event)
            return replace(admin, role=role)

        return await self.deps.db.transact(work)

    async def deactivate(self, admin_id: UUID, *, by: Principal) -> Admin:
        """Shut an administrator out at once: sessions end, links die.

        Raises NotAllowed, AdminNotFound, LastSuperAdmin.
        """
        by.require(ADMINS_WRITE)
        now = self.deps.clock()
        event = happened("admin.deactivated", admin_id, by=by.actor, now=now)

        def work() -> Work[Admin]:
            admin = yield from _lock_for_change(admin_id, keeps_super_admin=False)
            if admin.is_active:
                yield set_admin_deactivated(admin_id, now)
                yield end_admin_sessions(admin_id, now=now)
                yield record(event)
            return replace(admin, deactivated_at=admin.deactivated_at or now)

        return await self.deps.db.transact(work)

    async def reactivate(self, admin_id: UUID, *, by: Principal) -> Admin:
        """Let an administrator sign in again; sessions of before stay ended. Raises NotAllowed, AdminNotFound."""
        by.require(ADMINS_WRITE)
        event = happened("admin.reactivated", admin_id, by=by.actor, now=self.deps.clock())

        def work() -> Work[Admin]:
            admin = yield from lock_admin(admin_id)
            if admin is None:
                raise AdminNotFound(_NOBODY)
            if not admin.is_active:
                yield set_admin_deactivated(admin_id, None)
                yield record(event)
            return replace(admin, deactivated_at=None)

        return await self.deps.db.transact(work)

    # ---- sessions of others ------------------------------------------------------------------------------------------

    async def list_sessions(self, admin_id: UUID, *, by: Principal) -> Sequence[AdminSession]:
        """Where an administrator is signed in, the session used last first. Raises NotAllowed."""
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


_NOBODY = "There is no such administrator."


def _check_role(role: str) -> list[FieldProblem]:
    if role in ADMIN_ROLES:
        return []
    return [FieldProblem("/role", "unknown-role", f"Choose one of {', '.join(ADMIN_ROLES)}.")]


def _lock_for_change(admin_id: UUID, *, keeps_super_admin: bool) -> Work[Admin]:
    """The administrator, locked; refuses what would leave no super-admin who can sign in.

    All super-admins are locked first, by everybody in one order: two who demote each other at once cannot both win.
    """
    able = yield from lock_super_admins()
    admin = yield from lock_admin(admin_id)
    if admin is None:
        raise AdminNotFound(_NOBODY)
    if not keeps_super_admin and able == {admin_id}:
        raise LastSuperAdmin("Make another administrator a super-admin first, and have them sign in.")
    return admin
