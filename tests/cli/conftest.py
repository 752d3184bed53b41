"""Runs the command line in this process, in a directory with a configuration and an empty SQLite database."""

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
    """Runs commands in a directory with a configuration."""

    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "latchstring.toml"

    def run(self, *arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, ["--config", str(self.config), *arguments], input=stdin)
        assert result.exit_code == status, (arguments, result.output, result.exception)
        return result

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        return json.loads(self.run(*arguments, "--json", stdin=stdin).stdout)


@pytest.fixture(scope="session")
def migrated_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated installation to copy."""
    directory = tmp_path_factory.mktemp("migrated")
    (directory / "latchstring.toml").write_text(CONFIG)
    with restored_process_settings():
        Terminal(directory).run("migrate")
    return directory


@pytest.fixture
def terminal(tmp_path: Path, migrated_directory: Path) -> Iterator[Terminal]:
    """A migrated installation. Settings that commands change for the process are restored."""
    shutil.copytree(migrated_directory, tmp_path, dirs_exist_ok=True)
    with restored_process_settings():
        yield Terminal(tmp_path)


@contextmanager
def restored_process_settings() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, mask = root.handlers, root.level, os.umask(0o022)
    yield
    os.umask(mask)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
