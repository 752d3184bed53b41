"""The command line. A command is imported when it is called, so that `--help` and `--version` are fast."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import rich_click as click

from latchstring.cli.configuration import read_config
from latchstring.cli.failures import CommandFailed

# name: (module in latchstring.cli, attribute, help text)
COMMANDS = {
    "serve": ("serve", "serve", "Run the server, and send mail from the same process."),
    "worker": ("worker", "worker", "Run a worker for mail and clean-up beside any number of servers (PostgreSQL)."),
    "migrate": ("migrate", "migrate", "Migrate the database to the schema of this version."),
    "demo": ("demo", "demo", "Run a server with sample data: roles, a group, an invitation, a mailbox."),
    "doctor": ("doctor", "doctor", "Check the installation for problems and show how to fix them."),
    "invite": ("invite", "invite", "Invite somebody by e-mail."),
    "import": ("import_file", "import_", "Invite many people from a file."),
    "apply": ("apply", "apply", "Create, renew and revoke invitations to match a file."),
    "user": ("user", "user", "Manage users of the app."),
    "admin": ("admin", "admin", "Manage administrators of the admin panel."),
    "api-key": ("api_key", "api_key", "Manage API keys for backends."),
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


class LazyCommand(click.RichCommand):
    """A command in the list of commands that is imported only when it is called."""

    def __init__(self, name: str, module: str, attribute: str, help_text: str) -> None:
        super().__init__(name=name, help=help_text)
        self._target = (f"latchstring.cli.{module}", attribute)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if self.name in SERVERS and not {"--help", "-h"}.intersection(args):
            read_config()  # report problems before the import of the server, which takes a second
        module, attribute = self._target
        command: click.Command = getattr(import_module(module), attribute)
        return command.make_context(info_name, args, parent=parent, **extra)


class CommandGroup(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        return LazyCommand(cmd_name, *COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CommandFailed as failed:
            failed.show()
            ctx.exit(failed.status)


@click.group(cls=CommandGroup, name="latchstring", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="LATCHSTRING_CONFIG",
    help="The configuration file. Default: `latchstring.toml` in the working directory, then built-in defaults.",
)
@click.version_option(package_name="latchstring", message="%(prog)s %(version)s")
def main(config_path: Path | None) -> None:  # noqa: ARG001  # commands read it from the context
    """Latchstring is an invitation server: people who follow a link join with exactly the rights you chose.

    Every key of the configuration file can be set in the environment as well: `LATCHSTRING_MAIL__SMTP__HOST` for
    `mail.smtp.host`.
    """
    os.umask(0o077)  # files that commands write (database, keys, mails) are readable by their owner only
