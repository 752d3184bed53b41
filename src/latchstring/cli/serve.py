"""`latchstring serve` and `latchstring worker`."""

import asyncio
import os
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import rich_click as click

from latchstring.cli.runner import UNUSABLE, CommandFailed, expected_failures, read_config
from latchstring.config import Config

if TYPE_CHECKING:
    from collections.abc import Coroutine

LOG_LEVELS = click.Choice(["debug", "info", "warning", "error"])
processes_option = click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 256), help="How many. PostgreSQL only."
)
log_level_option = click.option("--log-level", default="info", show_default=True, type=LOG_LEVELS)
inherit_option = click.option("--inherit", hidden=True)  # what a parent of ours hands to its children


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
    _refuse_sqlite(config, processes > 1, "One process serves SQLite. Leave --processes out, or use PostgreSQL.")
    run_single_or_family(
        config,
        host=host,
        port=port,
        processes=processes,
        with_worker=not no_worker,
        migrates=migrate or config.database.sqlite_path is not None,
        log_level=log_level,
    )


@click.command()
@processes_option
@log_level_option
@inherit_option
def worker(*, processes: int, log_level: str, inherit: str | None) -> None:
    """Send mail and tidy up, beside any number of servers and workers. PostgreSQL only."""
    config = read_config()
    _refuse_sqlite(config, True, "SQLite has one process: `latchstring serve` sends its mail. Use PostgreSQL for more.")
    from latchstring.bootstrap.supervisor import Family, Inherited  # noqa: PLC0415  # after the configuration is known good
    from latchstring.bootstrap.worker_process import run_worker_process  # noqa: PLC0415
    from latchstring.telemetry.logging import configure_logging  # noqa: PLC0415

    configure_logging(level=log_level.upper())
    if processes > 1 and inherit is None:
        _run(Family(sys.argv[1:], processes, announce=_say_working).run())
    with expected_failures():
        handed = Inherited(inherit) if inherit else None
        run_worker_process(config, inherited=handed, announce=handed.say_ready if handed else _say_working)


def run_single_or_family(
    config: Config, *, host: str, port: int, processes: int, with_worker: bool, migrates: bool, log_level: str
) -> None:
    """Bind, migrate where that is wanted, and serve until SIGTERM."""
    from latchstring.bootstrap import database as opening  # noqa: PLC0415  # after the configuration is known good
    from latchstring.bootstrap import sockets  # noqa: PLC0415
    from latchstring.telemetry.logging import configure_logging  # noqa: PLC0415

    configure_logging(level=log_level.upper())
    _warn(opening.sqlite_warning(config.database))
    with expected_failures():
        bound = sockets.bind(host, port)
    url = sockets.url_of(bound)
    with expected_failures():
        if migrates:
            asyncio.run(opening.migrate(config.database))
        if processes == 1:
            from latchstring.bootstrap.server_process import run_server  # noqa: PLC0415  # the last half second of imports

            run_server(config, bound, with_worker=with_worker, announce=lambda: say_listening(url))
            return
    _run_family(bound.fileno(), url, processes)


def _run_family(listening: int, url: str, processes: int) -> None:
    from latchstring.bootstrap.supervisor import Family  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="latchstring-metrics-") as folder:
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder, "LATCHSTRING_STARTED_AT": str(time.time())}
        family = Family(sys.argv[1:], processes, announce=lambda: say_listening(url), pass_fds=(listening,), env=env)
        _run(family.run())


def _serve_as_child(config: Config, inherit: str, *, with_worker: bool, log_level: str) -> None:
    import socket  # noqa: PLC0415

    from latchstring.bootstrap.server_process import run_server  # noqa: PLC0415
    from latchstring.bootstrap.supervisor import Inherited  # noqa: PLC0415
    from latchstring.telemetry.logging import configure_logging  # noqa: PLC0415

    configure_logging(level=log_level.upper())
    handed = Inherited(inherit)
    bound = socket.socket(fileno=handed.listening)
    with expected_failures():
        run_server(config, bound, with_worker=with_worker, announce=handed.say_ready, inherited=handed)


def say_listening(url: str) -> None:
    click.echo(f"listening on {url}")


def _say_working() -> None:
    click.echo("working")


def _run(family: "Coroutine[None, None, int]") -> None:
    raise SystemExit(asyncio.run(family))


def _refuse_sqlite(config: Config, several: bool, sentence: str) -> None:  # noqa: FBT001  # reads like the sentence
    if several and config.database.sqlite_path is not None:
        raise CommandFailed(sentence, status=UNUSABLE, code="sqlite-single-process")


def _warn(sentence: str | None) -> None:
    if sentence:
        click.echo(f"warning: {sentence}", err=True)
