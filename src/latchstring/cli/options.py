"""Options of several commands, validated as the fields of the API."""

import sys
from collections.abc import Callable
from typing import Any

import rich_click as click

from latchstring.cli.failures import UNUSABLE, CommandFailed
from latchstring.formats.field_types import (
    ValueRefused,
    read_duration,
    read_email,
    read_key,
    read_line,
    read_locale,
    read_message,
    read_url,
    read_uuid,
)


class FieldParameter(click.ParamType[Any]):
    """An option value that a field reader of the API validates. Its error becomes an error of click."""

    def __init__(self, name: str, read: Callable[[object], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value) if isinstance(value, str) else value
        except ValueRefused as refused:
            self.fail(refused.detail, param, ctx)


LINE = FieldParameter("text", read_line)
MESSAGE = FieldParameter("text", read_message)
EMAIL = FieldParameter("email", read_email)
DURATION = FieldParameter("duration", read_duration)
LOCALE = FieldParameter("language", read_locale)
URL = FieldParameter("url", read_url)
KEY = FieldParameter("key", read_key)
ID = FieldParameter("id", read_uuid)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input, as options are visible to other users of the machine.",
)


def read_password(*, from_stdin: bool) -> str | None:
    """The password on standard input without its line break. None without `--password-stdin`. Raises CommandFailed."""
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
