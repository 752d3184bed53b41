"""The command line in this process, each call with its own configuration and an empty SQLite database."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from latchstring.cli import main

CONFIG = """
[app]
name = "Acme"
public-url = "http://127.0.0.1:9"

[database]
url = "sqlite+aiosqlite:///latchstring.db"

[mail]
transport = "mailbox"
mailbox-directory = "mailbox"

[roles.admin]
name = "Admin"
permissions = ["*"]
may-grant = ["*"]

[roles.team]
name = "Team"
permissions = ["invitations:write"]
may-grant = ["team"]

[secrets]
master-key-file = "master.key"
"""


@dataclass(frozen=True)
class Terminal:
    """A directory with a configuration, and the commands typed there."""

    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "latchstring.toml"

    def run(self, *arguments: str, status: int = 0, text: str | None = None) -> Result:
        done = CliRunner().invoke(main, ["--config", str(self.config), *arguments], input=text)
        assert done.exit_code == status, (arguments, done.output, done.exception)
        return done

    def json(self, *arguments: str, text: str | None = None) -> Any:
        return json.loads(self.run(*arguments, "--json", text=text).stdout)


@pytest.fixture(scope="session")
def migrated_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated installation to copy."""
    directory = tmp_path_factory.mktemp("migrated")
    (directory / "latchstring.toml").write_text(CONFIG)
    with process_settings_kept():
        Terminal(directory).run("migrate")
    return directory


@pytest.fixture
def terminal(tmp_path: Path, migrated_directory: Path) -> Iterator[Terminal]:
    """A migrated installation. What commands set for their process is set back."""
    shutil.copytree(migrated_directory, tmp_path, dirs_exist_ok=True)
    with process_settings_kept():
        yield Terminal(tmp_path)


@contextmanager
def process_settings_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, mask = root.handlers, root.level, os.umask(0o022)
    yield
    os.umask(mask)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
