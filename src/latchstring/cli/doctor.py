"""`latchstring doctor`."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import rich_click as click

from latchstring.cli.runner import FAILED, read_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from latchstring.domain.views.health import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
def doctor(*, as_json: bool) -> None:
    """Check everything that can be wrong, and say how to mend it. Changes and sends nothing.

    Exit status: 0 when nothing is bad, 1 when something is, 2 when the configuration cannot be read.
    """
    config = read_config()
    from latchstring.bootstrap.doctor import check_everything  # noqa: PLC0415  # after the configuration is known good
    from latchstring.domain.views.health import Health  # noqa: PLC0415
    from latchstring.telemetry.logging import configure_logging  # noqa: PLC0415

    configure_logging(level="CRITICAL")
    found = asyncio.run(check_everything(config))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
    else:
        _show(found)
    if any(finding.health is Health.BAD for finding in found):
        raise SystemExit(FAILED)


def _show(found: "Sequence[Finding]") -> None:
    """A table: what was looked at, what it is like, and below it what to do."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    marks = {"good": Text("✓", "green"), "doubtful": Text("!", "yellow"), "bad": Text("✗", "bold red")}
    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in found:
        says = Text(finding.says)
        if finding.remedy:
            says.append(f"\n→ {finding.remedy}", "bold")
        table.add_row(marks[finding.health.value], Text(finding.check, "dim"), says)
    Console().print(table)
    count = sum(finding.health.value != "good" for finding in found)
    click.echo("Everything is in order." if not count else f"{count} of {len(found)} need a look.")
