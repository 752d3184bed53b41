"""`latchstring demo`: everything on this machine, with something in it to look at."""

import asyncio
import os
from importlib.resources import files
from pathlib import Path

import rich_click as click

from latchstring.bootstrap import database as opening
from latchstring.bootstrap import sockets
from latchstring.bootstrap.server_process import run_server
from latchstring.cli.configuration import config_path, read_config
from latchstring.cli.demo_data import DemoData, ensure_samples
from latchstring.cli.process_options import log_level_option
from latchstring.cli.refusals import expected_failures
from latchstring.telemetry.logging import configure_logging

FOLDER = Path("var")
PUBLIC_URL = "LATCHSTRING_APP__PUBLIC_URL"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The mailbox shows every link: keep it local.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535))
@log_level_option
def demo(*, host: str, port: int, log_level: str) -> None:
    """Try everything on this machine: sample roles, a group, people, and an invitation that waits in a mailbox.

    Everything is kept in `./var`; a second start goes on with it. Delete the folder to start afresh.
    """
    with expected_failures():
        bound = sockets.bind(host, port)
    url = sockets.url_of(bound)
    path = config_path() or _ensure_config(url)
    config = read_config({PUBLIC_URL: url, **os.environ}, path=path)

    configure_logging(level=log_level.upper())
    with expected_failures():
        asyncio.run(opening.migrate(config.database))
        samples = asyncio.run(ensure_samples(config, FOLDER / "demo.json"))
        run_server(config, bound, with_worker=True, announce=lambda: _announce(url, path, samples))


def _ensure_config(url: str) -> Path:
    """The demo's configuration, written on first start and then the operator's to change."""
    path = FOLDER / "latchstring.toml"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        template = (files("latchstring.cli") / "demo.toml").read_text(encoding="utf-8")
        path.write_text(template.replace("@public-url@", url), encoding="utf-8")
    return path


def _announce(url: str, path: Path, samples: DemoData) -> None:
    lines = (
        f"listening on {url}",
        "",
        "What to open next",
        f"  {url}/dev/mail   the mailbox: the first invitation, to {samples.guest_email}, waits here",
        f"  {url}/login      sign in as {samples.user_email} with {samples.password}",
        f"  {url}/admin      the panel: {samples.admin_email} with {samples.password}",
        f"  {url}/docs       the API",
        "",
        "Invite somebody yourself",
        f"  curl {url}/api/invitations -H 'Authorization: Bearer {samples.api_key}' \\",
        """    -H 'Content-Type: application/json' -d '{"inviteEmail": "you@example.org", "role": "team"}'""",
        f"  .venv/bin/latchstring --config {path} invite you@example.org --role customer",
        "",
    )
    click.echo("\n".join(lines))
