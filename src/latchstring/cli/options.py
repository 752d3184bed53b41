"""Options that several commands have, read by the same rules as the fields of the API."""

import sys
from collections.abc import Callable
from typing import Any

import rich_click as click

from latchstring.cli.runner import UNUSABLE, CommandFailed


class Field(click.ParamType[Any]):
    """A value that the API's own reader takes; its refusal becomes click's."""

    def __init__(self, name: str, reader: str) -> None:
        self.name = name
        self._reader = reader

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from latchstring.formats import field_types as kinds  # noqa: PLC0415  # `--help` need not wait for it

        read: Callable[[object], Any] = getattr(kinds, self._reader)
        try:
            return read(value) if isinstance(value, str) else value
        except kinds.ValueRefused as refused:
            self.fail(refused.detail, param, ctx)


LINE = Field("text", "read_line")
MESSAGE = Field("text", "read_message")
EMAIL = Field("email", "read_email")
DURATION = Field("duration", "read_duration")
LOCALE = Field("language", "read_locale")
URL = Field("url", "read_url")
KEY = Field("key", "read_key")
ID = Field("id", "read_uuid")

json_option = click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input; options are seen by everybody."
)


def read_password(*, from_stdin: bool) -> str | None:
    """The password on standard input, without its line break; None when none was announced."""
    if not from_stdin:
        return None
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandFailed(
            "Standard input is empty. Pass the password: echo … | latchstring … --password-stdin",
            status=UNUSABLE,
            code="password-missing",
        )
    return password
