"""The command line. A command is imported when it is called, so `--help` and `--version` are quick."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import rich_click as click

from latchstring.cli.configuration import read_config
from latchstring.cli.failures import CommandFailed

# name: (module under latchstring.cli, attribute, what it does)
COMMANDS = {
    "serve": ("serve", "serve", "Serve the app, and send its mail from the same process."),
    "worker": ("worker", "worker", "Send mail and tidy up beside any number of servers (PostgreSQL)."),
    "migrate": ("migrate", "migrate", "Bring the database to the schema of this version."),
    "demo": ("demo", "demo", "Try everything on this machine: sample roles, a group, an invitation, a mailbox."),
    "doctor": ("doctor", "doctor", "Check everything that can be wrong, and say how to mend it."),
    "invite": ("invite", "invite", "Invite somebody by e-mail."),
    "import": ("import_file", "import_", "Invite everybody in a file."),
    "apply": ("apply", "apply", "Bring invitations to what a file declares."),
    "user": ("user", "user", "Make accounts of the app."),
    "admin": ("admin", "admin", "Make accounts of the admin panel."),
    "api-key": ("api_key", "api_key", "Make keys for backends."),
    "keys": ("keys", "keys", "Renew the master key."),
}
SERVERS = ("serve", "worker")

click.rich_click.TEXT_MARKUP = "markdown"
click.rich_click.COMMAND_GROUPS = {
    "latchstring": [
        {"name": "Run", "commands": ["serve", "worker", "migrate", "demo", "doctor"]},
        {"name": "People and keys", "commands": ["invite", "import", "apply", "user", "admin", "api-key", "keys"]},
    ]
}


class _Later(click.RichCommand):
    """Stands in a list for a command that is imported only when it is called."""

    def __init__(self, name: str, module: str, attribute: str, says: str) -> None:
        super().__init__(name=name, help=says)
        self._place = (f"latchstring.cli.{module}", attribute)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if self.name in SERVERS and not {"--help", "-h"}.intersection(args):
            read_config()  # what is wrong with it is told before the second that importing a server takes
        module, attribute = self._place
        command: click.Command = getattr(import_module(module), attribute)
        return command.make_context(info_name, args, parent=parent, **extra)


class _Commands(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        return _Later(cmd_name, *COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CommandFailed as failed:
            failed.show()
            ctx.exit(failed.status)


@click.group(cls=_Commands, name="latchstring", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="LATCHSTRING_CONFIG",
    help="The configuration file. Default: `latchstring.toml` in the working directory, then built-in defaults.",
)
@click.version_option(package_name="latchstring", message="%(prog)s %(version)s")
def main(config_path: Path | None) -> None:  # noqa: ARG001  # commands read it from the context
    """Latchstring brings people in: one link, and the person is in with exactly the rights you chose.

    Every key of the configuration file can be set in the environment, too: `LATCHSTRING_MAIL__SMTP__HOST` for
    `mail.smtp.host`.
    """
    os.umask(0o077)  # whatever is written, the database, keys, mails, is for the owner alone
