"""Sign-in, sessions and refresh tokens of users, and the principal of a credential."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from latchstring.crypto.opaque_tokens import OpaqueToken, digest_opaque_token, new_opaque_token
from latchstring.domain.account import User
from latchstring.domain.actor import SYSTEM, Actor, ActorType
from latchstring.domain.errors import CredentialInvalid, InvalidCredentials, RefreshTokenInvalid
from latchstring.domain.event import Event, new_event
from latchstring.domain.ids import new_id
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.formats.email_address import find_email_key
from latchstring.storage.engine.database import Step, Work
from latchstring.storage.users.api_keys import digest_key, find_live_key, has_key_format
from latchstring.storage.users.sessions import (
    delete_used_tokens,
    end_session,
    end_sessions,
    find_live_user,
    find_refresh_token,
    find_user_by_refresh_token,
    insert_refresh_token,
    insert_session,
    prolong_session,
    purge_sessions,
    use_refresh_token,
)
from latchstring.storage.users.users import find_user_by_email_key, load_user, record_login
from latchstring.users.dependencies import UserDependencies

# Of the 256 values of a random byte: one refresh in 32 deletes the used tokens of its session. That bounds their number
# and costs little; no state about the last cleanup has to be stored.
CLEANUP_THRESHOLD = 8
ENDED_SESSION_RETENTION = timedelta(days=1)

# A backend sends the same key with every request. Five seconds save most of the reads.
API_KEY_CACHE_LIFETIME = timedelta(seconds=5)
MAX_CACHED_API_KEYS = 1000


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is about to be stored: its id, its first refresh token, and the steps for the transaction."""

    id: UUID
    refresh_token: str = field(repr=False)
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """The tokens of a signed-in client. expires_in: lifetime of the access token in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sign-in, sessions, and the principal of a credential."""

    deps: UserDependencies

    # ---- principals of credentials -----------------------------------------------------------------------------------

    async def principal_of_access_token(self, token: str) -> tuple[Principal, User]:
        """The principal of an access token, with the user's present role and groups. Raises CredentialInvalid."""
        now = self.deps.clock()
        # The signature alone is not enough: one read by primary keys on every request refuses ended sessions, blocked
        # and erased users at once, and takes role and groups from the row, not from the claims of the token.
        claims = self.deps.access_tokens.read(token, now=now)
        user = await find_live_user(self.deps.db, session_id=claims.session_id, user_id=claims.user_id, now=now)
        if user is None:
            raise CredentialInvalid("This session has ended. Sign in again.")
        return self.deps.principal_of(user, claims.session_id), user

    async def principal_of_refresh_token(self, token: str) -> tuple[Principal, User]:
        """The principal of an unused refresh token. Raises CredentialInvalid.

        For the invitee pages, whose GET requests must not change anything: the token stays unused, and a used one does
        not end its session. The API accepts refresh tokens only to refresh and to sign out.
        """
        user_and_session = await find_user_by_refresh_token(
            self.deps.db, digest_opaque_token(token), now=self.deps.clock()
        )
        if user_and_session is None:
            raise CredentialInvalid("This session has ended. Sign in again.")
        user, session_id = user_and_session
        return self.deps.principal_of(user, session_id), user

    async def principal_of_api_key(self, text: str) -> Principal:
        """The principal of an API key. Raises CredentialInvalid."""
        # text that cannot be a key is refused before anything is read from the database
        key = (
            await find_live_key(self.deps.db, digest_key(text), now=self.deps.clock()) if has_key_format(text) else None
        )
        if key is None:
            raise CredentialInvalid("This API key is unknown, revoked or expired.")
        return key.principal

    async def cached_principal_of_api_key(self, text: str) -> Principal:
        """The principal of an API key, cached for five seconds. Raises CredentialInvalid.

        Only for effects whose own statement checks the key again, so that a revoked key is refused there at once.
        """
        # the cache is keyed by digests, so that it holds no key in plain text
        digest, now = digest_key(text), self.deps.clock()
        cached = self.deps.api_key_cache.get(digest)
        if cached is not None and now - cached[0] < API_KEY_CACHE_LIFETIME:
            return cached[1]
        principal = await self.principal_of_api_key(text)
        if len(self.deps.api_key_cache) >= MAX_CACHED_API_KEYS:
            # dropping everything is enough to bound the memory; the next requests read their keys again
            self.deps.api_key_cache.clear()
        # unknown keys are not cached: a new key works at once, and made-up keys cannot fill the cache
        self.deps.api_key_cache[digest] = (now, principal)
        return principal

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys that verify access tokens."""
        return self.deps.access_tokens.jwks()

    # ---- sessions ----------------------------------------------------------------------------------------------------

    def new_session(self, user_id: UUID, now: datetime) -> NewSession:
        """A session for a transaction that signs a user in. Its steps must follow the change of the user's row."""
        # a refresh token has 256 random bits, so a plain SHA-256 digest of it is stored: it cannot be guessed
        session_id, token = new_id(now), new_opaque_token()
        steps = [
            insert_session(session_id, user_id, expires_at=now + self.deps.rules.refresh_token_lifetime),
            insert_refresh_token(token.digest, session_id),
        ]
        return NewSession(session_id, token.token, steps)

    def tokens_for(self, user: User, session: NewSession) -> SessionTokens:
        """The tokens of a session that was just created."""
        return self._tokens(user, session.id, session.refresh_token)

    def end_all(self, user_id: UUID, now: datetime) -> Step:
        """The step that ends every session of a user."""
        return end_sessions(user_id, now=now)

    async def login(self, address_text: str, password: str, *, network: str) -> tuple[User, SessionTokens]:
        """Sign in with address and password. Raises InvalidCredentials for every cause alike.

        network: of the client. Raises TooManyRequests after many attempts, whether or not the address has an account.
        """
        email_key = find_email_key(address_text)  # None is answered like an unknown address
        self.deps.limiter.check_login(email_key or address_text, network)
        user = None if email_key is None else await find_user_by_email_key(self.deps.db, email_key)
        stored_hash = user.password_hash if user else None
        # Without an account a dummy hash is verified: the answer takes as long, so that its time does not reveal which
        # addresses have accounts. For the same reason, blocked is checked after the password.
        is_right = await self.deps.passwords.verify(password, stored_hash)
        if user is None or stored_hash is None or not is_right or user.blocked:
            raise InvalidCredentials("Wrong e-mail address or password.")
        # only now is the plain password known to be right, so a hash with outdated parameters is replaced here
        kept_hash = (
            await self.deps.passwords.hash(password) if self.deps.passwords.needs_rehash(stored_hash) else stored_hash
        )
        return await self._open(user, verified_hash=stored_hash, kept_hash=kept_hash)

    async def _open(self, user: User, *, verified_hash: str, kept_hash: str) -> tuple[User, SessionTokens]:
        now = self.deps.clock()
        session = self.new_session(user.id, now)
        event = new_event("user.signed_in", user.id, by=Actor(ActorType.USER, user.id), now=now)

        def work() -> Work[User]:
            # Hashing takes a tenth of a second. This conditional update refuses the login if the account was blocked or
            # got another password meanwhile. It locks the row: a request that ends all sessions at the same time either
            # comes first or ends this one too.
            login_rows = yield record_login(user.id, verified_hash=verified_hash, kept_hash=kept_hash, now=now)
            present = yield from load_user(user.id)
            if not login_rows or present is None:
                raise InvalidCredentials("Wrong e-mail address or password.")
            for step in session.steps:  # noqa: UP028  # a list cannot be sent the rows
                yield step
            yield record(event)
            return present

        present = await self.deps.db.transact(work)
        return present, self.tokens_for(present, session)

    async def refresh(self, refresh_token: str) -> tuple[User, SessionTokens]:
        """Exchange a refresh token for the next one. Raises RefreshTokenInvalid.

        Each token is accepted once (RFC 9700 section 4.14.2). One that is sent again was copied, and as nobody can tell
        who holds the copy, its session ends.
        """
        now = self.deps.clock()
        next_token, digest, event_id = new_opaque_token(), digest_opaque_token(refresh_token), new_id(now)
        user_and_session = await self.deps.db.transact(lambda: self._rotate(digest, next_token, event_id, now))
        if user_and_session is None:
            raise RefreshTokenInvalid("This refresh token is invalid or has expired. Sign in again.")
        user, session_id = user_and_session
        return user, self._tokens(user, session_id, next_token.token)

    def _rotate(
        self, digest: bytes, next_token: OpaqueToken, event_id: UUID, now: datetime
    ) -> Work[tuple[User, UUID] | None]:
        """Use a refresh token and store the next one. None if it is invalid."""
        # An exception would roll back the transaction, but the end of a session after reuse must be committed: so the
        # result is None. The update is conditional: of two requests with the same token, one gets a row.
        used_rows = yield use_refresh_token(digest, now=now)
        if not used_rows:
            yield from self._end_reused(digest, event_id, now)
            return None
        session_id = used_rows[0].session_id
        # the session may have ended or expired since the token was issued, and the user may be blocked or erased
        session_rows = yield prolong_session(session_id, until=now + self.deps.rules.refresh_token_lifetime, now=now)
        user = (yield from load_user(session_rows[0].user_id)) if session_rows else None
        if user is None or user.blocked:
            return None
        yield insert_refresh_token(next_token.digest, session_id)
        # Used tokens are kept to detect reuse. After a whole lifetime that is no longer worth a row.
        if next_token.digest[0] < CLEANUP_THRESHOLD:
            yield delete_used_tokens(session_id, before=now - self.deps.rules.refresh_token_lifetime)
        return user, session_id

    def _end_reused(self, digest: bytes, event_id: UUID, now: datetime) -> Work[None]:
        token_rows = yield find_refresh_token(digest)
        # an unknown digest, or a session that has ended already: nothing to end, and no second event
        ended_rows = (yield end_session(token_rows[0].session_id, now=now)) if token_rows else []
        if ended_rows:
            data = {"sessionId": str(token_rows[0].session_id)}
            yield record(Event(event_id, ended_rows[0].user_id, "session.reuse_detected", SYSTEM, data))

    async def logout(self, *, session_id: UUID | None = None, refresh_token: str | None = None) -> None:
        """End the sessions of both; does nothing if they have ended or do not exist."""
        now = self.deps.clock()
        digest = None if refresh_token is None else digest_opaque_token(refresh_token)

        def work() -> Work[None]:
            token_rows = (yield find_refresh_token(digest)) if digest is not None else []
            for ending_id in {*(row.session_id for row in token_rows), *([] if session_id is None else [session_id])}:
                yield end_session(ending_id, now=now)

        await self.deps.db.transact(work)

    async def purge(self) -> int:
        """Delete a batch of expired sessions; returns how many. Called by the worker."""
        return await purge_sessions(self.deps.db, before=self.deps.clock() - ENDED_SESSION_RETENTION)

    def _tokens(self, user: User, session_id: UUID, refresh_token: str) -> SessionTokens:
        # permissions in the token are for the app only; this server reads role and groups on every request
        permissions = self.deps.principal_of(user).permissions
        return SessionTokens(
            self.deps.access_tokens.issue(user, permissions, session_id, now=self.deps.clock()),
            refresh_token,
            self.deps.access_tokens.expires_in,
        )
