"""Turning what can be refused into failures of a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from latchstring.bootstrap.database import StartRefused
from latchstring.cli.failures import UNUSABLE, CommandFailed
from latchstring.crypto.keyring import KeyProblem
from latchstring.domain.errors import (
    ApiKeyNotFound,
    EmailTaken,
    InvalidFields,
    LatchstringError,
    StorageUnreachable,
)

_NEXT = {
    StorageUnreachable: "Check that it runs and that database.url names it. `latchstring doctor` looks closer.",
    EmailTaken: "Choose another address.",
    ApiKeyNotFound: "List the keys with GET /api/api-keys.",
}


@contextmanager
def expected_failures() -> Iterator[None]:
    """Turn what can be refused into the end of the command: a sentence and a status, no traceback."""
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
