"""Reads the configuration of a command."""

import os
from collections.abc import Mapping
from pathlib import Path

import rich_click as click

from latchstring.cli.failures import UNUSABLE, CommandFailed
from latchstring.config import Config, ConfigProblems, load_config


def config_path() -> Path | None:
    """The value of `--config`."""
    context = click.get_current_context(silent=True)
    return context.find_root().params["config_path"] if context else None


def read_config(env: Mapping[str, str] | None = None, path: Path | None = None) -> Config:
    """Read the configuration. Problems end the command with status 2 and a list of all of them."""
    try:
        return load_config(path or config_path(), os.environ if env is None else env)
    except ConfigProblems as problems:
        json_problems = [{"key": p.key, "value": p.value, "remedy": p.remedy} for p in problems.problems]
        raise CommandFailed(
            str(problems), status=UNUSABLE, code="configuration", more={"problems": json_problems}
        ) from problems
