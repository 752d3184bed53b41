"""One serving process: uvicorn around the app, told to us when it is ready, ended within ten seconds of SIGTERM."""

import contextlib
import signal
import socket
from collections.abc import Callable, Generator

import uvicorn
from litestar import Litestar

DRAIN_SECONDS = 7  # for answers under way; what is left of the contract's ten is for the worker's last mail
KEEP_ALIVE_SECONDS = 65  # longer than proxies keep their idle connections, so that they end first


class Server(uvicorn.Server):
    """uvicorn that says when it is ready and when it begins to drain, and ends with status 0 on SIGTERM."""

    def __init__(self, app: Litestar, *, on_ready: Callable[[], None], on_drain: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # web/limits reads them, from trusted proxies only
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
                backlog=2048,
            )
        )
        self._on_ready = on_ready
        self._on_drain = on_drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_drain()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Uvicorn's own raises the signal again at the end, and a wished end would look like a crash."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
