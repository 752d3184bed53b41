"""How a failed command ends: with a message and an exit status.

Exit statuses: 1 rejected or failed, 2 invalid command line or configuration.
"""

import json
from collections.abc import Mapping

import rich_click as click

FAILED = 1
UNUSABLE = 2


class CommandFailed(Exception):
    """Ends the command with a message on standard error, as JSON with `--json`.

    Not the exception of click: its box wraps keys and paths over lines, so that they cannot be copied.
    """

    def __init__(
        self, message: str, *, status: int = FAILED, code: str = "failed", more: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        context = click.get_current_context(silent=True)
        self._as_json = context is not None and bool(context.params.get("as_json"))
        self._members = {"code": code, "detail": message, **(more or {})}

    def show(self) -> None:
        click.echo(json.dumps(self._members) if self._as_json else str(self), err=True)
