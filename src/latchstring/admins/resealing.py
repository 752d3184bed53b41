"""Reseal the secrets of second factors with a new master key."""

from collections.abc import Iterable

from latchstring.admins.second_factors import SEAL_PURPOSE
from latchstring.crypto.keyring import MasterKey
from latchstring.crypto.sealing import SealBroken, seal, sealing_key_id, unseal
from latchstring.storage.admins.second_factors import list_sealed_secrets, reseal_secret
from latchstring.storage.engine.database import Database


async def find_sealing_keys(db: Database) -> frozenset[str]:
    """Ids of the master keys that second factors are sealed with."""
    return frozenset(sealing_key_id(sealed) for _, sealed in await list_sealed_secrets(db))


async def reseal_second_factors(db: Database, new_key: MasterKey, old_keys: Iterable[MasterKey]) -> int:
    """Seal every second factor with the new key; returns how many. Secrets that no old key opens stay unchanged.

    Each update is conditional on the value that was read, so concurrent changes are kept.
    """
    keys = {key.id: key for key in old_keys}
    count = 0
    for owner, sealed in await list_sealed_secrets(db):
        key = keys.get(sealing_key_id(sealed))
        if key is None:
            continue
        try:
            secret = unseal(key, SEAL_PURPOSE, sealed, owner=owner.bytes)
        except SealBroken:
            continue
        step = reseal_secret(owner, sealed, seal(new_key, SEAL_PURPOSE, secret, owner=owner.bytes))
        count += len(await db.write(step.statement, **step.values))
    return count
