"""What the commands share: reading the configuration, opening the services, and ending with a sentence and a status.

Exit statuses: 0 done, 1 refused or failed, 2 the command line or the configuration cannot be used.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from latchstring.config import Config, ConfigProblems, load_config
from latchstring.domain.errors import (
    ApiKeyNotFound,
    EmailTaken,
    InvalidFields,
    LatchstringError,
    StorageUnreachable,
)

T = TypeVar("T")
FAILED = 1
UNUSABLE = 2

_NEXT = {
    StorageUnreachable: "Check that it runs and that database.url names it. `latchstring doctor` looks closer.",
    EmailTaken: "Choose another address.",
    ApiKeyNotFound: "List the keys with GET /api/api-keys.",
}


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


def config_path() -> Path | None:
    """What `--config` says."""
    context = click.get_current_context(silent=True)
    return context.find_root().params["config_path"] if context else None


def read_config(env: Mapping[str, str] | None = None, path: Path | None = None) -> Config:
    """The configuration the command line names. Ends the command with status 2 and all problems."""
    try:
        return load_config(path or config_path(), os.environ if env is None else env)
    except ConfigProblems as problems:
        listed = [{"key": p.key, "value": p.value, "remedy": p.remedy} for p in problems.problems]
        raise CommandFailed(
            str(problems), status=UNUSABLE, code="configuration", more={"problems": listed}
        ) from problems


def with_services(action: Callable[[Any], Awaitable[T]], *, config: Config | None = None) -> T:
    """Open the services beside whatever serves, run the action, close again."""
    from latchstring.bootstrap.services import open_services  # noqa: PLC0415  # nor for half a second of imports
    from latchstring.telemetry.logging import configure_logging  # noqa: PLC0415  # `--help` need not wait for it

    settings = config or read_config()
    configure_logging(level="WARNING")

    async def run() -> T:
        async with open_services(settings, beside=True) as services:
            return await action(services)

    with expected_failures():
        return asyncio.run(run())


@contextmanager
def expected_failures() -> Iterator[None]:
    """Turn what can be refused into the end of the command: a sentence and a status, no traceback."""
    from latchstring.bootstrap.database import StartRefused  # noqa: PLC0415  # imports the database tools
    from latchstring.crypto.keyring import KeyProblem  # noqa: PLC0415  # imports cryptography

    try:
        yield
    except InvalidFields as refused:
        listed = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in refused.errors]
        lines = "\n".join(f"  {e.pointer.lstrip('/') or 'request'}: {e.detail}" for e in refused.errors)
        raise CommandFailed(f"Nothing was changed.\n{lines}", code=refused.code, more={"errors": listed}) from refused
    except LatchstringError as refused:
        sentence = " ".join(filter(None, [refused.detail or refused.code, _NEXT.get(type(refused))]))
        raise CommandFailed(sentence, code=refused.code, more=refused.extra) from refused
    except KeyProblem as problem:
        raise CommandFailed(
            f"The master key cannot be used. {problem}", status=UNUSABLE, code="master-key"
        ) from problem
    except StartRefused as refused_start:
        raise CommandFailed(str(refused_start), status=refused_start.status, code=refused_start.code) from refused_start
