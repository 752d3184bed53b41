"""Password reset and e-mail verification. Requests for an address never reveal whether it has an account.

The links are signed like invitation links, with a separate key for each purpose, and contain the user's link
generation. They are not stored. Using a link increments the generation, so all other links of it stop working.
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
from latchstring.domain.event import new_event
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
    """Sends and uses reset and verification links."""

    deps: UserDependencies

    def _mail_to(self, user: User, kind: MailKind, *, now: datetime, locale: str | None = None) -> OutgoingMail:
        return account_mail(user, kind, now=now, is_off=self.deps.mail_rules.is_off, locale=locale)

    async def request_password_reset(self, address: Address, *, locale: str | None = None) -> None:
        """Mail a reset link if the address has an account that is not blocked. Takes the same time if not.

        Raises TooManyRequests after many requests for an address, with or without an account.
        """
        self.deps.limiter.check_requested(address.email_key)
        now = self.deps.clock()
        user = await find_user_by_email_key(self.deps.db, address.email_key)
        if user is not None and not user.blocked:
            mail = self._mail_to(user, MailKind.PASSWORD_RESET, now=now, locale=locale)
        else:
            # a row that is never sent costs the same commit: the response time does not reveal which addresses exist
            mail = unsent_mail(now)
        await self._queue(mail)

    async def request_verification(self, user: User, *, locale: str | None = None) -> None:
        """Mail a verification link to a signed-in user; does nothing for a verified address.

        Raises TooManyRequests.
        """
        self.deps.limiter.check_requested(user.email_key)
        if not user.email_verified:
            await self._queue(self._mail_to(user, MailKind.EMAIL_VERIFICATION, now=self.deps.clock(), locale=locale))

    async def request_verification_of(self, address: Address, *, locale: str | None = None) -> None:
        """Mail a verification link to an address, if it has an unverified account. Takes the same time if not.

        Raises TooManyRequests after many requests for an address, with or without an account.
        """
        self.deps.limiter.check_requested(address.email_key)
        now = self.deps.clock()
        user = await find_user_by_email_key(self.deps.db, address.email_key)
        if user is not None and not user.blocked and not user.email_verified:
            mail = self._mail_to(user, MailKind.EMAIL_VERIFICATION, now=now, locale=locale)
        else:
            # as above: the same work for every address
            mail = unsent_mail(now)
        await self._queue(mail)

    async def _queue(self, mail: OutgoingMail) -> None:
        # The row holds no link. The worker derives it when it sends the mail, so that a copy of the database does not
        # contain a link that would set a password.
        step = queue_mail(mail)
        await self.deps.db.write(step.statement, **step.values)
        self.deps.wake_worker()

    # ---- use links ---------------------------------------------------------------------------------------------------

    async def find_reset_user(self, token: str) -> User | None:
        """The user of a reset link, None if the link does not work; for the page with the password form."""
        # Does not use the link: mail scanners open links, and only the form sends the new password.
        try:
            return (await self._check_reset_link(token))[0]
        except ResetTokenInvalid:
            return None

    async def reset_password(self, token: str, new_password: str, *, pointer: str = "/newPassword") -> None:
        """Set a password with a reset link, once. Ends every session and verifies the address.

        Raises ResetTokenInvalid for forged, used and expired links alike, InvalidFields for an unacceptable password.
        """
        user, generation = await self._check_reset_link(token)
        problems = check_policy(
            new_password,
            self.deps.rules,
            email=user.email,
            names=[user.first_name, user.last_name],
            pointer=pointer,
        )
        if problems:
            raise InvalidFields(problems)
        # before the transaction: a hash takes a tenth of a second, too long to hold a lock
        password_hash = await self.deps.passwords.hash(new_password)
        now = self.deps.clock()
        actor = Actor(ActorType.USER, user.id)
        event = new_event("user.password_reset", user.id, by=actor, now=now)

        def work() -> Work[None]:
            changed = yield set_password(user.id, generation=generation, password_hash=password_hash)
            # Conditional on the generation, and increments it: of two requests with one link, one sets its password.
            if not changed:
                raise ResetTokenInvalid(_INVALID_LINK)
            # an attacker who knew the old password may be signed in with it
            yield end_sessions(user.id, now=now)
            yield record(event)

        await self.deps.db.transact(work)

    async def verify_email(self, token: str) -> UUID:
        """Verify the address of a user, once; returns the user's id. Raises VerificationTokenInvalid."""
        link = self._read(token, Purpose.EMAIL_VERIFICATION, VerificationTokenInvalid)
        now = self.deps.clock()
        user_id = link.subject_id
        event = new_event("user.email_verified", user_id, by=Actor(ActorType.USER, user_id), now=now)

        def work() -> Work[None]:
            # Conditional on the generation: a link stops working when the address changes, so it cannot verify another
            # mailbox than the one it was sent to.
            changed = yield verify_email(user_id, generation=link.generation)
            if not changed:
                raise VerificationTokenInvalid(_INVALID_LINK)
            yield record(event)

        await self.deps.db.transact(work)
        return user_id

    async def _check_reset_link(self, token: str) -> tuple[User, int]:
        link = self._read(token, Purpose.PASSWORD_RESET, ResetTokenInvalid)
        user = await find_user(self.deps.db, link.subject_id)
        if user is None or user.blocked or user.link_generation != link.generation:
            raise ResetTokenInvalid(_INVALID_LINK)
        return user, link.generation

    def _read(
        self, token: str, purpose: Purpose, refusal: type[ResetTokenInvalid] | type[VerificationTokenInvalid]
    ) -> LinkToken:
        """The content of a genuine link that has not expired."""
        try:
            link = self.deps.links.verify(purpose, token)
        except TokenRefused as error:
            raise refusal(_INVALID_LINK) from error
        # links are not stored, so the signed instant decides; one error for all causes tells an attacker nothing
        if link.expires_at <= self.deps.clock():
            raise refusal(_INVALID_LINK)
        return link

    # ---- mails for the worker ----------------------------------------------------------------------------------------

    async def load_password_reset_mail(self, row: OutboxRow) -> PasswordResetMail | None:
        """The message of a queued reset mail; None when its link would no longer work."""
        user = await self._find_recipient(row, RESET_LIFETIME)
        if user is None:
            return None
        link_url = self._url_of(row, Purpose.PASSWORD_RESET, "password-reset", RESET_LIFETIME)
        return PasswordResetMail(
            to=user.email,
            locale=row.locale or self.deps.app.default_locale,
            app_name=self.deps.app.name,
            first_name=user.first_name or None,
            link_url=link_url,
            expires_at=row.created_at + RESET_LIFETIME,
        )

    async def load_email_verification_mail(self, row: OutboxRow) -> EmailVerificationMail | None:
        """The message of a queued verification mail; None when there is nothing to verify any more."""
        user = await self._find_recipient(row, VERIFICATION_LIFETIME)
        if user is None or user.email_verified:
            return None
        link_url = self._url_of(row, Purpose.EMAIL_VERIFICATION, "verify-email", VERIFICATION_LIFETIME)
        return EmailVerificationMail(
            to=user.email,
            locale=row.locale or self.deps.app.default_locale,
            app_name=self.deps.app.name,
            first_name=user.first_name or None,
            link_url=link_url,
            expires_at=row.created_at + VERIFICATION_LIFETIME,
        )

    async def _find_recipient(self, row: OutboxRow, lifetime: timedelta) -> User | None:
        user = await find_user(self.deps.db, row.subject_id)
        is_over = row.created_at + lifetime <= self.deps.clock()
        if user is None or user.blocked or is_over or user.link_generation != row.generation:
            return None
        return user

    def _url_of(self, row: OutboxRow, purpose: Purpose, path: str, lifetime: timedelta) -> str:
        # counted from the request, not from the attempt: retries send the same link and do not prolong it
        starts_at = row.created_at
        link = LinkToken(row.subject_id, row.generation, Channel.MAILED, starts_at, starts_at + lifetime)
        return f"{self.deps.app.public_url}/{path}?token={self.deps.links.sign(purpose, link)}"


_INVALID_LINK = "This link is invalid or has expired. Request a new one."
