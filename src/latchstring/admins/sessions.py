"""Administrators signing in, staying signed in, signing out: apart from users, whose logins open nothing here."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from latchstring.admins.dependencies import AdminDependencies
from latchstring.domain.account import Admin, AdminSession
from latchstring.domain.actor import Actor, ActorType
from latchstring.domain.errors import InvalidCredentials, StorageBusy
from latchstring.domain.event import Event
from latchstring.domain.ids import new_id
from latchstring.events.record import record
from latchstring.formats.email_address import AddressRefused, parse_address
from latchstring.storage.admins.admins import admin_of, find_admin_by_email_key, note_admin_login
from latchstring.storage.admins.sessions import (
    end_admin_session,
    find_admin_by_session,
    insert_admin_session,
    new_session_token,
    purge_admin_sessions,
    see_admin_session,
)
from latchstring.storage.engine.database import Work

SESSION_LIFETIME = timedelta(hours=12)  # a working day: then sign in again, whatever happened
IDLE_LIFETIME = timedelta(hours=2)
CODE_LIFETIME = timedelta(minutes=10)  # between the password and the second factor
SEEN_EVERY = timedelta(minutes=1)  # a page is a read, except once a minute
KEPT_AFTER = timedelta(days=1)
LONGEST_USER_AGENT = 300
WRONG = "Wrong e-mail address or password."


@dataclass(frozen=True, slots=True)
class AuthenticatedAdmin:
    """Who holds a session's token. awaits_code: only the page that asks for the second factor may be shown."""

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
    """A session that was just opened, or goes on under another token."""

    token: str = field(repr=False)
    awaits_code: bool
    expires_at: datetime
    admin: Admin


@dataclass(frozen=True, slots=True)
class AdminSessions:
    """Sign-in and sessions of administrators."""

    deps: AdminDependencies

    async def find(self, token: str) -> AuthenticatedAdmin | None:
        """Who holds this token, by role of this moment. One read by a unique key.

        Ended, idle, run out, deactivated: None at once.
        """
        now = self.deps.clock()
        found = await find_admin_by_session(self.deps.db, token, now=now, idle_since=now - IDLE_LIFETIME)
        if found is None:
            return None
        admin, session = found
        if now - session.last_seen_at >= SEEN_EVERY:
            with suppress(StorageBusy):  # the page needs no write; the next one notes it
                await see_admin_session(self.deps.db, session.id, before=now - SEEN_EVERY, now=now)
        return AuthenticatedAdmin(admin, session)

    async def login(self, address_text: str, password: str, *, user_agent: str, network: str) -> NewAdminSession:
        """Sign in by address and password. Raises InvalidCredentials, alike and after the same work for every cause.

        Whoever has a second factor is not in yet: the session awaits its code, for ten minutes.
        """
        admin = await self._find_admin_by_text(address_text)
        hashed = admin.password_hash if admin else None
        is_right = await self.deps.passwords.verify(password, hashed)
        if admin is None or hashed is None or not is_right or not admin.is_active:
            raise InvalidCredentials(WRONG)
        kept = await self.deps.passwords.hash(password) if self.deps.passwords.needs_rehash(hashed) else hashed
        return await self._open_admin_session(
            admin.id, verified_hash=hashed, kept_hash=kept, user_agent=user_agent, network=network
        )

    async def _find_admin_by_text(self, address_text: str) -> Admin | None:
        try:
            address = parse_address(address_text)
        except AddressRefused:  # what is no address is nobody's, and is answered as such
            return None
        return await find_admin_by_email_key(self.deps.db, address.email_key)

    async def _open_admin_session(
        self, admin_id: UUID, *, verified_hash: str, kept_hash: str, user_agent: str, network: str
    ) -> NewAdminSession:
        now, token = self.deps.clock(), new_session_token()
        session_id, event_id = new_id(now), new_id(now)

        def work() -> Work[NewAdminSession]:
            # the row decides again: meanwhile somebody may have deactivated the account or changed its password
            noted = yield note_admin_login(admin_id, verified_hash=verified_hash, kept_hash=kept_hash, now=now)
            if not noted:
                raise InvalidCredentials(WRONG)
            admin = admin_of(noted[0])
            awaits = admin.has_second_factor
            end = now + (CODE_LIFETIME if awaits else SESSION_LIFETIME)
            agent = "".join(filter(str.isprintable, user_agent))[:LONGEST_USER_AGENT]
            session = AdminSession(session_id, admin_id, awaits, end, now, agent, network)
            yield insert_admin_session(session, token.digest)
            if not awaits:
                yield record(Event(event_id, admin_id, "admin.signed_in", actor_of(admin_id)))
            return NewAdminSession(token.text, awaits, end, admin)

        return await self.deps.db.transact(work)

    async def logout(self, visit: AuthenticatedAdmin) -> None:
        """End the session of this browser."""
        one = end_admin_session(visit.session_id, admin_id=visit.admin.id, now=self.deps.clock())
        await self.deps.db.write(one.statement, **one.values)

    async def purge(self) -> int:
        """Remove a batch of sessions that have run out; returns how many. For the worker's tidying."""
        return await purge_admin_sessions(self.deps.db, before=self.deps.clock() - KEPT_AFTER)


def actor_of(admin_id: UUID) -> Actor:
    """An administrator as history names who acts."""
    return Actor(ActorType.ADMIN, admin_id)
