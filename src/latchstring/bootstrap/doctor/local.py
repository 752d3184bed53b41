"""What is looked at on this machine: configuration, key, database. A bad or doubtful finding says how to mend it."""

import os
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

from latchstring.bootstrap import database as opening
from latchstring.config import Config
from latchstring.crypto.keyring import KeyProblem, Keyring
from latchstring.domain.clock import system_clock
from latchstring.domain.errors import StorageUnreachable
from latchstring.domain.views.health import Finding, bad, doubtful, good
from latchstring.i18n.negotiation import available_locales, negotiate
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.installation import find_known_keys
from latchstring.storage.engine.revision import HEAD_REVISION, is_at_head
from latchstring.storage.overview.metrics_queries import measure_outbox, server_version

WORRYING_DELAY = timedelta(minutes=5)
OLDEST_POSTGRES = 15


def check_configuration(config: Config) -> list[Finding]:
    """What is allowed and most likely not meant."""
    name = "configuration"
    found = [good(name, f"{config.source or 'built-in defaults'}: every key is known and every value fits.")]
    if not config.roles:
        found.append(
            doubtful(name, "No roles are defined.", "Add [roles.…]; invitations can only grant what is there.")
        )
    if negotiate([config.app.default_locale], "") != config.app.default_locale:
        spoken = ", ".join(available_locales())
        found.append(
            doubtful(
                name,
                f"There are no pages and mails in {config.app.default_locale}.",
                f"Set app.default-locale to one of {spoken}; English is used meanwhile.",
            )
        )
    return found


# ---- master key ------------------------------------------------------------------------------------------------------


def check_key(config: Config) -> tuple[list[Finding], Keyring | None]:
    """The master key: there, strong, private, and in a folder where it can be renewed. Makes nothing."""
    name = "master key"
    path = config.secrets.master_key_file
    if config.secrets.master_key is None and not path.exists():
        return [_check_folder(name, path) or good(name, f"The first start will make {path}.")], None
    try:
        keyring = opening.open_keyring(config)
    except KeyProblem as problem:
        return [bad(name, "The master key cannot be used.", str(problem))], None
    except opening.StartRefused as refused:
        return [bad(name, "The master key file cannot be read.", str(refused))], None
    count = len(keyring.keys)
    found = [good(name, f"{count} {'key' if count == 1 else 'keys'}, {keyring.current.id} signs.")]
    if config.secrets.master_key is None:
        found += filter(None, [_check_key_mode(name, path), _check_folder(name, path)])
    return found, keyring


def _check_key_mode(name: str, path: Path) -> Finding | None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return doubtful(name, f"Others on this machine may read {path}.", f"Run: chmod 600 {path}")
    if not _is_writable(path):
        return bad(
            name, f"{path} is not writable, so the key cannot be renewed.", f"Run: chmod 600 {path}, as its owner."
        )
    return None


def _check_folder(name: str, path: Path) -> Finding | None:
    """A key is renewed by putting a new file in the place of the old: the folder has to be writable."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if _is_writable(folder) and os.access(folder, os.X_OK):
        return None
    return bad(
        name,
        f"{path} cannot be written: {folder} is not writable for this user.",
        f"Make {folder} writable for the user that runs Latchstring, or name another file in secrets.master-key-file.",
    )


def _is_writable(path: Path) -> bool:
    """Whether this user may write, and is meant to: root may write anything."""
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


# ---- database --------------------------------------------------------------------------------------------------------


async def check_database(config: Config, keyring: Keyring | None) -> list[Finding]:
    """Reachable, new enough, at head, used with this master key, and no mail left lying."""
    name = "database"
    settings = config.database
    if settings.sqlite_path is not None and not settings.sqlite_path.exists():
        return [
            _check_folder(name, settings.sqlite_path)
            or doubtful(
                name,
                f"{settings.sqlite_path} is not there yet.",
                "`latchstring migrate` or the first `serve` makes it.",
            )
        ]
    try:
        async with opening.open_database(settings, beside=True) as db:
            return [*(await _check_version(db, config)), *(await _check_content(db, keyring))]
    except StorageUnreachable as error:
        cause = str(error.__cause__ or error.detail).splitlines()[0]
        return [
            bad(
                name,
                f"The database does not answer: {cause}",
                "Check that it runs, and host, user and password in database.url.",
            )
        ]


async def _check_version(db: Database, config: Config) -> list[Finding]:
    name = "database"
    if config.database.sqlite_path is not None:
        warning = opening.sqlite_warning(config.database)
        found = [good(name, f"SQLite {sqlite3.sqlite_version}, {config.database.sqlite_path}.")]
        if not _is_writable(config.database.sqlite_path):
            found.append(
                bad(
                    name,
                    f"{config.database.sqlite_path} is not writable.",
                    "Change its owner to the user that runs Latchstring.",
                )
            )
        return found + ([doubtful(name, warning, "A newer Python or system brings a newer SQLite.")] if warning else [])
    version = await server_version(db)
    if version < OLDEST_POSTGRES:
        return [bad(name, f"PostgreSQL {version} is too old.", f"Use PostgreSQL {OLDEST_POSTGRES} or newer.")]
    return [good(name, f"PostgreSQL {version} answers.")]


async def _check_content(db: Database, keyring: Keyring | None) -> list[Finding]:
    if not await is_at_head(db):
        return [bad("migrations", "A migration is pending.", "Run `latchstring migrate`, then start again.")]
    found = [good("migrations", f"At {HEAD_REVISION}, which this version needs.")]
    found += await _check_installation(db, keyring)
    depth = await measure_outbox(db)
    late = system_clock() - depth.first_due_at if depth.first_due_at else timedelta(0)
    if late > WORRYING_DELAY:
        minutes = int(late.total_seconds() // 60)
        says = f"{depth.depth} waiting in the outbox, the most overdue for {minutes} minutes."
        found.append(doubtful("outbox", says, "Check that `latchstring serve` or `worker` runs, and what it logs."))
    else:
        found.append(good("outbox", f"{depth.depth} waiting, none overdue."))
    return found


async def _check_installation(db: Database, keyring: Keyring | None) -> list[Finding]:
    """Whether the database was used with this master key before. Nothing is registered here."""
    known = await find_known_keys(db)
    if not known:
        return [good("master key", "The database has not been used with any key yet.")]
    mine = {key.fingerprint for key in keyring.keys} if keyring else set()
    if mine & {key.fingerprint for key in known}:
        return [good("master key", "The database knows this key.")]
    return [
        bad(
            "master key",
            "The database belongs to another master key.",
            "Restore the key file that this database was used with; a backup needs both.",
        )
    ]
