"""Sign-in and sessions of administrators, separate from users: a user's session is never accepted in the panel."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from latchstring.admins.dependencies import AdminDependencies
from latchstring.crypto.opaque_tokens import new_opaque_token
from latchstring.domain.account import Admin, AdminSession
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import InvalidCredentials, StorageBusy
from latchstring.domain.event import Event
from latchstring.domain.ids import new_id
from latchstring.events.record import record
from latchstring.formats.email_address import find_email_key
from latchstring.storage.admins.admins import admin_of, find_admin_by_email_key, record_admin_login
from latchstring.storage.admins.sessions import (
    end_admin_session,
    find_admin_by_session,
    insert_admin_session,
    purge_admin_sessions,
    record_admin_session_use,
)
from latchstring.storage.engine.database import Work

SESSION_LIFETIME = timedelta(hours=12)  # a working day, absolute: use does not prolong it
IDLE_LIFETIME = timedelta(hours=2)
CODE_LIFETIME = timedelta(minutes=10)  # between the password and the second factor
LAST_SEEN_INTERVAL = timedelta(minutes=1)  # at most one write a minute, so that pages cost a read only
ENDED_SESSION_RETENTION = timedelta(days=1)
MAX_USER_AGENT_LENGTH = 300
WRONG_CREDENTIALS = "Wrong e-mail address or password."


@dataclass(frozen=True, slots=True)
class AuthenticatedAdmin:
    """The administrator of a session. awaits_code: only the page for the second factor may be shown."""

    admin: Admin
    session: AdminSession

    @property
    def session_id(self) -> UUID:
        return self.session.id

    @property
    def awaits_code(self) -> bool:
        return self.session.awaits_code


@dataclass(frozen=True, slots=True)
class NewAdminSession:
    """A session that was just opened, or that continues with a new token."""

    token: str = field(repr=False)
    awaits_code: bool
    expires_at: datetime
    admin: Admin


@dataclass(frozen=True, slots=True)
class AdminSessions:
    """Sign-in and sessions of administrators."""

    deps: AdminDependencies

    async def find(self, token: str) -> AuthenticatedAdmin | None:
        """The administrator of a session token, or None for an ended, idle or expired session."""
        now = self.deps.clock()
        # One read by a unique key on every request, with the present role: a deactivated administrator or an ended
        # session is refused at once. Idle time is compared here, so an idle session needs no job that ends it.
        admin_and_session = await find_admin_by_session(self.deps.db, token, now=now, idle_since=now - IDLE_LIFETIME)
        if admin_and_session is None:
            return None
        admin, session = admin_and_session
        if now - session.last_seen_at >= LAST_SEEN_INTERVAL:
            with suppress(StorageBusy):  # the page does not depend on this write; the next request repeats it
                await record_admin_session_use(self.deps.db, session.id, before=now - LAST_SEEN_INTERVAL, now=now)
        return AuthenticatedAdmin(admin, session)

    async def login(self, address_text: str, password: str, *, user_agent: str, network: str) -> NewAdminSession:
        """Sign in with address and password. Raises InvalidCredentials for every cause alike.

        With a second factor the session is not complete: it awaits the code, for ten minutes. network: of the client.
        Raises TooManyRequests after many attempts, whether or not the address belongs to an administrator.
        """
        email_key = find_email_key(address_text)  # None is answered like an unknown address
        # counted apart from the user with the same address, so that attempts at one do not lock out the other
        self.deps.limiter.check_login(f"admin {email_key or address_text}", network)
        admin = None if email_key is None else await find_admin_by_email_key(self.deps.db, email_key)
        stored_hash = admin.password_hash if admin else None
        # Without an administrator a dummy hash is verified: the answer takes as long, so that its time does not reveal
        # which addresses administer the installation. Deactivation is checked after it for the same reason.
        is_right = await self.deps.passwords.verify(password, stored_hash)
        if admin is None or stored_hash is None or not is_right or not admin.is_active:
            raise InvalidCredentials(WRONG_CREDENTIALS)
        kept_hash = (
            await self.deps.passwords.hash(password) if self.deps.passwords.needs_rehash(stored_hash) else stored_hash
        )
        return await self._open_admin_session(
            admin.id, verified_hash=stored_hash, kept_hash=kept_hash, user_agent=user_agent, network=network
        )

    async def _open_admin_session(
        self, admin_id: UUID, *, verified_hash: str, kept_hash: str, user_agent: str, network: str
    ) -> NewAdminSession:
        # 256 random bits; the database stores only their SHA-256 digest, so a copy of it opens no session
        now, token = self.deps.clock(), new_opaque_token()
        session_id, event_id = new_id(now), new_id(now)

        def work() -> Work[NewAdminSession]:
            # Hashing takes a tenth of a second. This conditional update refuses the login if the account was
            # deactivated or got another password meanwhile. It locks the row: a deactivation at the same time either
            # comes first or ends this session too.
            login_rows = yield record_admin_login(admin_id, verified_hash=verified_hash, kept_hash=kept_hash, now=now)
            if not login_rows:
                raise InvalidCredentials(WRONG_CREDENTIALS)
            admin = admin_of(login_rows[0])
            awaits_code = admin.has_second_factor
            expires_at = now + (CODE_LIFETIME if awaits_code else SESSION_LIFETIME)
            # a header that any client may fill: shown on a page, so without control characters and bounded
            agent = "".join(filter(str.isprintable, user_agent))[:MAX_USER_AGENT_LENGTH]
            session = AdminSession(session_id, admin_id, awaits_code, expires_at, now, agent, network)
            yield insert_admin_session(session, token.digest)
            if not awaits_code:
                yield record(Event(event_id, admin_id, "admin.signed_in", actor_of(admin_id)))
            return NewAdminSession(token.token, awaits_code, expires_at, admin)

        return await self.deps.db.transact(work)

    async def logout(self, by: AuthenticatedAdmin) -> None:
        """End the caller's session."""
        step = end_admin_session(by.session_id, admin_id=by.admin.id, now=self.deps.clock())
        await self.deps.db.write(step.statement, **step.values)

    async def purge(self) -> int:
        """Delete a batch of expired sessions; returns how many. Called by the worker."""
        return await purge_admin_sessions(self.deps.db, before=self.deps.clock() - ENDED_SESSION_RETENTION)


def actor_of(admin_id: UUID) -> Actor:
    """An administrator as the actor of events."""
    return Actor(ActorType.ADMIN, admin_id)
