"""The second factor of administrators: the sealed secret, the last used time step, and digests of recovery codes."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, null, or_, select, update

from latchstring.storage.engine.database import Database, Step, step
from latchstring.storage.engine.tables import admin_recovery_codes, admins
from latchstring.storage.engine.types import Digest, Id, Instant

_a = admins.c
_r = admin_recovery_codes.c
_NOW = bindparam("at", type_=Instant)
_IS_THIS = _a.id == bindparam("admin_id", type_=Id)
_IS_OF = _r.admin_id == bindparam("admin_id", type_=Id)
_HAS_SECRET = _a.totp_secret == bindparam("sealed", type_=_a.totp_secret.type)
_STEP = bindparam("step", type_=_a.totp_last_step.type)

_PROPOSE = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None), _a.totp_confirmed_at.is_(None))
    .values(totp_secret=bindparam("sealed", type_=_a.totp_secret.type))
    .returning(_a.id)
)
_CONFIRM = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None), _a.totp_confirmed_at.is_(None), _HAS_SECRET)
    .values(totp_confirmed_at=_NOW, totp_last_step=_STEP)
    .returning(_a.id)
)
_REMOVE = (
    update(admins)
    .where(_IS_THIS)
    .values(totp_secret=null(), totp_confirmed_at=null(), totp_last_step=null())
    .returning(_a.id)
)
_USE_STEP = (
    update(admins)
    .where(
        _IS_THIS,
        _a.deactivated_at.is_(None),
        _a.totp_confirmed_at.is_not(None),
        _HAS_SECRET,
        or_(_a.totp_last_step.is_(None), _a.totp_last_step < _STEP),
    )
    .values(totp_last_step=_STEP, last_login_at=_NOW)
    .returning(_a.id)
)
_NOTE_LOGIN = (
    update(admins)
    .where(_IS_THIS, _a.deactivated_at.is_(None), _a.totp_confirmed_at.is_not(None))
    .values(last_login_at=_NOW)
    .returning(_a.id)
)
_ADD_CODE = insert(admin_recovery_codes).values(
    digest=bindparam("digest", type_=Digest), admin_id=bindparam("admin_id", type_=Id), used_at=null()
)
_USE_CODE = (
    update(admin_recovery_codes)
    .where(_r.digest == bindparam("code_digest", type_=Digest), _IS_OF, _r.used_at.is_(None))
    .values(used_at=_NOW)
    .returning(_r.admin_id)
)
_DELETE_CODES = delete(admin_recovery_codes).where(_IS_OF)
_COUNT_CODES = select(func.count()).select_from(admin_recovery_codes).where(_IS_OF, _r.used_at.is_(None))
_LIST_SEALED = select(_a.id, _a.totp_secret).where(_a.totp_secret.is_not(None)).order_by(_a.id)
_RESEAL = (
    update(admins)
    .where(_IS_THIS, _HAS_SECRET)
    .values(totp_secret=bindparam("resealed", type_=_a.totp_secret.type))
    .returning(_a.id)
)


def digest_recovery_code(admin_id: UUID, code: str) -> bytes:
    """Return the stored digest of a code. Codes have 80 random bits, so an unsalted digest resists brute force."""
    return hashlib.sha256(admin_id.bytes + code.encode(errors="surrogatepass")).digest()


def propose_secret(admin_id: UUID, sealed: bytes) -> Step:
    """Store a secret that has to be confirmed. Returns no row when a second factor is in use."""
    return step(_PROPOSE, admin_id=admin_id, sealed=sealed)


def confirm_secret(admin_id: UUID, sealed: bytes, *, last_step: int, now: datetime) -> Step:
    """Enable the proposed secret. Returns a row the first time it is confirmed."""
    return step(_CONFIRM, admin_id=admin_id, sealed=sealed, step=last_step, at=now)


def remove_secret(admin_id: UUID) -> Step:
    """Disable the second factor. Delete the recovery codes as well."""
    return step(_REMOVE, admin_id=admin_id)


def use_step(admin_id: UUID, sealed: bytes, *, step_number: int, now: datetime) -> Step:
    """Record a login with the code of a time step. Returns no row when this or a later step was already used."""
    return step(_USE_STEP, admin_id=admin_id, sealed=sealed, step=step_number, at=now)


def record_factor_login(admin_id: UUID, *, now: datetime) -> Step:
    """Record a login with a recovery code. Returns no row if deactivated, or if the second factor was disabled."""
    return step(_NOTE_LOGIN, admin_id=admin_id, at=now)


def add_recovery_code(admin_id: UUID, digest: bytes) -> Step:
    return step(_ADD_CODE, admin_id=admin_id, digest=digest)


def use_recovery_code(admin_id: UUID, digest: bytes, *, now: datetime) -> Step:
    """Use up a code. Returns a row the first time, none afterwards."""
    return step(_USE_CODE, admin_id=admin_id, code_digest=digest, at=now)


def delete_recovery_codes(admin_id: UUID) -> Step:
    return step(_DELETE_CODES, admin_id=admin_id)


async def count_recovery_codes(db: Database, admin_id: UUID) -> int:
    """Count the unused codes."""
    return int((await db.fetch(_COUNT_CODES, admin_id=admin_id))[0][0])


async def list_sealed_secrets(db: Database) -> Sequence[tuple[UUID, bytes]]:
    """Return every sealed secret with the id of its administrator."""
    return [(row.id, bytes(row.totp_secret)) for row in await db.fetch(_LIST_SEALED)]


def reseal_secret(admin_id: UUID, sealed: bytes, resealed: bytes) -> Step:
    """Replace a sealed secret by the same secret sealed with another key. Returns no row when it changed meanwhile."""
    return step(_RESEAL, admin_id=admin_id, sealed=sealed, resealed=resealed)
