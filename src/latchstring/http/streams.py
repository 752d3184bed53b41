"""Answers that are made while they are sent: memory holds one batch, however long they are."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from latchstring.formats.spreadsheet import MEDIA_TYPE, Cells, csv_chunks
from latchstring.http.responses import Answer, HeaderPairs


async def streamed_answer(chunks: AsyncIterator[bytes], headers: HeaderPairs) -> Answer:
    """The chunks as one answer of status 200. The first is made before anything is sent, so that an error until then
    is still answered with its own status; a later one cuts the connection, which no client takes for the end.
    """
    return _Streamed(await anext(chunks, b""), chunks, headers)


async def csv_answer(rows: AsyncIterator[Cells], name: str) -> Answer:
    """The rows as a download `name.csv`, sent while they are read.

    name: letters, digits, dots and hyphens.
    """
    headers = [
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-disposition", f'attachment; filename="{name}.csv"'.encode("ascii")),
    ]
    return await streamed_answer(csv_chunks(rows), headers)


class _Streamed(Answer):
    """An answer without a known length. Whoever hangs up stops the making."""

    __slots__ = ("_chunks",)

    def __init__(self, first: bytes, chunks: AsyncIterator[bytes], headers: HeaderPairs) -> None:
        super().__init__(200, first, headers)
        self._chunks = chunks

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        gone = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
            async for chunk in self._chunks:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
