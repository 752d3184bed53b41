"""Running installations on SQLite and PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from tests.support.content_calls import CONTENT_OPTIONS, REGISTERED_ONLY_OPTIONS
from tests.support.databases import execute
from tests.support.installation import Installation, open_installation

StartInstallation = Callable[..., Installation]
NewDatabase = Callable[[], str]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    """A function that creates an empty database and returns its URL for the configuration."""
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
    """An installation that tests share; each test creates its own users."""
    with open_installation(tmp_path_factory.mktemp("installation"), new_database()) as installation:
        yield installation


@pytest.fixture(scope="session")
def content_installation(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A shared installation with two content types and roles for content."""
    with open_installation(tmp_path_factory.mktemp("content"), new_database(), **CONTENT_OPTIONS) as installation:
        yield installation


@pytest.fixture(scope="session")
def registered_only_installation(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A shared installation that mails invitations to content only to registered users."""
    with open_installation(
        tmp_path_factory.mktemp("registered_only"), new_database(), **REGISTERED_ONLY_OPTIONS
    ) as installation:
        yield installation


@pytest.fixture
def start_installation(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartInstallation]:
    """A function that starts an installation with its own database; keywords change the configuration."""
    with ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> Installation:
            directory = tmp_path_factory.mktemp("installation")
            return stack.enter_context(open_installation(directory, new_database(), *arguments, **options))

        yield start


@pytest.fixture
def own_installation(start_installation: StartInstallation) -> Installation:
    """An installation for one test."""
    return start_installation()


@pytest.fixture(scope="module", params=["one-process", "several-processes"])
def killable_installation(
    request: pytest.FixtureRequest, new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation that tests crash: as one process, and as two servers and three workers."""
    url = new_database()
    if request.param == "several-processes" and url.startswith("sqlite"):
        pytest.skip("SQLite works with one process only")
    directory = tmp_path_factory.mktemp("installation")
    with open_installation(directory, url, multi_process=request.param == "several-processes") as installation:
        yield installation
