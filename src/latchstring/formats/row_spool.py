"""Stores the rows of an upload in a temporary file, so that processing starts only if all of them can be read."""

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import IO, Self

from latchstring.domain.errors import FieldProblem, InvalidFields
from latchstring.formats.uploads import UploadedRows

_LENGTH_BYTES = 8


class SpooledRows:
    """The rows of an upload. Can be iterated any number of times until it is closed."""

    def __init__(self, media_type: str) -> None:
        self.media_type = media_type
        self.options: Mapping[str, object] = {}
        self.total = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="latchstring-")  # noqa: SIM115  # closed by `close`

    async def fill(self, rows: UploadedRows) -> Self:
        """Read an upload to its end. Raises Unreadable, and InvalidFields if it has no rows."""
        async for batch in rows:
            body = json.dumps(batch, ensure_ascii=False, separators=(",", ":")).encode()
            self._file.write(len(body).to_bytes(_LENGTH_BYTES))
            self._file.write(body)
            self.total += len(batch)
        if not self.total:
            raise InvalidFields([FieldProblem("", "empty", "Send at least one row.")])
        self.options = rows.options
        return self

    async def __aiter__(self) -> AsyncIterator[list[object]]:
        self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            yield json.loads(self._file.read(int.from_bytes(length)))

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
