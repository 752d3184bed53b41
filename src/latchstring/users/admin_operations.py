"""Operations of user administrators: search users, read their history, end sessions, send links."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from latchstring.domain.account import User
from latchstring.domain.actor import Actor
from latchstring.domain.errors import MailDisabled, UserNotFound
from latchstring.domain.event import RecordedEvent, new_event
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


@dataclass(frozen=True, slots=True)
class UserOperations:
    """Operations on users that require a permission."""

    deps: UserDependencies

    async def search(
        self, filters: UserSearch, *, by: Principal, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[User]:
        """A page of users. Orders: createdAt, email, name. Raises NotAllowed."""
        by.require(READ_USERS)
        return await list_users(self.deps.db, filters, order=order, cursor=cursor, limit=limit)

    async def count_by_role(self, *, by: Principal) -> dict[str, Count]:
        """The number of users with each configured role. Raises NotAllowed."""
        by.require(READ_USERS)
        return {key: await count_role(self.deps.db, key) for key in self.deps.roles}

    async def list_history(
        self, subject_id: UUID, *, by: Principal, cursor: Cursor | None = None
    ) -> Page[RecordedEvent]:
        """The events of a user, a group, an object or a key, newest first. Raises NotAllowed."""
        by.require(READ_HISTORY)
        return await list_history(self.deps.db, subject_id, cursor=cursor)

    async def end_sessions(self, user_id: UUID, *, by: Principal) -> None:
        """End every session of a user. Raises NotAllowed, UserNotFound."""
        by.require(WRITE_USERS)
        now = self.deps.clock()

        def work() -> Work[None]:
            # the row is locked first, so that no session is opened in between
            if (yield from lock_user(user_id)) is None:
                raise UserNotFound("There is no such user.")
            yield end_sessions(user_id, now=now)
            yield record(new_event("user.sessions_ended", user_id, by=by.actor, now=now))

        await self.deps.db.transact(work)

    async def send_link(self, user_id: UUID, kind: MailKind, *, by: Principal) -> bool:
        """Mail a user a link to set a password or to verify the address. False: the address is verified already.

        kind: one of LINKS. Counts for the limit of the address, even if it is refused later. Raises NotAllowed,
        UserNotFound, TooManyRequests, MailDisabled.
        """
        by.require(WRITE_USERS)
        user = await find_user(self.deps.db, user_id)
        if user is None:
            raise UserNotFound("There is no such user.")
        self.deps.limiter.check_recipient(user.email_key)
        if self.deps.mail_rules.is_off:
            raise MailDisabled("Mail is disabled.")
        if kind is MailKind.EMAIL_VERIFICATION and user.email_verified:
            return False
        now = self.deps.clock()
        await self.deps.db.transact(lambda: self._send(user, kind, by.actor, now))
        self.deps.wake_worker()
        return True

    def _send(self, user: User, kind: MailKind, by: Actor, now: datetime) -> Work[None]:
        yield queue_mail(account_mail(user, kind, now=now, is_off=self.deps.mail_rules.is_off))
        yield record(new_event("user.link_sent", user.id, by=by, now=now, kind=LINKS[kind]))
