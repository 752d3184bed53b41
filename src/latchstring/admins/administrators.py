"""Administrators: who they are, and what super-admins do about them. One super-admin who can sign in always remains."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from latchstring.admins.sessions import IDLE_LIFETIME
from latchstring.admins.set_up_links import AdminLinks, SetUpSent
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
class MadeAdmin:
    """An administrator that was just made; set_up_url when there is no password yet."""

    admin: Admin
    set_up_url: str | None = field(repr=False)


class AdminAccounts(AdminLinks):
    """Administrators. Apart from users: another account, another login, another session."""

    # ---- who there is --------------------------------------------------------------------------------------------

    async def find_admin_by_address(self, address: Address) -> Admin | None:
        return await find_admin_by_email_key(self._db, address.email_key)

    async def get_admin(self, admin_id: UUID) -> Admin:
        """Raises AdminNotFound."""
        admin = await find_admin(self._db, admin_id)
        if admin is None:
            raise AdminNotFound(_NOBODY)
        return admin

    async def list_admins(self) -> Sequence[Admin]:
        """Every administrator, by address."""
        return await list_admins(self._db)

    # ---- making --------------------------------------------------------------------------------------------------

    async def create_admin(
        self, principal: Principal, *, address: Address, role: str, name: str = "", password: str | None = None
    ) -> MadeAdmin:
        """Make an administrator, with a password or a link that sets one. Raises InvalidFields, EmailTaken."""
        principal.require(ADMINS_WRITE)
        problems = _check_role(role)
        if password is not None:
            problems += check_policy(password, self._rules, email=address.email, names=[name])
        if problems:
            raise InvalidFields(problems)
        hashed = None if password is None else await self._passwords.hash(password)
        admin = self._new_admin(address, role=role, name=name, password_hash=hashed)
        await self._insert_admin(admin, principal)
        return MadeAdmin(admin, None if password is not None else self.set_up_url(admin))

    async def invite_admin(
        self, principal: Principal, *, address: Address, role: str, name: str = "", locale: str | None = None
    ) -> SetUpSent:
        """Make an administrator and mail the set-up link. Raises NotAllowed, InvalidFields, EmailTaken."""
        principal.require(ADMINS_WRITE)
        if problems := _check_role(role):
            raise InvalidFields(problems)
        admin = self._new_admin(address, role=role, name=name, locale=locale)
        await self._insert_admin(admin, principal, also=[queue_mail(self.set_up_mail(admin, admin.created_at))])
        self._wake_worker()
        return self.set_up_sent(admin)

    def _new_admin(
        self,
        address: Address,
        *,
        role: str,
        name: str,
        password_hash: str | None = None,
        locale: str | None = None,
    ) -> Admin:
        admin_id = new_id(self._clock())
        return Admin(admin_id, address.email, address.email_key, name, role, password_hash, locale=locale)

    async def _insert_admin(self, admin: Admin, principal: Principal, *, also: Sequence[Step] = ()) -> None:
        event = happened("admin.created", admin.id, by=principal.actor, at=admin.created_at, role=admin.role)

        def work() -> Work[None]:
            yield insert_admin(admin)
            for one in also:  # noqa: UP028  # a list cannot be sent the rows
                yield one
            yield record(event)

        try:
            await self._db.transact(work)
        except UniqueViolation as violation:
            raise EmailTaken("Another administrator has this address.") from violation

    async def resend_set_up(self, principal: Principal, admin_id: UUID) -> SetUpSent:
        """Send a fresh set-up link; earlier ones are dead. A password there is keeps working until it is used.

        Raises NotAllowed, AdminNotFound, AccountBlocked for somebody deactivated.
        """
        principal.require(ADMINS_WRITE)
        admin = await self.get_admin(admin_id)
        at = self._clock()
        event = happened("admin.invited", admin_id, by=principal.actor, at=at)
        fresh = self.set_up_mail(admin, at)

        def work() -> Work[Admin]:
            rows = yield make_next_link(admin_id)
            if not rows:
                raise AccountBlocked("This administrator is deactivated.")
            present = admin_of(rows[0])
            yield queue_mail(replace(fresh, generation=present.link_generation))
            yield record(event)
            return present

        present = await self._db.transact(work)
        self._wake_worker()
        return self.set_up_sent(present)

    # ---- changing ------------------------------------------------------------------------------------------------

    async def set_admin_role(self, principal: Principal, admin_id: UUID, role: str) -> Admin:
        """Give another role; it counts from the next request. Raises NotAllowed, InvalidFields, AdminNotFound,
        LastSuperAdmin.
        """
        principal.require(ADMINS_WRITE)
        if problems := _check_role(role):
            raise InvalidFields(problems)
        event = happened("admin.updated", admin_id, by=principal.actor, at=self._clock(), fields=["role"], role=role)

        def work() -> Work[Admin]:
            admin = yield from _lock_for_change(admin_id, keeps_super_admin=role == SUPER_ADMIN)
            if admin.role != role:
                yield set_admin_role(admin_id, role)
                yield record(event)
            return replace(admin, role=role)

        return await self._db.transact(work)

    async def deactivate_admin(self, principal: Principal, admin_id: UUID) -> Admin:
        """Shut an administrator out at once: sessions end, links die.

        Raises NotAllowed, AdminNotFound, LastSuperAdmin.
        """
        principal.require(ADMINS_WRITE)
        at = self._clock()
        event = happened("admin.deactivated", admin_id, by=principal.actor, at=at)

        def work() -> Work[Admin]:
            admin = yield from _lock_for_change(admin_id, keeps_super_admin=False)
            if admin.is_active:
                yield set_admin_deactivated(admin_id, at)
                yield end_admin_sessions(admin_id, at=at)
                yield record(event)
            return replace(admin, deactivated_at=admin.deactivated_at or at)

        return await self._db.transact(work)

    async def reactivate_admin(self, principal: Principal, admin_id: UUID) -> Admin:
        """Let an administrator sign in again; sessions of before stay ended. Raises NotAllowed, AdminNotFound."""
        principal.require(ADMINS_WRITE)
        event = happened("admin.reactivated", admin_id, by=principal.actor, at=self._clock())

        def work() -> Work[Admin]:
            admin = yield from lock_admin(admin_id)
            if admin is None:
                raise AdminNotFound(_NOBODY)
            if not admin.is_active:
                yield set_admin_deactivated(admin_id, None)
                yield record(event)
            return replace(admin, deactivated_at=None)

        return await self._db.transact(work)

    # ---- sessions of others --------------------------------------------------------------------------------------

    async def list_admin_sessions(self, principal: Principal, admin_id: UUID) -> Sequence[AdminSession]:
        """Where an administrator is signed in, the session used last first. Raises NotAllowed."""
        principal.require(ADMINS_WRITE)
        at = self._clock()
        return await list_admin_sessions(self._db, admin_id, at=at, idle_since=at - IDLE_LIFETIME)

    async def end_admin_sessions(self, principal: Principal, admin_id: UUID) -> int:
        """End every session of an administrator; returns how many. Raises NotAllowed, AdminNotFound."""
        principal.require(ADMINS_WRITE)
        await self.get_admin(admin_id)
        at = self._clock()
        event_id = new_id(at)

        def work() -> Work[int]:
            ended = len((yield end_admin_sessions(admin_id, at=at)))
            if ended:
                yield record(Event(event_id, admin_id, "admin.sessions_ended", principal.actor, {"count": ended}))
            return ended

        return await self._db.transact(work)


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
