"""Opens the master keys and the database of a process, and refuses to start if they do not fit."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import URL, make_url

from latchstring.config import Config, DatabaseSettings
from latchstring.crypto.keyring import KeyProblem, Keyring, create_key_file, parse_keys
from latchstring.domain.errors import StorageUnreachable
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.installation import ensure_installation, find_known_keys
from latchstring.storage.engine.revision import HEAD_REVISION, find_revision, is_at_head

SAFE_SQLITE = (3, 51, 3)  # before it, several checkpointing connections can corrupt a WAL, rarely


class StartRefused(Exception):
    """The process must not start. The message says why and what to do."""

    def __init__(self, message: str, *, code: str, status: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def open_keyring(config: Config) -> Keyring:
    """Read the master keys; the first start creates the file. Raises KeyProblem, StartRefused."""
    if config.secrets.master_key is not None:
        return Keyring(parse_keys(config.secrets.master_key))
    path = config.secrets.master_key_file
    try:
        create_key_file(path)
        return Keyring.from_file(path)
    except UnicodeDecodeError:
        raise KeyProblem(f"{path} is not a key file. Restore it from a backup.") from None
    except OSError as error:
        raise StartRefused(
            f"The master key file {path} cannot be used: {error.strerror}. "
            "Make its folder writable for this user, or name another file in secrets.master-key-file.",
            code="master-key",
            status=2,
        ) from error


def database_url(settings: DatabaseSettings) -> URL:
    """The database URL for the drivers, with an absolute path for SQLite."""
    url = make_url(settings.url)
    return url.set(database=str(settings.sqlite_path)) if settings.sqlite_path else url


@asynccontextmanager
async def open_database(settings: DatabaseSettings, *, short_lived: bool = False) -> AsyncIterator[Database]:
    """Connect, and close all connections at the end. Raises StorageUnreachable, StartRefused.

    short_lived: for a command that runs beside a server. It opens at most two PostgreSQL connections; on SQLite it
    leaves checkpoints to the server.
    """
    db = await _connect(settings, short_lived=short_lived)
    try:
        yield db
    finally:
        await db.close()


async def _connect(settings: DatabaseSettings, *, short_lived: bool) -> Database:
    if settings.sqlite_path is not None:
        from latchstring.storage.engine.sqlite import SQLite  # noqa: PLC0415  # only the driver in use is loaded

        if not settings.sqlite_path.exists():
            raise SchemaBehind
        return SQLite(str(settings.sqlite_path), checkpoints=not short_lived)
    return await _connect_postgres(settings, pool_size=2 if short_lived else settings.pool_size)


async def _connect_postgres(settings: DatabaseSettings, *, pool_size: int) -> Database:
    from asyncpg import PostgresError  # noqa: PLC0415  # only the driver in use is loaded

    from latchstring.storage.engine.postgres import Postgres  # noqa: PLC0415

    try:
        return await Postgres.connect(
            database_url(settings), pool_size=pool_size, statement_cache=settings.statement_cache
        )
    except PostgresError as error:  # the server refused the connection: no such user, password or database
        raise StorageUnreachable(f"The database refused the connection: {error}.") from error


class SchemaBehind(StartRefused):
    """The database has another schema than this version needs."""

    def __init__(self) -> None:
        super().__init__(
            "The database is not at the schema this version needs. Run `latchstring migrate`.", code="migration-pending"
        )


async def check_schema(db: Database) -> None:
    """Raise SchemaBehind unless the database is at head."""
    if not await is_at_head(db):
        raise SchemaBehind


async def open_installation(db: Database, config: Config, *, now: datetime) -> tuple[Keyring, UUID]:
    """The master keys and the id of the installation; the first start creates both.

    Raises SchemaBehind, StartRefused, and KeyProblem if the database belongs to another master key.
    """
    await check_schema(db)
    secrets = config.secrets
    if secrets.master_key is None and not secrets.master_key_file.exists() and await find_known_keys(db):
        raise KeyProblem(  # a new key could not read what the missing one sealed
            f"{secrets.master_key_file} is missing, and this database was used with a key. Restore it from a backup."
        )
    keyring = open_keyring(config)
    try:
        return keyring, await ensure_installation(db, keyring, now)
    except KeyProblem as problem:
        raise KeyProblem(f"{problem} The key in use is {_key_source(config)}.") from problem


def _key_source(config: Config) -> str:
    return "secrets.master-key" if config.secrets.master_key else str(config.secrets.master_key_file)


async def find_current_revision(settings: DatabaseSettings) -> str | None:
    """The revision of the database, None before the first migration. Raises StorageUnreachable."""
    try:
        async with open_database(settings, short_lived=True) as db:
            return await find_revision(db)
    except SchemaBehind:  # the SQLite file does not exist yet
        return None


async def migrate(settings: DatabaseSettings) -> bool:
    """Migrate the database to head. False if it was there already. Raises StorageUnreachable."""
    if await find_current_revision(settings) == HEAD_REVISION:
        return False
    # Alembic takes most of a second to load, and most starts have nothing to migrate
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from latchstring.storage.engine import schema  # noqa: PLC0415

    try:
        await schema.migrate(database_url(settings))
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise StorageUnreachable(f"The database cannot be migrated: {_first_line(error)}") from error
    return True


def sqlite_warning(settings: DatabaseSettings) -> str | None:
    """A warning if the SQLite that Python was built with can corrupt a database in WAL mode, else None."""
    if settings.sqlite_path is None or sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return None
    return (
        f"SQLite {sqlite3.sqlite_version} can, rarely, damage a database that several connections checkpoint. "
        "One server process is safe; do not open the file with other programs, or use SQLite 3.51.3 or newer."
    )


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return (str(cause).splitlines() or [type(cause).__name__])[0]
