"""The application of all faces in this process, and passwords that cost little."""

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
async def client_of(config: Config, services: Services, base_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application of all faces on these services."""
    application = create_app(config, None)  # type: ignore[arg-type]  # nothing is started: the services exist
    application.state.services = services
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


def config_of(directory: Path, text: str) -> Config:
    """The configuration in this text, as a file of the directory."""
    path = directory / "latchstring.toml"
    path.write_text(text)
    return load_config(path, {})


@asynccontextmanager
async def services_on(url: URL, config: Config, clock: Clock) -> AsyncIterator[Services]:
    """The services of a new installation on an empty SQLite database."""
    db, keyring = SQLite(str(url.database)), Keyring((new_master_key(),))
    installation_id = await ensure_installation(db, keyring, clock())
    try:
        yield bootstrap.build_services(
            config, db=db, keyring=keyring, installation_id=installation_id, clock=clock, wake=WakeEvent()
        )
    finally:
        await db.close()


@pytest.fixture(scope="session")
def cheap_passwords() -> Iterator[Passwords]:
    """Argon2 with so little work that tests do not wait for it."""
    passwords = Passwords(memory_kib=8, passes=1)
    yield passwords
    passwords.close()


@pytest.fixture(scope="session", autouse=True)
def _hash_cheaply(cheap_passwords: Passwords) -> Iterator[None]:
    """Let every installation in this process hash cheaply. Processes that tests start hash as always."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "Passwords", lambda: cheap_passwords)
        yield
