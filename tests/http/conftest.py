"""The whole server as one ASGI application, on SQLite, with a client in the same process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient
from sqlalchemy.engine import URL

from latchstring.bootstrap.application import build_app
from latchstring.config import Config, load_config


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
async def server_client(server_config: Config) -> AsyncIterator[AsyncTestClient]:
    async with AsyncTestClient(build_app(server_config)) as running:
        yield running
