"""Options of the commands that run until they are stopped, and what these commands share."""

import asyncio
from collections.abc import Coroutine

import rich_click as click

from latchstring.cli.failures import UNUSABLE, CommandFailed
from latchstring.config import Config

LOG_LEVELS = click.Choice(["debug", "info", "warning", "error"])
processes_option = click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 256), help="How many. PostgreSQL only."
)
log_level_option = click.option("--log-level", default="info", show_default=True, type=LOG_LEVELS)
inherit_option = click.option("--inherit", hidden=True)  # what a parent of ours hands to its children


def run_to_exit(family: Coroutine[None, None, int]) -> None:
    raise SystemExit(asyncio.run(family))


def refuse_sqlite(config: Config, several: bool, sentence: str) -> None:  # noqa: FBT001  # reads like the sentence
    if several and config.database.sqlite_path is not None:
        raise CommandFailed(sentence, status=UNUSABLE, code="sqlite-single-process")
