"""Set-up links, which set an administrator's first password or reset a forgotten one.

They are signed like invitation links, with a separate key, and contain the administrator's link generation. They are
not stored. Using one increments the generation, so all other links of it stop working.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.sessions import actor_of
from latchstring.crypto.link_tokens import LinkToken, Purpose, TokenRefused
from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import Admin
from latchstring.domain.errors import InvalidFields, SetUpTokenInvalid
from latchstring.domain.event import new_event
from latchstring.domain.invitation import Channel
from latchstring.domain.mail import MailKind, OutgoingMail
from latchstring.events.record import record
from latchstring.formats.email_address import Address
from latchstring.mail.account_mail import account_mail, unsent_mail
from latchstring.mail.messages import AdminSetUpMail
from latchstring.storage.admins.admins import find_admin, find_admin_by_email_key, set_admin_password
from latchstring.storage.admins.sessions import end_admin_sessions
from latchstring.storage.engine.database import Work
from latchstring.storage.outbox.outbox import OutboxRow, queue_mail

SET_UP_LIFETIME = timedelta(days=1)
RESET_LIFETIME = timedelta(hours=1)  # for an administrator who has a password already


@dataclass(frozen=True, slots=True)
class SetUpSent:
    """A set-up link that was sent. set_up_url: to be shown once, if mail is disabled; else None."""

    admin: Admin
    set_up_url: str | None = field(repr=False)

    @property
    def is_mailed(self) -> bool:
        return self.set_up_url is None


@dataclass(frozen=True, slots=True)
class SetUpLinks:
    """Creates, sends and uses set-up links."""

    deps: AdminDependencies

    def url_of(self, admin: Admin, channel: Channel = Channel.REVEALED, starts_at: datetime | None = None) -> str:
        """A link that sets the password, once. Valid for a day, or for an hour if there is a password already."""
        now = starts_at or self.deps.clock()
        link = LinkToken(admin.id, admin.link_generation, channel, now, now + link_lifetime(admin))
        return f"{self.deps.app.public_url}/admin/set-up?token={self.deps.links.sign(Purpose.ADMIN_SET_UP, link)}"

    async def check(self, token: str) -> Admin:
        """The administrator of a valid set-up link. Raises SetUpTokenInvalid."""
        try:
            link = self.deps.links.verify(Purpose.ADMIN_SET_UP, token)
        except TokenRefused as error:
            raise SetUpTokenInvalid(_INVALID_LINK) from error
        admin = await find_admin(self.deps.db, link.subject_id)
        is_over = link.expires_at <= self.deps.clock()
        if admin is None or is_over or not admin.is_active or admin.link_generation != link.generation:
            raise SetUpTokenInvalid(_INVALID_LINK)
        return admin

    async def use(self, token: str, password: str) -> Admin:
        """Set the password with a set-up link, once; ends every session. Raises SetUpTokenInvalid, InvalidFields."""
        admin = await self.check(token)
        problems = check_policy(password, self.deps.rules, email=admin.email, names=[admin.name])
        if problems:
            raise InvalidFields(problems)
        password_hash = await self.deps.passwords.hash(password)
        now = self.deps.clock()
        event = new_event("admin.password_set", admin.id, by=actor_of(admin.id), now=now, via="set-up-link")

        def work() -> Work[None]:
            updated_rows = yield set_admin_password(
                admin.id, generation=admin.link_generation, password_hash=password_hash
            )
            if not updated_rows:  # conditional on the generation: another request used the link first
                raise SetUpTokenInvalid(_INVALID_LINK)
            yield end_admin_sessions(admin.id, now=now)
            yield record(event)

        await self.deps.db.transact(work)
        return admin

    async def request(self, address: Address, *, locale: str | None = None) -> None:
        """Mail a set-up link if the address belongs to an active administrator. Takes the same time if not.

        Raises TooManyRequests after many requests for an address, whether or not it belongs to an administrator.
        """
        self.deps.limiter.check_requested(address.email_key)
        now = self.deps.clock()
        admin = await find_admin_by_email_key(self.deps.db, address.email_key)
        mail = self.mail_to(admin, now, locale) if admin and admin.is_active else unsent_mail(now)
        step = queue_mail(mail)
        await self.deps.db.write(step.statement, **step.values)
        self.deps.wake_worker()

    def mail_to(self, admin: Admin, now: datetime, locale: str | None = None) -> OutgoingMail:
        """The mail with the link of the present generation."""
        return account_mail(admin, MailKind.ADMIN_SET_UP, now=now, is_off=self.deps.mail_rules.is_off, locale=locale)

    def result_for(self, admin: Admin) -> SetUpSent:
        """The result for the caller: the link itself if mail is disabled."""
        return SetUpSent(admin, self.url_of(admin) if self.deps.mail_rules.is_off else None)

    async def load_mail(self, row: OutboxRow) -> AdminSetUpMail | None:
        """The message of a queued set-up mail; None when its link would no longer work."""
        admin = await find_admin(self.deps.db, row.subject_id)
        if admin is None or not admin.is_active or admin.link_generation != row.generation:
            return None
        expires_at = row.created_at + link_lifetime(admin)
        if expires_at <= self.deps.clock():
            return None
        return AdminSetUpMail(
            to=admin.email,
            locale=row.locale or self.deps.app.default_locale,
            app_name=self.deps.app.name,
            first_name=admin.name or None,
            is_new=not admin.is_set_up,
            link_url=self.url_of(admin, Channel.MAILED, row.created_at),
            expires_at=expires_at,
        )


def link_lifetime(admin: Admin) -> timedelta:
    """The lifetime of a link created now."""
    return RESET_LIFETIME if admin.is_set_up else SET_UP_LIFETIME


_INVALID_LINK = "This link is invalid or has expired. Request a new one on the login page of the panel."
