"""`latchstring migrate`."""

import asyncio
import json

import rich_click as click

from latchstring.bootstrap import database
from latchstring.cli.configuration import read_config
from latchstring.cli.failures import CommandFailed
from latchstring.cli.refusals import expected_failures
from latchstring.storage.engine.revision import HEAD_REVISION


@click.command()
@click.option("--check", is_flag=True, help="Only check whether a migration is pending: exit status 1 if so, else 0.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(*, check: bool, as_json: bool) -> None:
    """Migrate the database to the schema of this version. Safe to run twice at the same time."""
    config = read_config()
    with expected_failures():
        previous = asyncio.run(database.find_current_revision(config.database))
        if check and previous != HEAD_REVISION:
            raise CommandFailed(
                f"A migration is pending: the database is at {previous or 'no revision'}, this version needs "
                f"{HEAD_REVISION}. Run `latchstring migrate`.",
                code="migration-pending",
            )
        changed = not check and asyncio.run(database.migrate(config.database))
    if as_json:
        click.echo(json.dumps({"revision": HEAD_REVISION, "before": previous, "changed": changed}))
    else:
        click.echo(
            f"Migrated to {HEAD_REVISION}." if changed else f"The database is at {HEAD_REVISION}. Nothing to do."
        )
