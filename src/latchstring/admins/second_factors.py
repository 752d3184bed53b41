"""The second factor of administrators: codes of an authenticator app (TOTP), and recovery codes for a lost phone."""

import base64
import secrets
from dataclasses import dataclass, field
from uuid import UUID

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.sessions import (
    SESSION_LIFETIME,
    AuthenticatedAdmin,
    NewAdminSession,
    actor_of,
)
from latchstring.crypto.opaque_tokens import new_opaque_token
from latchstring.crypto.sealing import SealBroken, seal, sealing_key_id, unseal
from latchstring.crypto.totp import DIGITS, enrolment_uri, find_step, format_secret, new_totp_secret
from latchstring.domain.account import Admin
from latchstring.domain.errors import (
    AdminNotFound,
    CredentialInvalid,
    FieldProblem,
    InvalidFields,
    SecondFactorInvalid,
)
from latchstring.domain.event import new_event
from latchstring.domain.panel import ADMINS_WRITE
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.storage.admins.admins import lock_admin
from latchstring.storage.admins.second_factors import (
    add_recovery_code,
    confirm_secret,
    count_recovery_codes,
    delete_recovery_codes,
    digest_recovery_code,
    propose_secret,
    record_factor_login,
    remove_secret,
    use_recovery_code,
    use_step,
)
from latchstring.storage.admins.sessions import complete_admin_session, end_admin_sessions
from latchstring.storage.engine.database import Work

SEAL_PURPOSE = "admin-totp"
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 random bits, 16 letters and digits: too many to guess, so a plain digest is stored


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret for an authenticator app: as text to type, and as the URI of a QR code."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """Second factors of administrators."""

    deps: AdminDependencies

    # ---- sign in -----------------------------------------------------------------------------------------------------

    async def complete_login(self, by: AuthenticatedAdmin, code: str) -> NewAdminSession:
        """Complete a session that awaits its code, with a code of the app or a recovery code.

        Each code is accepted once. Raises TooManyRequests after many codes, SecondFactorInvalid, and CredentialInvalid
        when the session has ended.
        """
        self.deps.limiter.check_code(by.admin.email_key)
        # codes are typed by hand: spaces, dashes and lower case do not matter
        normalized = "".join(character for character in code.upper() if character.isalnum())
        by_app = len(normalized) == DIGITS
        # A new token: one that an attacker planted or read before the second factor must not become a full session.
        now, token, admin = self.deps.clock(), new_opaque_token(), by.admin
        time_step = self._find_step(admin, normalized) if by_app else None
        if by_app and time_step is None:
            raise SecondFactorInvalid(_WRONG_CODE)
        event = new_event(
            "admin.signed_in", admin.id, by=actor_of(admin.id), now=now, via="app" if by_app else "recovery-code"
        )
        expires_at = now + SESSION_LIFETIME

        def work() -> Work[NewAdminSession]:
            # The administrator's row first, as in deactivation: no session is completed after that has committed.
            # The update requires a later time step than the last one used, so an observed code cannot be replayed
            # (RFC 6238 section 5.2). It compares the sealed secret: a code of a secret replaced meanwhile fails.
            if time_step is not None:
                used_rows = yield use_step(admin.id, admin.totp_secret or b"", step_number=time_step, now=now)
            elif (yield record_factor_login(admin.id, now=now)):
                used_rows = yield use_recovery_code(admin.id, digest_recovery_code(admin.id, normalized), now=now)
            else:
                used_rows = []
            if not used_rows:
                raise SecondFactorInvalid(_WRONG_CODE)
            # conditional on a session that still awaits its code: of two requests, one completes it
            if not (yield complete_admin_session(by.session_id, token.digest, until=expires_at, now=now)):
                raise CredentialInvalid("This session has ended. Sign in again.")
            yield record(event)
            return NewAdminSession(token.token, awaits_code=False, expires_at=expires_at, admin=admin)

        return await self.deps.db.transact(work)

    def _find_step(self, admin: Admin, code: str) -> int | None:
        secret = self._unseal(admin)
        return None if secret is None else find_step(secret, code, now=self.deps.clock())

    def _unseal(self, admin: Admin) -> bytes | None:
        """The secret; None if there is none or its master key was removed.

        In the latter case a recovery code still works, or the operator resets the second factor.
        """
        if admin.totp_secret is None:
            return None
        key = self.deps.keyring.find(sealing_key_id(admin.totp_secret))
        if key is None:
            return None
        try:
            # bound to its owner: a sealed secret copied to another administrator's row cannot be opened
            return unseal(key, SEAL_PURPOSE, admin.totp_secret, owner=admin.id.bytes)
        except SealBroken:
            return None

    # ---- set up and remove -------------------------------------------------------------------------------------------

    async def start(self, by: AuthenticatedAdmin) -> None:
        """Store a new secret. No code is required before one was confirmed."""
        # Otherwise an administrator who closes the page before scanning the QR code could never sign in again. The
        # statement does not replace a confirmed secret.
        owner = by.admin.id
        step = propose_secret(
            owner, seal(self.deps.keyring.current, SEAL_PURPOSE, new_totp_secret(), owner=owner.bytes)
        )
        await self.deps.db.write(step.statement, **step.values)

    def find_enrolment(self, admin: Admin) -> Enrolment | None:
        """The secret that is not confirmed yet, or None."""
        # a confirmed secret is never shown again: anyone who reads it could create codes from then on
        secret = None if admin.has_second_factor else self._unseal(admin)
        if secret is None:
            return None
        uri = enrolment_uri(secret, issuer=self.deps.app.name, account=admin.email)
        return Enrolment(format_secret(secret), uri)

    async def confirm(self, by: AuthenticatedAdmin, code: str, password: str, *, network: str) -> tuple[str, ...]:
        """Require the app's code from now on; returns the recovery codes, which are shown only once.

        Every other session of the administrator ends. Raises TooManyRequests, SecondFactorInvalid, and InvalidFields
        for a wrong password.
        """
        # an attacker at an unattended browser must not enable a second factor and lock the owner out
        await self.check_own_password(by.admin, password, network=network)
        admin, now = by.admin, self.deps.clock()
        time_step = self._find_step(admin, "".join(code.split()))
        if time_step is None or admin.has_second_factor:
            raise SecondFactorInvalid(_WRONG_CODE)
        codes = _new_recovery_codes()
        event = new_event("admin.second_factor_enabled", admin.id, by=actor_of(admin.id), now=now)

        def work() -> Work[None]:
            # conditional on this very secret, and stores the step: the code just entered cannot be used to sign in
            if not (yield confirm_secret(admin.id, admin.totp_secret or b"", last_step=time_step, now=now)):
                raise SecondFactorInvalid(_WRONG_CODE)
            yield from _replace_codes(admin.id, codes)
            # the others were opened with the password alone
            yield end_admin_sessions(admin.id, now=now, except_id=by.session_id)
            yield record(event)

        await self.deps.db.transact(work)
        return codes

    async def renew_recovery_codes(self, by: AuthenticatedAdmin, password: str, *, network: str) -> tuple[str, ...]:
        """Replace all recovery codes; the new ones are shown only once.

        Raises TooManyRequests, InvalidFields for a wrong password, SecondFactorInvalid without a second factor.
        """
        await self.check_own_password(by.admin, password, network=network)
        admin, now, codes = by.admin, self.deps.clock(), _new_recovery_codes()
        event = new_event("admin.recovery_codes_made", admin.id, by=actor_of(admin.id), now=now)

        def work() -> Work[None]:
            # locked, as the second factor may be removed at the same time: no codes may be left without one
            present = yield from lock_admin(admin.id)
            if present is None or not present.has_second_factor:
                raise SecondFactorInvalid("No second factor is set up.")
            yield from _replace_codes(admin.id, codes)
            yield record(event)

        await self.deps.db.transact(work)
        return codes

    async def count_recovery_codes(self, admin: Admin) -> int:
        """The number of unused recovery codes."""
        return await count_recovery_codes(self.deps.db, admin.id)

    async def remove(self, by: AuthenticatedAdmin, password: str, *, network: str) -> None:
        """Require only the password from now on. Raises TooManyRequests, InvalidFields for a wrong password."""
        await self.check_own_password(by.admin, password, network=network)
        admin, now = by.admin, self.deps.clock()
        event = new_event("admin.second_factor_disabled", admin.id, by=actor_of(admin.id), now=now)

        def work() -> Work[None]:
            yield remove_secret(admin.id)
            yield delete_recovery_codes(admin.id)
            yield record(event)

        await self.deps.db.transact(work)

    async def reset(self, admin_id: UUID, *, by: Principal) -> None:
        """Remove an administrator's second factor, for a lost phone. Raises AdminNotFound, NotAllowed."""
        by.require(ADMINS_WRITE)
        now = self.deps.clock()
        event = new_event("admin.second_factor_disabled", admin_id, by=by.actor, now=now)

        def work() -> Work[None]:
            if not (yield remove_secret(admin_id)):
                raise AdminNotFound("There is no such administrator.")
            yield delete_recovery_codes(admin_id)
            # the phone may be stolen, and be signed in
            yield end_admin_sessions(admin_id, now=now)
            yield record(event)

        await self.deps.db.transact(work)

    async def check_own_password(
        self, admin: Admin, password: str, *, network: str, pointer: str = "/password"
    ) -> None:
        """Raise InvalidFields unless this is the administrator's password, TooManyRequests after many guesses.

        Required for changes of credentials: access to an open browser must not be enough. network: of the client.
        """
        # counted apart from sign-in: guesses in an open browser do not lock the administrator out
        self.deps.limiter.check_login(f"admin own {admin.email_key}", network)
        if not await self.deps.passwords.verify(password, admin.password_hash):
            raise InvalidFields([FieldProblem(pointer, "wrong-password", "Wrong password.")])


_WRONG_CODE = "This code is wrong or was used before."


def _new_recovery_codes() -> tuple[str, ...]:
    return tuple(_new_recovery_code() for _ in range(RECOVERY_CODES))


def _new_recovery_code() -> str:
    # base 32: ten bytes give exactly 16 characters, without padding
    letters = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def _replace_codes(admin_id: UUID, codes: tuple[str, ...]) -> Work[None]:
    yield delete_recovery_codes(admin_id)
    for code in codes:
        yield add_recovery_code(admin_id, digest_recovery_code(admin_id, code.replace("-", "")))
