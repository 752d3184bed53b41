"""Reads the file of a command, and requires confirmation before changes."""

import sys
from pathlib import Path

import rich_click as click

from latchstring.cli.failures import UNUSABLE, CommandFailed

MAX_FILE_SIZE = 64 * 1024 * 1024  # bytes, the limit of a bulk upload in the contract

# no `exists=True`: for a missing file click would exit with 2, which has another meaning in `apply --check`
file_type = click.Path(path_type=Path, allow_dash=True)


def read_bytes(file: Path) -> bytes:
    """The content of the file or of standard input. Ends the command if it cannot be read or exceeds 64 MiB."""
    try:
        with click.open_file(str(file), "rb") as source:
            data = bytes(source.read(MAX_FILE_SIZE + 1))
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise CommandFailed(message, status=UNUSABLE, code="file-unreadable") from error
    if len(data) > MAX_FILE_SIZE:
        raise CommandFailed("The file has more than 64 MiB. Split it.", status=UNUSABLE, code="file-too-large")
    return data


def require_confirmation(file: Path | None, *, is_confirmed: bool, as_json: bool, hint: str) -> None:
    """End the command unless changes are confirmed by an option, or can be at a terminal that is not the input file.

    hint: the options to add to the command, for the message.
    """
    if is_confirmed or (not as_json and str(file) != "-" and sys.stdin.isatty()):
        return
    raise CommandFailed(f"Confirmation is not possible here. Add {hint}.", status=UNUSABLE, code="not-confirmed")
