"""What the commands share that take a file: reading it, and not going on unasked."""

import sys
from pathlib import Path

import rich_click as click

from latchstring.cli.failures import UNUSABLE, CommandFailed

LARGEST_FILE = 64 * 1024 * 1024  # the contract's bound of a bulk upload

# whether it is there is seen when it is read: click's own refusal has a status that means something else to `apply`
file_type = click.Path(path_type=Path, allow_dash=True)


def read_bytes(file: Path) -> bytes:
    """What the file or standard input holds. Ends the command where it cannot be read, and beyond 64 MiB."""
    try:
        with click.open_file(str(file), "rb") as source:
            data = bytes(source.read(LARGEST_FILE + 1))
    except OSError as error:
        said = f"{file} cannot be read: {error.strerror}."
        raise CommandFailed(said, status=UNUSABLE, code="file-unreadable") from error
    if len(data) > LARGEST_FILE:
        raise CommandFailed("The file has more than 64 MiB. Split it.", status=UNUSABLE, code="file-too-large")
    return data


def require_an_answer(file: Path | None, *, is_settled: bool, as_json: bool, otherwise: str) -> None:
    """Somebody has to say yes: on the command line, or at a terminal that the file does not come through.

    otherwise: what to add to the command, as the rest of a sentence.
    """
    if is_settled or (not as_json and str(file) != "-" and sys.stdin.isatty()):
        return
    raise CommandFailed(f"Nobody can be asked here. Add {otherwise}.", status=UNUSABLE, code="not-confirmed")
