"""`latchstring doctor`."""

import asyncio
import json
from collections.abc import Sequence

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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, as_json: bool) -> None:
    """Check the installation for problems and show how to fix them. Changes and sends nothing.

    Exit status: 0 if no check failed, 1 if one did, 2 if the configuration is invalid.
    """
    config = read_config()
    configure_logging(level="CRITICAL")
    findings = asyncio.run(check_everything(config))
    if as_json:
        click.echo(json.dumps([_as_json(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        _show(findings)
    if any(finding.health is Health.FAILED for finding in findings):
        raise SystemExit(FAILED)


def _as_json(finding: Finding) -> dict[str, str]:
    return {"check": finding.check, "health": finding.health, "says": finding.message, "remedy": finding.remedy}


def _show(findings: Sequence[Finding]) -> None:
    """Print a table with each check, its result, and how to fix a problem."""
    marks = {
        Health.PASSED: Text("✓", "green"),
        Health.WARNING: Text("!", "yellow"),
        Health.FAILED: Text("✗", "bold red"),
    }
    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in findings:
        message = Text(finding.message)
        if finding.remedy:
            message.append(f"\n→ {finding.remedy}", "bold")
        table.add_row(marks[finding.health], Text(finding.check, "dim"), message)
    Console().print(table)
    count = sum(finding.health is not Health.PASSED for finding in findings)
    click.echo("No problems found." if not count else f"{count} of {len(findings)} findings need attention.")
