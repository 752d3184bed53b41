"""`latchstring worker`."""

import sys

import rich_click as click

from latchstring.bootstrap.supervisor import InheritedDescriptors, ProcessGroup
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
    """Run a worker for mail and clean-up beside any number of servers and workers. PostgreSQL only."""
    config = read_config()
    refuse_sqlite(
        config,
        "SQLite allows one process only, and `latchstring serve` sends mail itself. Use PostgreSQL for a worker.",
    )

    configure_logging(level=log_level.upper())
    if processes > 1 and inherit is None:
        run_to_exit(ProcessGroup(sys.argv[1:], processes, announce=_print_working).run())
    with expected_failures():
        inherited = InheritedDescriptors(inherit) if inherit else None
        announce = inherited.report_ready if inherited else _print_working
        run_worker_process(config, inherited=inherited, announce=announce)


def _print_working() -> None:
    click.echo("working")
