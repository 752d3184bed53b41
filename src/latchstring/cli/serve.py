"""`latchstring serve`."""

import asyncio
import os
import socket
import sys
import tempfile
import time

import rich_click as click

from latchstring.bootstrap import database as opening
from latchstring.bootstrap import sockets
from latchstring.bootstrap.supervisor import InheritedSockets, ProcessGroup
from latchstring.cli.configuration import read_config
from latchstring.cli.process_options import (
    inherit_option,
    log_level_option,
    processes_option,
    refuse_sqlite,
    run_to_exit,
)
from latchstring.cli.refusals import expected_failures
from latchstring.config import Config
from latchstring.telemetry.logging import configure_logging


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@processes_option
@click.option("--no-worker", is_flag=True, help="Leave mail and tidying to `latchstring worker`.")
@click.option("--migrate", is_flag=True, help="Migrate PostgreSQL first. SQLite is migrated always.")
@log_level_option
@inherit_option
def serve(
    *, host: str, port: int, processes: int, no_worker: bool, migrate: bool, log_level: str, inherit: str | None
) -> None:
    """Serve the app. Prints `listening on URL` when it is ready, and drains within ten seconds of SIGTERM."""
    config = read_config()
    if inherit is not None:
        _serve_as_child(config, inherit, with_worker=not no_worker, log_level=log_level)
        return
    refuse_sqlite(config, processes > 1, "One process serves SQLite. Leave --processes out, or use PostgreSQL.")
    run_single_or_family(
        config,
        host=host,
        port=port,
        processes=processes,
        with_worker=not no_worker,
        migrates=migrate or config.database.sqlite_path is not None,
        log_level=log_level,
    )


def run_single_or_family(
    config: Config, *, host: str, port: int, processes: int, with_worker: bool, migrates: bool, log_level: str
) -> None:
    """Bind, migrate where that is wanted, and serve until SIGTERM."""
    configure_logging(level=log_level.upper())
    _warn(opening.sqlite_warning(config.database))
    with expected_failures():
        bound = sockets.bind(host, port)
    url = sockets.url_of(bound)
    with expected_failures():
        if migrates:
            asyncio.run(opening.migrate(config.database))
        if processes == 1:
            from latchstring.bootstrap.server_process import run_server  # noqa: PLC0415  # the parent of several processes does without

            run_server(config, bound, with_worker=with_worker, announce=lambda: say_listening(url))
            return
    _run_family(bound.fileno(), url, processes)


def _run_family(listening: int, url: str, processes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="latchstring-metrics-") as folder:
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder, "LATCHSTRING_STARTED_AT": str(time.time())}
        family = ProcessGroup(
            sys.argv[1:], processes, announce=lambda: say_listening(url), pass_fds=(listening,), env=env
        )
        run_to_exit(family.run())


def _serve_as_child(config: Config, inherit: str, *, with_worker: bool, log_level: str) -> None:
    from latchstring.bootstrap.server_process import run_server  # noqa: PLC0415  # as above

    configure_logging(level=log_level.upper())
    handed = InheritedSockets(inherit)
    bound = socket.socket(fileno=handed.listening)
    with expected_failures():
        run_server(config, bound, with_worker=with_worker, announce=handed.say_ready, inherited=handed)


def say_listening(url: str) -> None:
    click.echo(f"listening on {url}")


def _warn(sentence: str | None) -> None:
    if sentence:
        click.echo(f"warning: {sentence}", err=True)
