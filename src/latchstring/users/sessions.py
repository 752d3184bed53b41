"""Signing in, staying signed in, signing out: sessions, and who a credential stands for."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from latchstring.domain.account import User
from latchstring.domain.actor import SYSTEM, Actor, ActorType
from latchstring.domain.errors import CredentialInvalid, InvalidCredentials, RefreshTokenInvalid
from latchstring.domain.event import Event, happened
from latchstring.domain.ids import new_id
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.storage.engine.database import Step, Work
from latchstring.storage.users.api_keys import digest_key, find_live_key, is_key_text
from latchstring.storage.users.sessions import (
    RefreshToken,
    digest_refresh_token,
    end_session,
    end_sessions,
    find_live_holder,
    find_live_user,
    find_refresh_token,
    forget_used_tokens,
    insert_refresh_token,
    insert_session,
    new_refresh_token,
    prolong_session,
    purge_sessions,
    use_refresh_token,
)
from latchstring.storage.users.users import find_user_by_email_key, load_user, note_login
from latchstring.users.dependencies import UserDependencies

TIDIED = 8  # of 256: one refresh in 32 clears its session's old tokens, enough to bound them and cheap
KEPT_AFTER = timedelta(days=1)

KEYS_REMEMBERED_FOR = timedelta(seconds=5)
MOST_KEYS_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be: its id, the first refresh token, and the steps that make it part of a transaction."""

    id: UUID
    refresh_token: str = field(repr=False)
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What a signed-in client gets. expires_in: seconds of the access token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sign-in, sessions, and the principal of a credential."""

    deps: UserDependencies

    # ---- who asks ----------------------------------------------------------------------------------------------------

    async def principal_of_access_token(self, text: str) -> tuple[Principal, User]:
        """Who an access token stands for, by role and groups of this moment. Raises CredentialInvalid.

        One read by primary keys on every request: an ended session, a blocked or a vanished user is refused at once.
        """
        now = self.deps.clock()
        claims = self.deps.access_tokens.read(text, now=now)
        user = await find_live_user(self.deps.db, session_id=claims.session_id, user_id=claims.user_id, now=now)
        if user is None:
            raise CredentialInvalid("This session has ended. Sign in again.")
        return self.deps.principal_of(user, claims.session_id), user

    async def principal_of_refresh_token(self, text: str) -> tuple[Principal, User]:
        """Who holds a refresh token that is still good. Raises CredentialInvalid.

        Reads only: the token stays unused, and one that comes back used ends nothing here. For pages, whose GET must
        change nothing; the API takes a refresh token for the next one and for signing out, never as who somebody is.
        """
        found = await find_live_holder(self.deps.db, digest_refresh_token(text), now=self.deps.clock())
        if found is None:
            raise CredentialInvalid("This session has ended. Sign in again.")
        user, session_id = found
        return self.deps.principal_of(user, session_id), user

    async def principal_of_api_key(self, text: str) -> Principal:
        """Whom an API key stands for. Raises CredentialInvalid."""
        key = await find_live_key(self.deps.db, digest_key(text), now=self.deps.clock()) if is_key_text(text) else None
        if key is None:
            raise CredentialInvalid("This API key is unknown, revoked or expired.")
        return key.principal

    async def remembered_principal_of_api_key(self, text: str) -> Principal:
        """The same, but what was read within five seconds is believed. Raises CredentialInvalid.

        Only for effects whose own statement checks the key again: a revoked key fails there, at once.
        """
        digest, now = digest_key(text), self.deps.clock()
        known = self.deps.known_keys.get(digest)
        if known is not None and now - known[0] < KEYS_REMEMBERED_FOR:
            return known[1]
        principal = await self.principal_of_api_key(text)
        if len(self.deps.known_keys) >= MOST_KEYS_REMEMBERED:
            self.deps.known_keys.clear()
        self.deps.known_keys[digest] = (now, principal)
        return principal

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys that access tokens can be checked with."""
        return self.deps.access_tokens.jwks()

    # ---- sessions ----------------------------------------------------------------------------------------------------

    def new_session(self, user_id: UUID, now: datetime) -> NewSession:
        """A session for the transaction that lets somebody in; its steps come after the user's row."""
        session_id, token = new_id(now), new_refresh_token()
        steps = [
            insert_session(session_id, user_id, expires_at=now + self.deps.rules.refresh_token_lifetime),
            insert_refresh_token(token.digest, session_id),
        ]
        return NewSession(session_id, token.text, steps)

    def tokens_for(self, user: User, session: NewSession) -> SessionTokens:
        """The tokens of a session that was just made."""
        return self._tokens(user, session.id, session.refresh_token)

    def end_all(self, user_id: UUID, now: datetime) -> Step:
        """The step that ends every session of a user."""
        return end_sessions(user_id, now=now)

    async def login(self, email_key: str | None, password: str) -> tuple[User, SessionTokens]:
        """Sign in by address and password. Raises InvalidCredentials, alike and after the same work for every cause.

        email_key: canonical; None for text that is no address.
        """
        user = None if email_key is None else await find_user_by_email_key(self.deps.db, email_key)
        hashed = user.password_hash if user else None
        is_right = await self.deps.passwords.verify(password, hashed)
        if user is None or hashed is None or not is_right or user.blocked:
            raise InvalidCredentials("Wrong e-mail address or password.")
        kept = await self.deps.passwords.hash(password) if self.deps.passwords.needs_rehash(hashed) else hashed
        return await self._open(user, verified_hash=hashed, kept_hash=kept)

    async def _open(self, user: User, *, verified_hash: str, kept_hash: str) -> tuple[User, SessionTokens]:
        now = self.deps.clock()
        session = self.new_session(user.id, now)
        event = happened("user.signed_in", user.id, by=Actor(ActorType.USER, user.id), now=now)

        def work() -> Work[User]:
            # the row decides again: meanwhile somebody may have blocked the account or changed its password
            noted = yield note_login(user.id, verified_hash=verified_hash, kept_hash=kept_hash, now=now)
            present = yield from load_user(user.id)
            if not noted or present is None:
                raise InvalidCredentials("Wrong e-mail address or password.")
            for one in session.steps:  # noqa: UP028  # a list cannot be sent the rows
                yield one
            yield record(event)
            return present

        present = await self.deps.db.transact(work)
        return present, self.tokens_for(present, session)

    async def refresh(self, refresh_token: str) -> tuple[User, SessionTokens]:
        """Change a refresh token for the next one. Raises RefreshTokenInvalid.

        Each is good once. One that comes back was copied: whoever holds the other, the session ends for both.
        """
        now = self.deps.clock()
        fresh, digest, event_id = new_refresh_token(), digest_refresh_token(refresh_token), new_id(now)
        found = await self.deps.db.transact(lambda: self._rotate(digest, fresh, event_id, now))
        if found is None:
            raise RefreshTokenInvalid("This refresh token is invalid or has expired. Sign in again.")
        user, session_id = found
        return user, self._tokens(user, session_id, fresh.text)

    def _rotate(
        self, digest: bytes, fresh: RefreshToken, event_id: UUID, now: datetime
    ) -> Work[tuple[User, UUID] | None]:
        """None instead of raising: the end of a session that was stolen from must be committed."""
        used = yield use_refresh_token(digest, now=now)
        if not used:
            yield from self._end_reused(digest, event_id, now)
            return None
        session_id = used[0].session_id
        live = yield prolong_session(session_id, until=now + self.deps.rules.refresh_token_lifetime, now=now)
        user = (yield from load_user(live[0].user_id)) if live else None
        if user is None or user.blocked:
            return None
        yield insert_refresh_token(fresh.digest, session_id)
        if fresh.digest[0] < TIDIED:
            yield forget_used_tokens(session_id, before=now - self.deps.rules.refresh_token_lifetime)
        return user, session_id

    def _end_reused(self, digest: bytes, event_id: UUID, now: datetime) -> Work[None]:
        found = yield find_refresh_token(digest)
        ended = (yield end_session(found[0].session_id, now=now)) if found else []
        if ended:
            data = {"sessionId": str(found[0].session_id)}
            yield record(Event(event_id, ended[0].user_id, "session.reuse_detected", SYSTEM, data))

    async def logout(self, *, session_id: UUID | None = None, refresh_token: str | None = None) -> None:
        """End the session of either; nothing happens to one that has ended or never was."""
        now = self.deps.clock()
        digest = None if refresh_token is None else digest_refresh_token(refresh_token)

        def work() -> Work[None]:
            found = (yield find_refresh_token(digest)) if digest is not None else []
            for one in {*(row.session_id for row in found), *([] if session_id is None else [session_id])}:
                yield end_session(one, now=now)

        await self.deps.db.transact(work)

    async def purge(self) -> int:
        """Remove a batch of sessions that have run out; returns how many. For the worker's tidying."""
        return await purge_sessions(self.deps.db, before=self.deps.clock() - KEPT_AFTER)

    def _tokens(self, user: User, session_id: UUID, refresh_token: str) -> SessionTokens:
        permissions = self.deps.principal_of(user).permissions
        return SessionTokens(
            self.deps.access_tokens.issue(user, permissions, session_id, now=self.deps.clock()),
            refresh_token,
            self.deps.access_tokens.expires_in,
        )
