"""The command line in this process, each call with its own configuration and an empty SQLite database."""

import json
import logging
import os
from collections.abc import Iterator
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


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A migrated installation. What commands set for their process is set back."""
    root = logging.getLogger()
    handlers, level, mask = root.handlers, root.level, os.umask(0o022)
    (tmp_path / "latchstring.toml").write_text(CONFIG)
    one = Terminal(tmp_path)
    one.run("migrate")
    yield one
    os.umask(mask)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
