"""`latchstring doctor`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latchstring.bootstrap.doctor import check_everything
from latchstring.cli.configuration import read_config
from latchstring.cli.failures import FAILED
from latchstring.domain.views.health import Finding, Health
from latchstring.telemetry.logging import configure_logging


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
def doctor(*, as_json: bool) -> None:
    """Check everything that can be wrong, and say how to mend it. Changes and sends nothing.

    Exit status: 0 when nothing is bad, 1 when something is, 2 when the configuration cannot be read.
    """
    config = read_config()

    configure_logging(level="CRITICAL")
    found = asyncio.run(check_everything(config))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
    else:
        _show(found)
    if any(finding.health is Health.BAD for finding in found):
        raise SystemExit(FAILED)


def _show(found: Sequence[Finding]) -> None:
    """A table: what was looked at, what it is like, and below it what to do."""
    marks = {"good": Text("✓", "green"), "doubtful": Text("!", "yellow"), "bad": Text("✗", "bold red")}
    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in found:
        says = Text(finding.message)
        if finding.remedy:
            says.append(f"\n→ {finding.remedy}", "bold")
        table.add_row(marks[finding.health.value], Text(finding.check, "dim"), says)
    Console().print(table)
    count = sum(finding.health.value != "good" for finding in found)
    click.echo("Everything is in order." if not count else f"{count} of {len(found)} need a look.")
