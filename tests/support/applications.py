"""The whole application in this process, and cheap password hashing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL
from tests.support.clock import Clock

from latchstring.bootstrap import services as bootstrap
from latchstring.bootstrap.application import create_app
from latchstring.config import Config, load_config
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.crypto.passwords import Passwords
from latchstring.services import Services
from latchstring.storage.engine.installation import ensure_installation
from latchstring.storage.engine.sqlite import SQLite
from latchstring.worker.wake_event import WakeEvent


@asynccontextmanager
async def open_app_client(config: Config, services: Services, base_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield an HTTP client of the application that runs on these services."""
    application = create_app(config, None)  # type: ignore[arg-type]  # the services are given, so nothing is opened
    application.state.services = services
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


def write_config(directory: Path, text: str) -> Config:
    """Write the text to a configuration file in the directory, and load it."""
    path = directory / "latchstring.toml"
    path.write_text(text)
    return load_config(path, {})


@asynccontextmanager
async def open_services(url: URL, config: Config, clock: Clock) -> AsyncIterator[Services]:
    """Yield the services of a new installation on an empty SQLite database."""
    db, keyring = SQLite(str(url.database)), Keyring((new_master_key(),))
    installation_id = await ensure_installation(db, keyring, clock())
    try:
        yield bootstrap.build_services(
            config, db=db, keyring=keyring, installation_id=installation_id, clock=clock, wake_event=WakeEvent()
        )
    finally:
        await db.close()


@pytest.fixture(scope="session")
def cheap_passwords() -> Iterator[Passwords]:
    """Argon2 with minimal cost."""
    passwords = Passwords(memory_kib=8, passes=1)
    yield passwords
    passwords.close()


@pytest.fixture(scope="session", autouse=True)
def _hash_cheaply(cheap_passwords: Passwords) -> Iterator[None]:
    """Use `cheap_passwords` in every installation of this process. Processes that tests start hash at full cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "Passwords", lambda: cheap_passwords)
        yield
