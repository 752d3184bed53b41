"""Options and functions of the commands that run until they are stopped."""

import asyncio
from collections.abc import Coroutine

import rich_click as click

from latchstring.cli.failures import UNUSABLE, CommandFailed
from latchstring.config import Config

LOG_LEVELS = click.Choice(["debug", "info", "warning", "error"])
processes_option = click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="The number of processes. PostgreSQL only.",
)
log_level_option = click.option("--log-level", default="info", show_default=True, type=LOG_LEVELS)
inherit_option = click.option("--inherit", hidden=True)  # file descriptors that a parent process passes to its children


def run_to_exit(process_group: Coroutine[None, None, int]) -> None:
    raise SystemExit(asyncio.run(process_group))


def refuse_sqlite(config: Config, message: str) -> None:
    """Raise CommandFailed if the database is SQLite."""
    if config.database.sqlite_path is not None:
        raise CommandFailed(message, status=UNUSABLE, code="sqlite-single-process")
