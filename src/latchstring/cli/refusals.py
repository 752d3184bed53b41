"""Turns expected errors into a message and an exit status."""

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

_REMEDIES = {
    StorageUnreachable: "Check that it runs and that database.url is correct. `latchstring doctor` shows more.",
    EmailTaken: "Choose another address.",
    ApiKeyNotFound: "List the keys with GET /api/api-keys.",
}


@contextmanager
def expected_failures() -> Iterator[None]:
    """Turn expected errors into CommandFailed, so that the command ends with a message and no traceback."""
    try:
        yield
    except InvalidFields as invalid:
        json_errors = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in invalid.errors]
        lines = "\n".join(f"  {e.pointer.lstrip('/') or 'request'}: {e.detail}" for e in invalid.errors)
        raise CommandFailed(
            f"Nothing was changed.\n{lines}", code=invalid.code, more={"errors": json_errors}
        ) from invalid
    except LatchstringError as error:
        message = " ".join(filter(None, [error.detail or error.code, _REMEDIES.get(type(error))]))
        raise CommandFailed(message, code=error.code, more=error.extra) from error
    except KeyProblem as problem:
        raise CommandFailed(
            f"The master key cannot be used. {problem}", status=UNUSABLE, code="master-key"
        ) from problem
    except StartRefused as refused:
        raise CommandFailed(str(refused), status=refused.status, code=refused.code) from refused
