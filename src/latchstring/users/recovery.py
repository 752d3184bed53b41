"""Proving a mailbox: forgotten passwords and unverified addresses. What is asked about an address answers alike.

The links are signed like invitation links, each purpose under a key of its own, and name the user's link generation.
Nothing of them is stored. Using a reset link moves the generation on, so it and its sisters are dead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from latchstring.crypto.link_tokens import LinkToken, Purpose, TokenRefused
from latchstring.crypto.passwords import check_policy
from latchstring.domain.account import User
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import (
    InvalidFields,
    ResetTokenInvalid,
    VerificationTokenInvalid,
)
from latchstring.domain.event import happened
from latchstring.domain.invitation import Channel
from latchstring.domain.mail import MailKind, OutgoingMail
from latchstring.events.record import record
from latchstring.formats.email_address import Address
from latchstring.mail.account_mail import account_mail, unsent_mail
from latchstring.mail.messages import EmailVerificationMail, PasswordResetMail
from latchstring.storage.engine.database import Work
from latchstring.storage.outbox.outbox import OutboxRow, queue_mail
from latchstring.storage.users.sessions import end_sessions
from latchstring.storage.users.users import find_user, find_user_by_email_key, set_password, verify_email
from latchstring.users.dependencies import UserDependencies

RESET_LIFETIME = timedelta(hours=1)
VERIFICATION_LIFETIME = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Reset and verification links."""

    deps: UserDependencies

    def _mail_to(self, user: User, kind: MailKind, *, now: datetime, locale: str | None = None) -> OutgoingMail:
        return account_mail(user, kind, now=now, is_off=self.deps.mail_is_off, locale=locale)

    async def request_password_reset(self, address: Address, *, locale: str | None = None) -> None:
        """Mail a reset link if the address has an account that is not blocked. Takes as long if not."""
        now = self.deps.clock()
        user = await find_user_by_email_key(self.deps.db, address.email_key)
        if user is not None and not user.blocked:
            mail = self._mail_to(user, MailKind.PASSWORD_RESET, now=now, locale=locale)
        else:
            mail = unsent_mail(now)
        await self._promise(mail)

    async def request_verification(self, user: User, *, locale: str | None = None) -> None:
        """Mail a verification link to somebody signed in; nothing for an address that is verified."""
        if not user.email_verified:
            await self._promise(self._mail_to(user, MailKind.EMAIL_VERIFICATION, now=self.deps.clock(), locale=locale))

    async def request_verification_of(self, address: Address, *, locale: str | None = None) -> None:
        """The same for somebody who only names an address. Takes as long when there is nothing to send."""
        now = self.deps.clock()
        user = await find_user_by_email_key(self.deps.db, address.email_key)
        if user is not None and not user.blocked and not user.email_verified:
            mail = self._mail_to(user, MailKind.EMAIL_VERIFICATION, now=now, locale=locale)
        else:
            mail = unsent_mail(now)
        await self._promise(mail)

    async def _promise(self, mail: OutgoingMail) -> None:
        one = queue_mail(mail)
        await self.deps.db.write(one.statement, **one.values)
        self.deps.wake_worker()

    # ---- using the links ---------------------------------------------------------------------------------------------

    async def find_reset_user(self, token: str) -> User | None:
        """Whose password a reset link would set, while it is good; for the page that asks for the new one."""
        try:
            return (await self._reset_link(token))[0]
        except ResetTokenInvalid:
            return None

    async def reset_password(self, token: str, new_password: str, *, pointer: str = "/newPassword") -> None:
        """Set a password through a reset link, once; every session ends, and the mailbox counts as proved.

        Raises ResetTokenInvalid for bad, used and over alike, InvalidFields for a password that breaks the rules.
        """
        user, generation = await self._reset_link(token)
        problems = check_policy(
            new_password,
            self.deps.rules,
            email=user.email,
            names=[user.first_name, user.last_name],
            pointer=pointer,
        )
        if problems:
            raise InvalidFields(problems)
        hashed = await self.deps.passwords.hash(new_password)
        now = self.deps.clock()
        actor = Actor(ActorType.USER, user.id)
        event = happened("user.password_reset", user.id, by=actor, now=now)

        def work() -> Work[None]:
            changed = yield set_password(user.id, generation=generation, password_hash=hashed)
            if not changed:  # used by somebody else since it was read
                raise ResetTokenInvalid(_OVER)
            yield end_sessions(user.id, now=now)
            yield record(event)

        await self.deps.db.transact(work)

    async def verify_email(self, token: str) -> UUID:
        """Note that the mailbox is proved, once. Raises VerificationTokenInvalid; returns the user's id."""
        link = self._read(token, Purpose.EMAIL_VERIFICATION, VerificationTokenInvalid)
        now = self.deps.clock()
        user_id = link.subject_id
        event = happened("user.email_verified", user_id, by=Actor(ActorType.USER, user_id), now=now)

        def work() -> Work[None]:
            changed = yield verify_email(user_id, generation=link.generation)
            if not changed:
                raise VerificationTokenInvalid(_OVER)
            yield record(event)

        await self.deps.db.transact(work)
        return user_id

    async def _reset_link(self, token: str) -> tuple[User, int]:
        link = self._read(token, Purpose.PASSWORD_RESET, ResetTokenInvalid)
        user = await find_user(self.deps.db, link.subject_id)
        if user is None or user.blocked or user.link_generation != link.generation:
            raise ResetTokenInvalid(_OVER)
        return user, link.generation

    def _read(
        self, token: str, purpose: Purpose, refusal: type[ResetTokenInvalid] | type[VerificationTokenInvalid]
    ) -> LinkToken:
        """The content of a genuine link in its time. No row holds these links, so here the signed time decides."""
        try:
            link = self.deps.links.verify(purpose, token)
        except TokenRefused as error:
            raise refusal(_OVER) from error
        if link.expires_at <= self.deps.clock():
            raise refusal(_OVER)
        return link

    # ---- what the worker mails ---------------------------------------------------------------------------------------

    async def load_password_reset_mail(self, row: OutboxRow) -> PasswordResetMail | None:
        """The message of a promised reset mail; None when its link would be dead on arrival."""
        user = await self._recipient(row, RESET_LIFETIME)
        if user is None:
            return None
        link = self._link(row, Purpose.PASSWORD_RESET, "password-reset", RESET_LIFETIME)
        return PasswordResetMail(
            to=user.email,
            locale=row.locale or self.deps.app.default_locale,
            app_name=self.deps.app.name,
            first_name=user.first_name or None,
            link_url=link,
            expires_at=row.created_at + RESET_LIFETIME,
        )

    async def load_email_verification_mail(self, row: OutboxRow) -> EmailVerificationMail | None:
        """The message of a promised verification mail; None when there is nothing left to verify."""
        user = await self._recipient(row, VERIFICATION_LIFETIME)
        if user is None or user.email_verified:
            return None
        link = self._link(row, Purpose.EMAIL_VERIFICATION, "verify-email", VERIFICATION_LIFETIME)
        return EmailVerificationMail(
            to=user.email,
            locale=row.locale or self.deps.app.default_locale,
            app_name=self.deps.app.name,
            first_name=user.first_name or None,
            link_url=link,
            expires_at=row.created_at + VERIFICATION_LIFETIME,
        )

    async def _recipient(self, row: OutboxRow, lifetime: timedelta) -> User | None:
        user = await find_user(self.deps.db, row.subject_id)
        is_over = row.created_at + lifetime <= self.deps.clock()
        if user is None or user.blocked or is_over or user.link_generation != row.generation:
            return None
        return user

    def _link(self, row: OutboxRow, purpose: Purpose, path: str, lifetime: timedelta) -> str:
        starts_at = row.created_at
        link = LinkToken(row.subject_id, row.generation, Channel.MAILED, starts_at, starts_at + lifetime)
        return f"{self.deps.app.public_url}/{path}?token={self.deps.links.sign(purpose, link)}"


_OVER = "This link is invalid or has expired. Request a new one."
