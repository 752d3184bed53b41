"""What those who look after users do: find them, read their history, end their sessions, send them links."""

from datetime import datetime
from uuid import UUID

from latchstring.domain.account import User
from latchstring.domain.actor import Actor
from latchstring.domain.errors import MailDisabled, UserNotFound
from latchstring.domain.event import RecordedEvent, happened
from latchstring.domain.mail import MailKind
from latchstring.domain.pagination import Count, Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.views.users import UserSearch
from latchstring.events.record import record
from latchstring.mail.account_mail import account_mail
from latchstring.storage.engine.database import Work
from latchstring.storage.events.subject_history import list_history
from latchstring.storage.outbox.outbox import queue_mail
from latchstring.storage.users.lists import count_role, list_users
from latchstring.storage.users.sessions import end_sessions
from latchstring.storage.users.users import find_user, lock_user
from latchstring.users.dependencies import UserDependencies

READ_USERS = "users:read"
WRITE_USERS = "users:write"
READ_HISTORY = "audit:read"
LINKS = {MailKind.PASSWORD_RESET: "password-reset", MailKind.EMAIL_VERIFICATION: "verification"}


class Keeping(UserDependencies):
    """Users as their keepers see them."""

    async def search_users(
        self, principal: Principal, wanted: UserSearch, *, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[User]:
        """A page of users. Orders: createdAt, email, name. Raises NotAllowed."""
        principal.require(READ_USERS)
        return await list_users(self._db, wanted, order=order, cursor=cursor, limit=limit)

    async def count_holders_of_roles(self, principal: Principal) -> dict[str, Count]:
        """How many users have each role of the configuration. Raises NotAllowed."""
        principal.require(READ_USERS)
        return {key: await count_role(self._db, key) for key in self._roles}

    async def list_history(
        self, principal: Principal, subject_id: UUID, *, cursor: Cursor | None = None
    ) -> Page[RecordedEvent]:
        """What happened to a user, a group, an object or a key, newest first. Raises NotAllowed."""
        principal.require(READ_HISTORY)
        return await list_history(self._db, subject_id, cursor=cursor)

    async def end_sessions_of_user(self, principal: Principal, user_id: UUID) -> None:
        """Sign a user out everywhere, at once. Raises NotAllowed, UserNotFound."""
        principal.require(WRITE_USERS)
        at = self._clock()

        def work() -> Work[None]:
            # the row is locked first: no session is opened in between
            if (yield from lock_user(user_id)) is None:
                raise UserNotFound("There is no such user.")
            yield end_sessions(user_id, at=at)
            yield record(happened("user.sessions_ended", user_id, by=principal.actor, at=at))

        await self._db.transact(work)

    async def send_link(self, principal: Principal, user_id: UUID, kind: MailKind) -> bool:
        """Mail a user a link to choose a password, or to prove the address; False when there is nothing to prove.

        kind: one of LINKS. Raises NotAllowed, UserNotFound, MailDisabled.
        """
        principal.require(WRITE_USERS)
        user = await find_user(self._db, user_id)
        if user is None:
            raise UserNotFound("There is no such user.")
        if self._mail_is_off:
            raise MailDisabled("Mail is disabled.")
        if kind is MailKind.EMAIL_VERIFICATION and user.email_verified:
            return False
        at = self._clock()
        await self._db.transact(lambda: self._send(user, kind, principal.actor, at))
        self._wake_worker()
        return True

    def _send(self, user: User, kind: MailKind, by: Actor, at: datetime) -> Work[None]:
        yield queue_mail(account_mail(user, kind, at=at, is_off=self._mail_is_off))
        yield record(happened("user.link_sent", user.id, by=by, at=at, kind=LINKS[kind]))
