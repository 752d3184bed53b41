"""How a command ends that could not do what it was asked: a sentence and a status.

Exit statuses: 1 refused or failed, 2 the command line or the configuration cannot be used.
"""

import json
from collections.abc import Mapping

import rich_click as click

FAILED = 1
UNUSABLE = 2


class CommandFailed(Exception):
    """Ends the command with a text on standard error, or with JSON where the command was asked for it.

    Not click's own exception: its box would break keys and paths over lines, and nobody could copy them.
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
