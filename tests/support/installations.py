"""Running installations on SQLite and PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from tests.support.content_calls import CLOSED, OPTIONS
from tests.support.databases import execute
from tests.support.installation import Installation, open_installation

StartInstallation = Callable[..., Installation]
NewDatabase = Callable[[], str]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    """Create an empty database at each call and return its URL as the configuration names it."""
    if request.param == "sqlite":
        return lambda: f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/latchstring.db"
    server = request.getfixturevalue("postgres_server")

    def create() -> str:
        name = f"blackbox_{uuid4().hex}"
        asyncio.run(execute(server, f"CREATE DATABASE {name} STRATEGY file_copy"))
        return str(server.set(database=name).render_as_string(hide_password=False))

    return create


@pytest.fixture(scope="session")
def installation(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation that tests share; each brings its own people."""
    with open_installation(tmp_path_factory.mktemp("installation"), new_database()) as running:
        yield running


@pytest.fixture(scope="session")
def content_installation(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation with two types of content and roles for it."""
    with open_installation(tmp_path_factory.mktemp("content"), new_database(), **OPTIONS) as running:
        yield running


@pytest.fixture(scope="session")
def closed_content_installation(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The same where only people with accounts are invited to content."""
    with open_installation(tmp_path_factory.mktemp("closed"), new_database(), **CLOSED) as running:
        yield running


@pytest.fixture
def start_installation(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartInstallation]:
    """Start further installations, each with a database of its own; keywords change the configuration."""
    with ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> Installation:
            directory = tmp_path_factory.mktemp("installation")
            return stack.enter_context(open_installation(directory, new_database(), *arguments, **options))

        yield start


@pytest.fixture
def own_installation(start_installation: StartInstallation) -> Installation:
    """An installation for one test alone."""
    return start_installation()


@pytest.fixture(scope="module", params=["alone", "crowd"])
def killable_installation(
    request: pytest.FixtureRequest, new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation as one process, and as two servers and three workers."""
    url = new_database()
    if request.param == "crowd" and url.startswith("sqlite"):
        pytest.skip("SQLite serves one process")
    directory = tmp_path_factory.mktemp("installation")
    with open_installation(directory, url, crowded=request.param == "crowd") as running:
        yield running
