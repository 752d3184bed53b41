"""One server process: uvicorn with the application. It reports readiness and ends within ten seconds of SIGTERM."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager

import uvicorn
import uvloop

from latchstring.bootstrap.application import create_app
from latchstring.bootstrap.garbage_collection import tune_garbage_collection
from latchstring.bootstrap.services import open_services, running_worker
from latchstring.bootstrap.supervisor import InheritedDescriptors
from latchstring.config import Config
from latchstring.http.access_log import AccessLog
from latchstring.http.application import Application
from latchstring.services import Services
from latchstring.telemetry.logging import redact_text
from latchstring.worker.wake_event import WakeEvent

DRAIN_SECONDS = 5  # for open requests; the rest of the ten seconds of the contract is for the worker to finish its mail
LAME_DUCK_SECONDS = 0.5  # from SIGTERM until the socket is closed
KEEP_ALIVE_SECONDS = 65  # longer than proxies keep idle connections, so that the proxy closes them first


class Server(uvicorn.Server):
    """uvicorn that calls back when it is ready and when it begins to drain, and exits with status 0 on SIGTERM."""

    def __init__(self, app: Application, *, on_ready: Callable[[], None], on_drain: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # our own middleware reads the client address, from trusted proxies only
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
            tune_garbage_collection()
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_drain()
        # accepted connections with unread requests would be cut off; new requests are still answered meanwhile
        await asyncio.sleep(LAME_DUCK_SECONDS)
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals without raising them again, as uvicorn does: an orderly end would look like a crash."""
        previous_handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in previous_handlers:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)


def run_server(
    config: Config,
    server_socket: socket.socket,
    *,
    with_worker: bool,
    announce: Callable[[], None],
    inherited: InheritedDescriptors | None = None,
) -> None:
    """Serve on the socket until SIGTERM. Raises as open_services does, before the first request is accepted."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, server_socket, with_worker=with_worker, announce=announce, inherited=inherited))


async def _serve(
    config: Config,
    server_socket: socket.socket,
    *,
    with_worker: bool,
    announce: Callable[[], None],
    inherited: InheritedDescriptors | None,
) -> None:
    wake_event, stop = WakeEvent(), asyncio.Event()
    access_log = AccessLog(redact=redact_text)
    async with open_services(config, wake_event=wake_event) as services:
        app = create_app(config, _lifespan(services, wake_event, stop, with_worker=with_worker), access_log=access_log)
        server = Server(app, on_ready=announce, on_drain=stop.set)
        if inherited is not None:
            inherited.follow_parent()
        await server.serve(sockets=[server_socket])
        access_log.flush()


@asynccontextmanager
async def _lifespan(
    services: Services, wake_event: WakeEvent, stop: asyncio.Event, *, with_worker: bool
) -> AsyncIterator[Services]:
    """Run the worker with the application. The services are open already, so that their errors end the process."""
    if not with_worker:
        yield services
        return
    async with running_worker(services, wake_event, stop):
        yield services
