"""The load generator: raw HTTP/1.1 requests over persistent connections, in a process of its own.

Reads `{"port", "concurrency", "requests": […]}` from standard input, sends each request once, and prints
`{"seconds", "statuses", "latencies": [ms…]}`. It parses only the status and Content-Length.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

import uvloop

LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """A connection that sends the next request as soon as it has the response to the previous one."""

    def __init__(self, requests: Iterator[bytes], run: "Run") -> None:
        self.requests, self.run = requests, run
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # the class of uvloop is not a subclass
        self.send()

    def send(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            return
        self.buffer = b""
        self.response_length = 0
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.response_length:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self.buffer, 0, end)
            self.response_length = end + 4 + (int(length[1]) if length else 0)
        if len(self.buffer) >= self.response_length:
            self.run.latencies.append((time.perf_counter() - self.sent_at) * 1000)
            self.run.statuses[int(self.buffer[9:12])] += 1
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.run.close_connection()


class Run:
    """The connections of a run and their measurements."""

    def __init__(self, concurrency: int) -> None:
        self.open_connections = concurrency
        self.done = asyncio.get_running_loop().create_future()
        self.latencies = list[float]()
        self.statuses = Counter[int]()

    def close_connection(self) -> None:
        self.open_connections -= 1
        if not self.open_connections:
            self.done.set_result(None)


async def run_load(port: int, concurrency: int, requests: list[bytes]) -> dict[str, object]:
    run, remaining = Run(concurrency), iter(requests)
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    for _ in range(concurrency):
        await loop.create_connection(lambda: Connection(remaining, run), "127.0.0.1", port)
    await run.done
    return {"seconds": time.perf_counter() - start, "statuses": run.statuses, "latencies": run.latencies}


def main() -> None:
    spec = json.load(sys.stdin)
    requests = [request.encode() for request in spec["requests"]]
    json.dump(uvloop.run(run_load(spec["port"], spec["concurrency"], requests)), sys.stdout)


if __name__ == "__main__":
    main()
