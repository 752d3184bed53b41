"""Second factors over a renewal of the master key: what the old key sealed is sealed anew by the new one."""

from collections.abc import Iterable

from latchstring.admins.second_factors import SEALED_FOR
from latchstring.crypto.keyring import MasterKey
from latchstring.crypto.sealing import SealBroken, seal, sealing_key_id, unseal
from latchstring.storage.admins.second_factors import list_sealed_secrets, reseal_secret
from latchstring.storage.engine.database import Database


async def find_sealing_keys(db: Database) -> frozenset[str]:
    """Ids of the master keys that second factors were sealed with."""
    return frozenset(sealing_key_id(sealed) for _, sealed in await list_sealed_secrets(db))


async def reseal_second_factors(db: Database, fresh: MasterKey, old: Iterable[MasterKey]) -> int:
    """Seal every second factor by this key; returns how many. One that no key opens stays as it is.

    A secret that changes meanwhile keeps the change: each is put in place of the very one that was read.
    """
    keys = {key.id: key for key in old}
    count = 0
    for owner, sealed in await list_sealed_secrets(db):
        key = keys.get(sealing_key_id(sealed))
        if key is None:
            continue
        try:
            secret = unseal(key, SEALED_FOR, sealed, owner=owner.bytes)
        except SealBroken:
            continue
        one = reseal_secret(owner, sealed, seal(fresh, SEALED_FOR, secret, owner=owner.bytes))
        count += len(await db.write(one.statement, **one.values))
    return count
