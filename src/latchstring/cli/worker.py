"""`latchstring worker`."""

import sys

import rich_click as click

from latchstring.bootstrap.supervisor import InheritedSockets, ProcessGroup
from latchstring.bootstrap.worker_process import run_worker_process
from latchstring.cli.configuration import read_config
from latchstring.cli.process_options import (
    inherit_option,
    log_level_option,
    processes_option,
    refuse_sqlite,
    run_to_exit,
)
from latchstring.cli.refusals import expected_failures
from latchstring.telemetry.logging import configure_logging


@click.command()
@processes_option
@log_level_option
@inherit_option
def worker(*, processes: int, log_level: str, inherit: str | None) -> None:
    """Send mail and tidy up, beside any number of servers and workers. PostgreSQL only."""
    config = read_config()
    refuse_sqlite(config, True, "SQLite has one process: `latchstring serve` sends its mail. Use PostgreSQL for more.")

    configure_logging(level=log_level.upper())
    if processes > 1 and inherit is None:
        run_to_exit(ProcessGroup(sys.argv[1:], processes, announce=_say_working).run())
    with expected_failures():
        handed = InheritedSockets(inherit) if inherit else None
        run_worker_process(config, inherited=handed, announce=handed.say_ready if handed else _say_working)


def _say_working() -> None:
    click.echo("working")
