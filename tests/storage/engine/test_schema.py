import asyncio
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection

from latchstring.storage.engine import schema
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.revision import HEAD_REVISION, is_at_head


async def test_migrations_and_tables_agree(database_url: URL) -> None:
    assert await schema.on_connection(plain(database_url), schema.differences) == []


async def test_every_migration_goes_down_and_up_again(database_url: URL) -> None:
    def down_and_up(connection: Connection) -> list[object]:
        schema.downgrade(connection, "base")
        schema.upgrade(connection)
        return schema.differences(connection)

    assert await schema.on_connection(plain(database_url), down_and_up) == []


async def test_two_concurrent_migrations_both_succeed(database_url: URL) -> None:
    await schema.on_connection(plain(database_url), lambda connection: schema.downgrade(connection, "base"))
    await asyncio.gather(schema.migrate(plain(database_url)), schema.migrate(plain(database_url)))
    assert await schema.on_connection(plain(database_url), current_revision) == HEAD_REVISION


async def test_an_empty_database_is_not_at_head(database: Database, database_url: URL) -> None:
    assert await is_at_head(database)
    await schema.on_connection(plain(database_url), lambda connection: schema.downgrade(connection, "base"))
    assert not await is_at_head(database)


def test_the_revision_this_code_needs_is_the_newest_migration() -> None:
    migrations = Path(schema.__file__).with_name("migrations")
    assert ScriptDirectory(migrations).get_current_head() == HEAD_REVISION


def plain(url: URL) -> URL:
    return url.difference_update_query(["isolation"])


def current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
