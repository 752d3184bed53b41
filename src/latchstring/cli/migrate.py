"""`latchstring migrate`."""

import asyncio
import json

import rich_click as click

from latchstring.cli.running import CommandFailed, expected_failures, read_config


@click.command()
@click.option("--check", is_flag=True, help="Only tell whether a migration is pending: status 0 if not, 1 if one is.")
@click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
def migrate(*, check: bool, as_json: bool) -> None:
    """Bring the database to the schema of this version. Safe when started twice at once."""
    config = read_config()
    from latchstring import opening  # noqa: PLC0415  # half a second of imports, after the configuration is known good

    with expected_failures():
        before = asyncio.run(opening.revision(config.database))
        if check and before != opening.head_revision():
            raise CommandFailed(
                f"A migration is pending: the database is at {before or 'nothing'}, this version needs "
                f"{opening.head_revision()}. Run `latchstring migrate`.",
                code="migration-pending",
            )
        if not check:
            asyncio.run(opening.migrate(config.database))
    head = opening.head_revision()
    changed = not check and before != head
    if as_json:
        click.echo(json.dumps({"revision": head, "before": before, "changed": changed}))
    else:
        click.echo(f"Migrated to {head}." if changed else f"The database is at {head}. Nothing to do.")
