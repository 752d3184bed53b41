"""Checks of this machine: configuration, master key, database. A warning or a failure says how to fix it."""

import os
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

from latchstring.bootstrap import database
from latchstring.config import Config
from latchstring.crypto.keyring import KeyProblem, Keyring
from latchstring.domain.clock import system_clock
from latchstring.domain.errors import StorageUnreachable
from latchstring.domain.views.health import Finding, failed, passed, warning
from latchstring.i18n.negotiation import available_locales, negotiate
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.installation import find_known_keys
from latchstring.storage.engine.revision import HEAD_REVISION, is_at_head
from latchstring.storage.overview.metrics_queries import measure_outbox, server_version

MAX_OUTBOX_DELAY = timedelta(minutes=5)
MIN_POSTGRES_VERSION = 15


def check_configuration(config: Config) -> list[Finding]:
    """Values that are valid and most likely a mistake."""
    name = "configuration"
    findings = [passed(name, f"{config.source or 'built-in defaults'}: All settings are known and valid.")]
    if not config.roles:
        findings.append(
            warning(name, "No roles are defined.", "Add [roles.…]; invitations can only grant what is there.")
        )
    if negotiate([config.app.default_locale], "") != config.app.default_locale:
        available = ", ".join(available_locales())
        findings.append(
            warning(
                name,
                f"There are no pages and mails in {config.app.default_locale}.",
                f"Set app.default-locale to one of {available}; English is used meanwhile.",
            )
        )
    return findings


# ---- master key ------------------------------------------------------------------------------------------------------


def check_key(config: Config) -> tuple[list[Finding], Keyring | None]:
    """Whether the master key exists, is valid and private, and can be renewed in its folder. Creates nothing."""
    name = "master key"
    path = config.secrets.master_key_file
    if config.secrets.master_key is None and not path.exists():
        return [_check_folder(name, path) or passed(name, f"The first start will create {path}.")], None
    try:
        keyring = database.open_keyring(config)
    except KeyProblem as problem:
        return [failed(name, "The master key cannot be used.", str(problem))], None
    except database.StartRefused as refused:
        return [failed(name, "The master key file cannot be read.", str(refused))], None
    count = len(keyring.keys)
    findings = [passed(name, f"{count} {'key' if count == 1 else 'keys'}, {keyring.current.id} signs.")]
    if config.secrets.master_key is None:
        findings += filter(None, [_check_key_mode(name, path), _check_folder(name, path)])
    return findings, keyring


def _check_key_mode(name: str, path: Path) -> Finding | None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return warning(name, f"Others on this machine may read {path}.", f"Run: chmod 600 {path}")
    if not _is_writable(path):
        return failed(
            name, f"{path} is not writable, so the key cannot be renewed.", f"Run: chmod 600 {path}, as its owner."
        )
    return None


def _check_folder(name: str, path: Path) -> Finding | None:
    """Whether the folder is writable: a key is renewed by replacing its file with a new one."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if _is_writable(folder) and os.access(folder, os.X_OK):
        return None
    return failed(
        name,
        f"{path} cannot be written: {folder} is not writable for this user.",
        f"Make {folder} writable for the user that runs Latchstring, or name another file in secrets.master-key-file.",
    )


def _is_writable(path: Path) -> bool:
    """Whether this user may write and the mode allows it: root may write any file."""
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


# ---- database --------------------------------------------------------------------------------------------------------


async def check_database(config: Config, keyring: Keyring | None) -> list[Finding]:
    """Whether the database is reachable, new enough, at head, used with this master key, and without overdue mail."""
    name = "database"
    settings = config.database
    if settings.sqlite_path is not None and not settings.sqlite_path.exists():
        return [
            _check_folder(name, settings.sqlite_path)
            or warning(
                name,
                f"{settings.sqlite_path} does not exist yet.",
                "`latchstring migrate` or the first `serve` creates it.",
            )
        ]
    try:
        async with database.open_database(settings, short_lived=True) as db:
            return [*(await _check_version(db, config)), *(await _check_content(db, keyring))]
    except StorageUnreachable as error:
        cause = str(error.__cause__ or error.detail).splitlines()[0]
        return [
            failed(
                name,
                f"The database does not answer: {cause}",
                "Check that it runs, and host, user and password in database.url.",
            )
        ]


async def _check_version(db: Database, config: Config) -> list[Finding]:
    name = "database"
    if config.database.sqlite_path is not None:
        old_version = database.sqlite_warning(config.database)
        findings = [passed(name, f"SQLite {sqlite3.sqlite_version}, {config.database.sqlite_path}.")]
        if not _is_writable(config.database.sqlite_path):
            findings.append(
                failed(
                    name,
                    f"{config.database.sqlite_path} is not writable.",
                    "Change its owner to the user that runs Latchstring.",
                )
            )
        return findings + (
            [warning(name, old_version, "A newer Python or system brings a newer SQLite.")] if old_version else []
        )
    version = await server_version(db)
    if version < MIN_POSTGRES_VERSION:
        return [failed(name, f"PostgreSQL {version} is too old.", f"Use PostgreSQL {MIN_POSTGRES_VERSION} or newer.")]
    return [passed(name, f"PostgreSQL {version} answers.")]


async def _check_content(db: Database, keyring: Keyring | None) -> list[Finding]:
    if not await is_at_head(db):
        return [failed("migrations", "A migration is pending.", "Run `latchstring migrate`, then start again.")]
    findings = [passed("migrations", f"At {HEAD_REVISION}, which this version needs.")]
    findings += await _check_installation(db, keyring)
    depth = await measure_outbox(db)
    delay = system_clock() - depth.first_due_at if depth.first_due_at else timedelta(0)
    if delay > MAX_OUTBOX_DELAY:
        minutes = int(delay.total_seconds() // 60)
        message = f"{depth.depth} waiting in the outbox, the most overdue for {minutes} minutes."
        findings.append(
            warning("outbox", message, "Check that `latchstring serve` or `worker` runs, and what it logs.")
        )
    else:
        findings.append(passed("outbox", f"{depth.depth} waiting, none overdue."))
    return findings


async def _check_installation(db: Database, keyring: Keyring | None) -> list[Finding]:
    """Whether the database was used with this master key before. Registers nothing."""
    known_keys = await find_known_keys(db)
    if not known_keys:
        return [passed("master key", "The database has not been used with any key yet.")]
    fingerprints = {key.fingerprint for key in keyring.keys} if keyring else set()
    if fingerprints & {key.fingerprint for key in known_keys}:
        return [passed("master key", "The database was used with this key.")]
    return [
        failed(
            "master key",
            "The database belongs to another master key.",
            "Restore the key file that this database was used with; a backup needs both.",
        )
    ]
