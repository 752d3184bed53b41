"""Running installations on SQLite and PostgreSQL. Nothing here or in these tests looks into the package."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.content_calls import CLOSED, OPTIONS
from tests.support.installation import Installation
from tests.support.smtp_server import SmtpServer

HERE = Path(__file__).parent
StartInstallation = Callable[..., Installation]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts processes."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes an empty database at each call and gives its URL as the configuration names it."""
    if request.param == "sqlite":
        return lambda: f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/latchstring.db"
    server = request.getfixturevalue("postgres_server")

    def create() -> str:
        name = f"blackbox_{uuid4().hex}"
        asyncio.run(_execute(server.set(drivername="postgresql"), f"CREATE DATABASE {name}"))
        return str(server.set(database=name).render_as_string(hide_password=False))

    return create


async def _execute(server: Any, statement: str) -> None:
    connection = await asyncpg.connect(server.render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def open_installation(
    directory: Path, database: str, *arguments: str, crowded: bool = False, **options: str
) -> Iterator[Installation]:
    smtp = SmtpServer()
    installation = Installation(directory, database, smtp, options, crowded=crowded)
    try:
        installation.cli("migrate")
        installation.open(*arguments)
        installation.key = installation.api_key("*")
        yield installation
    finally:
        installation.stop()
        installation.smtp.close()


@pytest.fixture(scope="session")
def installation(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation that tests share; each brings its own people."""
    with open_installation(tmp_path_factory.mktemp("house"), new_database()) as running:
        yield running


@pytest.fixture(scope="session")
def content_installation(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation with two types of content and roles for it."""
    with open_installation(tmp_path_factory.mktemp("library"), new_database(), **OPTIONS) as running:
        yield running


@pytest.fixture(scope="session")
def closed_content_installation(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The same where only people with accounts are invited to content."""
    with open_installation(tmp_path_factory.mktemp("library"), new_database(), **CLOSED) as running:
        yield running


@pytest.fixture
def start_installation(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartInstallation]:
    """Starts further installations, each with a database of its own; keywords change the configuration."""
    with ExitStack() as stack:

        def start(*arguments: str, **options: str) -> Installation:
            directory = tmp_path_factory.mktemp("house")
            return stack.enter_context(open_installation(directory, new_database(), *arguments, **options))

        yield start


@pytest.fixture
def own_installation(start_installation: StartInstallation) -> Installation:
    """An installation for one test alone."""
    return start_installation()
