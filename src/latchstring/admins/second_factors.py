"""The second factor of administrators: an authenticator app, and codes on paper for the day the phone is gone."""

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
from latchstring.domain.event import happened
from latchstring.domain.panel import ADMINS_WRITE
from latchstring.domain.principal import Principal
from latchstring.events.record import record
from latchstring.storage.admins.admins import lock_admin
from latchstring.storage.admins.second_factors import (
    add_recovery_code,
    confirm_secret,
    count_recovery_codes,
    digest_recovery_code,
    forget_recovery_codes,
    note_factor_login,
    propose_secret,
    remove_secret,
    use_recovery_code,
    use_step,
)
from latchstring.storage.admins.sessions import complete_admin_session, end_admin_sessions, new_session_token
from latchstring.storage.engine.database import Work

SEALED_FOR = "admin-totp"
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 bits, 16 letters and digits


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that an authenticator app is to take: as text, and as what a QR code says."""

    text: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """Second factors of administrators."""

    deps: AdminDependencies

    # ---- signing in --------------------------------------------------------------------------------------------------

    async def complete_login(self, visit: AuthenticatedAdmin, code: str) -> NewAdminSession:
        """Open a session that awaits its code, under another token. Takes the app's code, or a recovery code.

        Each is good once. Raises SecondFactorInvalid, and CredentialInvalid when the session has ended meanwhile.
        """
        plain = "".join(character for character in code.upper() if character.isalnum())
        by_app = len(plain) == DIGITS
        now, token, admin = self.deps.clock(), new_session_token(), visit.admin
        step = self._find_step(admin, plain) if by_app else None
        if by_app and step is None:
            raise SecondFactorInvalid(_WRONG)
        event = happened(
            "admin.signed_in", admin.id, by=actor_of(admin.id), now=now, via="app" if by_app else "recovery-code"
        )
        end = now + SESSION_LIFETIME

        def work() -> Work[NewAdminSession]:
            # the administrator's row first, as deactivating does
            if step is not None:
                is_good = yield use_step(admin.id, admin.totp_secret or b"", used=step, now=now)
            elif (yield note_factor_login(admin.id, now=now)):
                is_good = yield use_recovery_code(admin.id, digest_recovery_code(admin.id, plain), now=now)
            else:
                is_good = []
            if not is_good:
                raise SecondFactorInvalid(_WRONG)
            if not (yield complete_admin_session(visit.session_id, token.digest, until=end, now=now)):
                raise CredentialInvalid("This session has ended. Sign in again.")
            yield record(event)
            return NewAdminSession(token.text, awaits_code=False, expires_at=end, admin=admin)

        return await self.deps.db.transact(work)

    def _find_step(self, admin: Admin, code: str) -> int | None:
        secret = self._unseal(admin)
        return None if secret is None else find_step(secret, code, now=self.deps.clock())

    def _unseal(self, admin: Admin) -> bytes | None:
        """The secret; None without one, and when its master key is gone: then a recovery code or the operator helps."""
        if admin.totp_secret is None:
            return None
        key = self.deps.keyring.find(sealing_key_id(admin.totp_secret))
        if key is None:
            return None
        try:
            return unseal(key, SEALED_FOR, admin.totp_secret, owner=admin.id.bytes)
        except SealBroken:
            return None

    # ---- setting up and taking away ----------------------------------------------------------------------------------

    async def start(self, visit: AuthenticatedAdmin) -> None:
        """Propose a fresh secret. It asks for nothing until a code of it was entered."""
        owner = visit.admin.id
        one = propose_secret(owner, seal(self.deps.keyring.current, SEALED_FOR, new_totp_secret(), owner=owner.bytes))
        await self.deps.db.write(one.statement, **one.values)

    def find_enrolment(self, admin: Admin) -> Enrolment | None:
        """The secret that waits to be confirmed. One that is in use is shown to nobody."""
        secret = None if admin.has_second_factor else self._unseal(admin)
        if secret is None:
            return None
        uri = enrolment_uri(secret, issuer=self.deps.app.name, account=admin.email)
        return Enrolment(format_secret(secret), uri)

    async def confirm(self, visit: AuthenticatedAdmin, code: str, password: str) -> tuple[str, ...]:
        """Ask for the app's code from now on; returns the recovery codes, shown this once.

        Every other session of the administrator ends: it was opened without one. Raises SecondFactorInvalid, and
        InvalidFields for a wrong password: a thief at an open browser must not lock its owner out.
        """
        await self.check_own_password(visit.admin, password)
        admin, now = visit.admin, self.deps.clock()
        step = self._find_step(admin, "".join(code.split()))
        if step is None or admin.has_second_factor:
            raise SecondFactorInvalid(_WRONG)
        codes = _new_recovery_codes()
        event = happened("admin.second_factor_enabled", admin.id, by=actor_of(admin.id), now=now)

        def work() -> Work[None]:
            if not (yield confirm_secret(admin.id, admin.totp_secret or b"", last_step=step, now=now)):
                raise SecondFactorInvalid(_WRONG)
            yield from _put_codes(admin.id, codes)
            yield end_admin_sessions(admin.id, now=now, but=visit.session_id)
            yield record(event)

        await self.deps.db.transact(work)
        return codes

    async def renew_recovery_codes(self, visit: AuthenticatedAdmin, password: str) -> tuple[str, ...]:
        """Ten fresh codes in place of those there were; shown this once. Raises InvalidFields for a wrong password."""
        await self.check_own_password(visit.admin, password)
        admin, now, codes = visit.admin, self.deps.clock(), _new_recovery_codes()
        event = happened("admin.recovery_codes_made", admin.id, by=actor_of(admin.id), now=now)

        def work() -> Work[None]:
            present = yield from lock_admin(admin.id)
            if present is None or not present.has_second_factor:
                raise SecondFactorInvalid("No second factor is set up.")
            yield from _put_codes(admin.id, codes)
            yield record(event)

        await self.deps.db.transact(work)
        return codes

    async def count_recovery_codes(self, admin: Admin) -> int:
        """How many codes are left."""
        return await count_recovery_codes(self.deps.db, admin.id)

    async def remove(self, visit: AuthenticatedAdmin, password: str) -> None:
        """Ask for the password alone from now on. Raises InvalidFields for a wrong password."""
        await self.check_own_password(visit.admin, password)
        admin, now = visit.admin, self.deps.clock()
        event = happened("admin.second_factor_disabled", admin.id, by=actor_of(admin.id), now=now)

        def work() -> Work[None]:
            yield remove_secret(admin.id)
            yield forget_recovery_codes(admin.id)
            yield record(event)

        await self.deps.db.transact(work)

    async def reset(self, admin_id: UUID, *, by: Principal) -> None:
        """Take somebody's second factor away, for a lost phone; the sessions end. Raises AdminNotFound, NotAllowed."""
        by.require(ADMINS_WRITE)
        now = self.deps.clock()
        event = happened("admin.second_factor_disabled", admin_id, by=by.actor, now=now)

        def work() -> Work[None]:
            if not (yield remove_secret(admin_id)):
                raise AdminNotFound("There is no such administrator.")
            yield forget_recovery_codes(admin_id)
            yield end_admin_sessions(admin_id, now=now)
            yield record(event)

        await self.deps.db.transact(work)

    async def check_own_password(self, admin: Admin, password: str, *, pointer: str = "/password") -> None:
        """Raise InvalidFields unless this is the administrator's password: an open browser alone changes nothing."""
        if not await self.deps.passwords.verify(password, admin.password_hash):
            raise InvalidFields([FieldProblem(pointer, "wrong-password", "Wrong password.")])


_WRONG = "This code is wrong or was used before."


def _new_recovery_codes() -> tuple[str, ...]:
    return tuple(_recovery_code() for _ in range(RECOVERY_CODES))


def _recovery_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def _put_codes(admin_id: UUID, codes: tuple[str, ...]) -> Work[None]:
    yield forget_recovery_codes(admin_id)
    for code in codes:
        yield add_recovery_code(admin_id, digest_recovery_code(admin_id, code.replace("-", "")))
