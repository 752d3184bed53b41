"""`latchstring migrate`."""

import asyncio
import json

import rich_click as click

from latchstring.bootstrap import database as opening
from latchstring.cli.configuration import read_config
from latchstring.cli.failures import CommandFailed
from latchstring.cli.refusals import expected_failures
from latchstring.storage.engine.revision import HEAD_REVISION


@click.command()
@click.option("--check", is_flag=True, help="Only tell whether a migration is pending: status 0 if not, 1 if one is.")
@click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
def migrate(*, check: bool, as_json: bool) -> None:
    """Bring the database to the schema of this version. Safe when started twice at once."""
    config = read_config()

    with expected_failures():
        before = asyncio.run(opening.revision(config.database))
        if check and before != HEAD_REVISION:
            raise CommandFailed(
                f"A migration is pending: the database is at {before or 'nothing'}, this version needs "
                f"{HEAD_REVISION}. Run `latchstring migrate`.",
                code="migration-pending",
            )
        changed = not check and asyncio.run(opening.migrate(config.database))
    if as_json:
        click.echo(json.dumps({"revision": HEAD_REVISION, "before": before, "changed": changed}))
    else:
        click.echo(
            f"Migrated to {HEAD_REVISION}." if changed else f"The database is at {HEAD_REVISION}. Nothing to do."
        )
