"""Fixtures with the whole server as one ASGI application on SQLite, and an in-process client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL

from latchstring.bootstrap.application import build_app
from latchstring.config import Config, load_config
from latchstring.http.application import Application


@pytest.fixture
def server_config(sqlite_url: URL, tmp_path: Path) -> Config:
    path = tmp_path / "latchstring.toml"
    path.write_text(f"""
        [database]
        url = "sqlite+aiosqlite:///{sqlite_url.database}"
        [mail]
        transport = "mailbox"
        [roles.team]
        permissions = []
    """)
    return load_config(path, {})


@pytest.fixture
async def server_client(server_config: Config) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client(build_app(server_config)) as running:
        yield running


@asynccontextmanager
async def open_client(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    """Start the application and open a client for it."""
    transport = httpx2.ASGITransport(app=app)
    async with app.lifespan(), httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client
