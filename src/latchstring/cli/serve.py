"""`latchstring serve`."""

import asyncio
import os
import socket
import sys
import tempfile
import time

import rich_click as click

from latchstring.bootstrap import database, sockets
from latchstring.bootstrap.supervisor import InheritedDescriptors, ProcessGroup
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
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0 chooses a free port.")
@processes_option
@click.option("--no-worker", is_flag=True, help="Do not send mail or clean up; `latchstring worker` does.")
@click.option("--migrate", is_flag=True, help="Migrate PostgreSQL first. SQLite is always migrated.")
@log_level_option
@inherit_option
def serve(
    *, host: str, port: int, processes: int, no_worker: bool, migrate: bool, log_level: str, inherit: str | None
) -> None:
    """Run the server. Prints `listening on URL` when it is ready, and ends within ten seconds of SIGTERM."""
    config = read_config()
    if inherit is not None:
        _serve_as_child(config, inherit, with_worker=not no_worker, log_level=log_level)
        return
    if processes > 1:
        refuse_sqlite(config, "SQLite allows one process only. Omit --processes, or use PostgreSQL.")
    run_server_processes(
        config,
        host=host,
        port=port,
        processes=processes,
        with_worker=not no_worker,
        migrates=migrate or config.database.sqlite_path is not None,
        log_level=log_level,
    )


def run_server_processes(
    config: Config, *, host: str, port: int, processes: int, with_worker: bool, migrates: bool, log_level: str
) -> None:
    """Bind the socket, migrate the database if `migrates`, and serve until SIGTERM in one or several processes."""
    configure_logging(level=log_level.upper())
    if warning := database.sqlite_warning(config.database):
        click.echo(f"warning: {warning}", err=True)
    with expected_failures():
        server_socket = sockets.bind_socket(host, port)
    url = sockets.socket_url(server_socket)
    with expected_failures():
        if migrates:
            asyncio.run(database.migrate(config.database))
        if processes == 1:
            from latchstring.bootstrap.server_process import run_server  # noqa: PLC0415  # not needed in the parent of several processes

            run_server(config, server_socket, with_worker=with_worker, announce=lambda: print_listening(url))
            return
    _run_process_group(server_socket.fileno(), url, processes)


def _run_process_group(descriptor: int, url: str, processes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="latchstring-metrics-") as folder:
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder, "LATCHSTRING_STARTED_AT": str(time.time())}
        process_group = ProcessGroup(
            sys.argv[1:], processes, announce=lambda: print_listening(url), pass_fds=(descriptor,), env=env
        )
        run_to_exit(process_group.run())


def _serve_as_child(config: Config, inherit: str, *, with_worker: bool, log_level: str) -> None:
    from latchstring.bootstrap.server_process import run_server  # noqa: PLC0415  # as above

    configure_logging(level=log_level.upper())
    inherited = InheritedDescriptors(inherit)
    server_socket = socket.socket(fileno=inherited.server_socket)
    with expected_failures():
        run_server(config, server_socket, with_worker=with_worker, announce=inherited.report_ready, inherited=inherited)


def print_listening(url: str) -> None:
    click.echo(f"listening on {url}")
