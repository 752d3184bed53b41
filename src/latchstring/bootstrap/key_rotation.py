"""Renews the master key.

The order matters. First the new key is registered in the database, so that no process starts with an unknown key. Then
the file is replaced; running processes reload it within a second. Only then are links revoked, so that this includes
links that a process signed with the old key in between, and only then are the second factors of administrators sealed
with the new key, so that every process can open them. Until that is done, the keys that sealed them stay.
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
from latchstring.domain.event import new_event
from latchstring.events.record import record
from latchstring.services import Services
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.installation import record_key, retire_keys
from latchstring.storage.invitations.cascade import expire_open_links, find_keys_in_use

CAUSE = "key-compromised"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of a rotation. new_keys: the keys to set in the environment; None if they are in a file."""

    signing_key_id: str
    kept_key_ids: tuple[str, ...]
    removed_key_ids: tuple[str, ...]
    ended_invitations: int
    new_keys: str | None = field(repr=False)


async def rotate_keys(config: Config, *, compromised: bool) -> Rotation:
    """Create a new master key that signs from now on. Raises KeyProblem, StartRefused, StorageUnreachable."""
    async with open_services(config, short_lived=True) as services:
        new_key = new_master_key()
        old_keys = services.keyring.keys
        kept_keys = () if compromised else await _keys_in_use(services, old_keys)
        removed_ids = tuple(key.id for key in old_keys if key not in kept_keys)
        now = services.clock()
        await services.db.transact(lambda: _register(new_key, now))
        new_keys = _store_keys(config, (new_key, *kept_keys))
        await services.db.transact(lambda: _retire(services, new_key, removed_ids, now=now, compromised=compromised))
        if compromised or (new_keys is None and await find_sealing_keys(services.db)):
            await asyncio.sleep(2 * RELOAD_SECONDS)  # until every process has reloaded the keys
        if compromised or new_keys is None:  # no process has a new key of the environment yet, so the old ones stay
            await reseal_second_factors(services.db, new_key, old_keys)
        ended = await _end_links(services.db) if compromised else 0
        return Rotation(new_key.id, tuple(key.id for key in kept_keys), removed_ids, ended, new_keys)


async def _keys_in_use(services: Services, keys: tuple[MasterKey, ...]) -> tuple[MasterKey, ...]:
    """The key that signed until now, as processes may still use it, and the keys of links and second factors."""
    used_ids = await find_keys_in_use(services.db, now=services.clock()) | await find_sealing_keys(services.db)
    return tuple(key for index, key in enumerate(keys) if index == 0 or key.id in used_ids)


def _register(new_key: MasterKey, now: datetime) -> Work[None]:
    yield record_key(new_key, now)


def _retire(
    services: Services, new_key: MasterKey, removed_ids: tuple[str, ...], *, now: datetime, compromised: bool
) -> Work[None]:
    if removed_ids:
        yield retire_keys(removed_ids, now=now, compromised=compromised)
    yield record(
        new_event(
            "key.rotated", services.installation_id, by=OPERATOR, now=now, key=new_key.id, compromised=compromised
        )
    )


def _store_keys(config: Config, keys: tuple[MasterKey, ...]) -> str | None:
    """Write the key file. Returns the keys as text instead if they come from the environment."""
    if config.secrets.master_key is not None:
        return format_keys(keys)
    path = config.secrets.master_key_file
    try:
        write_key_file(path, keys)
    except OSError as error:
        raise StartRefused(
            f"The new key could not be written to {path}: {error.strerror}. It is not used; the old key stays. "
            "Make the folder writable, then run this again.",
            code="master-key",
        ) from error
    return None


async def _end_links(db: Database) -> int:
    return await db.transact(lambda: expire_open_links(cause=CAUSE, by=OPERATOR, now=system_clock()))
