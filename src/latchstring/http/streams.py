"""Streamed responses, which need memory for one batch only."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from latchstring.formats.spreadsheet import MEDIA_TYPE, Cells, csv_chunks
from latchstring.http.responses import Answer, HeaderPairs


async def streamed_answer(chunks: AsyncIterator[bytes], headers: HeaderPairs) -> Answer:
    """Make a streamed response with status 200.

    The first chunk is computed before anything is sent, so that an error until then gets its own status. A later error
    closes the connection, which clients can distinguish from the end of the response.
    """
    return _Streamed(await anext(chunks, b""), chunks, headers)


async def csv_answer(rows: AsyncIterator[Cells], name: str) -> Answer:
    """Make a streamed response that downloads the rows as `<name>.csv`. name: letters, digits, dots and hyphens."""
    headers = [
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-disposition", f'attachment; filename="{name}.csv"'.encode("ascii")),
    ]
    return await streamed_answer(csv_chunks(rows), headers)


class _Streamed(Answer):
    """A response without a known length. It ends early if the client disconnects."""

    __slots__ = ("_chunks",)

    def __init__(self, first: bytes, chunks: AsyncIterator[bytes], headers: HeaderPairs) -> None:
        super().__init__(200, first, headers)
        self._chunks = chunks

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
            async for chunk in self._chunks:
                if disconnect.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            disconnect.cancel()
            await asyncio.gather(disconnect, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
