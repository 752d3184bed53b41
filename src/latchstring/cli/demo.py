"""`latchstring demo`: a server with sample data on this machine."""

import asyncio
import os
from importlib.resources import files
from pathlib import Path

import rich_click as click

from latchstring.bootstrap import database, sockets
from latchstring.bootstrap.server_process import run_server
from latchstring.cli.configuration import config_path, read_config
from latchstring.cli.demo_data import DemoData, ensure_samples
from latchstring.cli.process_options import log_level_option
from latchstring.cli.refusals import expected_failures
from latchstring.telemetry.logging import configure_logging

FOLDER = Path("var")
PUBLIC_URL = "LATCHSTRING_APP__PUBLIC_URL"


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. Keep it local: the mailbox shows every link.",
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535))
@log_level_option
def demo(*, host: str, port: int, log_level: str) -> None:
    """Run a server with sample data: roles, a group, accounts, and an invitation in the development mailbox.

    All data is stored in `./var` and used again by the next start. Delete the folder to reset the demo.
    """
    with expected_failures():
        server_socket = sockets.bind_socket(host, port)
    url = sockets.socket_url(server_socket)
    path = config_path() or _ensure_config(url)
    config = read_config({PUBLIC_URL: url, **os.environ}, path=path)

    configure_logging(level=log_level.upper())
    with expected_failures():
        asyncio.run(database.migrate(config.database))
        samples = asyncio.run(ensure_samples(config, FOLDER / "demo.json"))
        run_server(config, server_socket, with_worker=True, announce=lambda: _announce(url, path, samples))


def _ensure_config(url: str) -> Path:
    """The path of the demo configuration. The first start writes the file; later changes to it are kept."""
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
        f"  {url}/dev/mail   the mailbox with the first invitation, to {samples.guest_email}",
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
