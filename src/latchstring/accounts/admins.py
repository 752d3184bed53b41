"""Accounts of the admin panel: made on the command line, with a password or a one-time set-up link."""

from dataclasses import dataclass, field
from datetime import timedelta

from latchstring.accounts.addresses import Address
from latchstring.accounts.parts import AccountParts
from latchstring.accounts.passwords import check_policy
from latchstring.domain.account import ADMIN_ROLES, Admin
from latchstring.domain.errors import EmailTaken, FieldProblem, InvalidFields, SetUpTokenInvalid
from latchstring.domain.event import happened
from latchstring.domain.invitation import Channel
from latchstring.domain.principal import Principal
from latchstring.domain.values import new_id
from latchstring.events.record import record
from latchstring.links.tokens import LinkToken, Purpose, TokenRefused
from latchstring.storage.admins import find_admin, find_admin_by_email_key, insert_admin, set_admin_password
from latchstring.storage.engine import UniqueViolation, Work

SET_UP_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MadeAdmin:
    """An administrator that was just made; set_up_url when there is no password yet."""

    admin: Admin
    set_up_url: str | None = field(repr=False)


class Admins(AccountParts):
    """Administrators. Apart from users: another account, another login, another session."""

    async def create_admin(
        self, principal: Principal, *, address: Address, role: str, name: str = "", password: str | None = None
    ) -> MadeAdmin:
        """Make an administrator. Raises InvalidFields, EmailTaken."""
        problems = []
        if role not in ADMIN_ROLES:
            problems.append(FieldProblem("/role", "unknown-role", f"Choose one of {', '.join(ADMIN_ROLES)}."))
        if password is not None:
            problems += check_policy(password, self._rules, email=address.email, names=[name])
        if problems:
            raise InvalidFields(problems)
        hashed = None if password is None else await self._passwords.hash(password)
        at = self._clock()
        admin = Admin(new_id(at), address.email, address.email_key, name, role, hashed)
        event = happened("admin.created", admin.id, by=principal.actor, at=at, role=role)

        def work() -> Work[None]:
            yield insert_admin(admin)
            yield record(event)

        try:
            await self._db.transact(work)
        except UniqueViolation as violation:
            raise EmailTaken("Another administrator has this address.") from violation
        return MadeAdmin(admin, None if password is not None else self.set_up_url(admin))

    def set_up_url(self, admin: Admin) -> str:
        """A link that sets the password, good once and for a day."""
        at = self._clock()
        link = LinkToken(admin.id, admin.link_generation, Channel.REVEALED, at, at + SET_UP_LIFETIME)
        return f"{self._app.public_url}/admin/set-up?token={self._links.sign(Purpose.ADMIN_SET_UP, link)}"

    async def find_admin_by_address(self, address: Address) -> Admin | None:
        return await find_admin_by_email_key(self._db, address.email_key)

    async def check_set_up(self, token: str) -> Admin:
        """Whom a set-up link is for, while it is good. Raises SetUpTokenInvalid."""
        try:
            link = self._links.verify(Purpose.ADMIN_SET_UP, token)
        except TokenRefused as error:
            raise SetUpTokenInvalid(_OVER) from error
        admin = await find_admin(self._db, link.subject_id)
        is_over = link.expires_at <= self._clock()
        if admin is None or is_over or admin.deactivated_at or admin.link_generation != link.generation:
            raise SetUpTokenInvalid(_OVER)
        return admin

    async def set_up_admin(self, token: str, password: str) -> Admin:
        """Set the password through a set-up link, once. Raises SetUpTokenInvalid, InvalidFields."""
        admin = await self.check_set_up(token)
        problems = check_policy(password, self._rules, email=admin.email, names=[admin.name])
        if problems:
            raise InvalidFields(problems)
        hashed = await self._passwords.hash(password)

        def work() -> Work[None]:
            used = yield set_admin_password(admin.id, generation=admin.link_generation, password_hash=hashed)
            if not used:
                raise SetUpTokenInvalid(_OVER)

        await self._db.transact(work)
        return admin


_OVER = "This link is not, or no longer, good. Make a new one with `latchstring admin create`."
