"""Renewing the master key.

The order matters. The new key is noted in the database first, so that no start meets a key it does not know. Then the
file changes, which running processes follow within a second. Only then are links ended, so that none is left that a
process signed with the old key meanwhile; and only then are the second factors of administrators sealed by the new
key, so that every process can open them. Until that is done, the keys that sealed them stay.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from latchstring.admins.resealing import find_sealing_keys, reseal_second_factors
from latchstring.bootstrap.database import StartRefused
from latchstring.bootstrap.services import open_services
from latchstring.config import Config
from latchstring.crypto.keyring import RELOAD_SECONDS, MasterKey, format_keys, new_master_key, write_key_file
from latchstring.domain.actor import OPERATOR
from latchstring.domain.clock import system_clock
from latchstring.domain.event import happened
from latchstring.events.record import record
from latchstring.services import Services
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.installation import note_key, retire_keys
from latchstring.storage.invitations.cascade import expire_open_links, find_keys_in_use

CAUSE = "key-compromised"


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did, by ids of keys. text: the new key for the environment, where no file holds it."""

    signing: str
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    ended: int
    text: str | None = field(repr=False)


async def rotate_keys(config: Config, *, compromised: bool) -> Rotation:
    """Make a new key sign. Raises KeyProblem, StartRefused, StorageUnreachable."""
    async with open_services(config, beside=True) as services:
        fresh = new_master_key()
        old = services.keyring.keys
        kept = () if compromised else await _still_needed(services, old)
        removed = tuple(key.id for key in old if key not in kept)
        now = services.clock()
        await services.db.transact(lambda: _announce(fresh, now))
        text = _put(config, (fresh, *kept))
        await services.db.transact(lambda: _retire(services, fresh, removed, now=now, compromised=compromised))
        if compromised or (text is None and await find_sealing_keys(services.db)):
            await asyncio.sleep(2 * RELOAD_SECONDS)  # until every process has noticed
        if compromised or text is None:  # a key of the environment is not known to anybody yet, so the old ones stay
            await reseal_second_factors(services.db, fresh, old)
        ended = await _end_links(services.db) if compromised else 0
        return Rotation(fresh.id, tuple(key.id for key in kept), removed, ended, text)


async def _still_needed(services: Services, keys: tuple[MasterKey, ...]) -> tuple[MasterKey, ...]:
    """The key that signed until now, for who has not noticed the change yet, and those of links and second factors."""
    in_use = await find_keys_in_use(services.db, now=services.clock()) | await find_sealing_keys(services.db)
    return tuple(key for i, key in enumerate(keys) if i == 0 or key.id in in_use)


def _announce(fresh: MasterKey, now: datetime) -> Work[None]:
    yield note_key(fresh, now)


def _retire(
    services: Services, fresh: MasterKey, removed: tuple[str, ...], *, now: datetime, compromised: bool
) -> Work[None]:
    if removed:
        yield retire_keys(removed, now=now, compromised=compromised)
    yield record(
        happened("key.rotated", services.installation_id, by=OPERATOR, now=now, key=fresh.id, compromised=compromised)
    )


def _put(config: Config, keys: tuple[MasterKey, ...]) -> str | None:
    """Write the key file; the text itself when the key comes from the environment."""
    if config.secrets.master_key is not None:
        return format_keys(keys)
    path = config.secrets.master_key_file
    try:
        write_key_file(path, keys)
    except OSError as error:
        raise StartRefused(
            f"The new key could not be written to {path}: {error.strerror}. Nothing signs with it; the old key stays. "
            "Make the folder writable, then run this again.",
            code="master-key",
        ) from error
    return None


async def _end_links(db: Database) -> int:
    return await db.transact(lambda: expire_open_links(cause=CAUSE, by=OPERATOR, now=system_clock()))
