"""Migrations of a database, and the comparison of its schema with the tables."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from latchstring.storage.engine.tables import metadata

T = TypeVar("T")
HEAD = "head"
# Of two concurrent migrations the second waits for the first, then has nothing to do. The number is arbitrary.
_MIGRATION_LOCK = 7_205_759_403


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Migrate up, inside the connection's transaction."""
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Migrate down, inside the connection's transaction."""
    command.downgrade(_config(connection), revision)


def differences(connection: Connection) -> list[object]:
    """Return what an automatic migration would change: empty when migrations and tables agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata})
    return list(compare_metadata(context, metadata))


async def on_connection(url: URL, action: Callable[[Connection], T]) -> T:
    """Run an action in an exclusive transaction on its own connection, and commit."""
    if url.get_backend_name() == "sqlite":
        return await asyncio.to_thread(_on_sqlite, url, action)
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            return await connection.run_sync(action)
    finally:
        await engine.dispose()


def _on_sqlite(url: URL, action: Callable[[Connection], T]) -> T:
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), poolclass=NullPool)
    # the driver would begin the transaction too late and without a write lock
    event.listen(engine, "connect", lambda raw, _record: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    with closing(engine.raw_connection()) as raw:
        raw.cursor().execute("PRAGMA journal_mode = WAL")
    with engine.begin() as connection:
        return action(connection)


async def migrate(url: URL) -> None:
    """Migrate the database to head. Concurrent calls are safe."""
    await on_connection(url, upgrade)
