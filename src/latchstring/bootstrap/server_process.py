"""One serving process: uvicorn around the app, told to us when it is ready, ended within ten seconds of SIGTERM."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager

import uvicorn
import uvloop

from latchstring.bootstrap.application import create_app
from latchstring.bootstrap.garbage_collection import settle_memory
from latchstring.bootstrap.services import open_services, working
from latchstring.bootstrap.supervisor import InheritedSockets
from latchstring.config import Config
from latchstring.http.access_log import AccessLog
from latchstring.http.application import Application
from latchstring.services import Services
from latchstring.telemetry.logging import redact_text
from latchstring.worker.wake_event import WakeEvent

DRAIN_SECONDS = 5  # for answers under way; what is left of the contract's ten is for the worker's last mail
LAME_DUCK_SECONDS = 0.5  # from SIGTERM to the closed door
KEEP_ALIVE_SECONDS = 65  # longer than proxies keep their idle connections, so that they end first


class Server(uvicorn.Server):
    """uvicorn that says when it is ready and when it begins to drain, and ends with status 0 on SIGTERM."""

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
                proxy_headers=False,  # only the client address is read from them, from trusted proxies only
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
            settle_memory()
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_drain()
        # who has connected but was not read yet would be cut off; who comes now is still answered
        await asyncio.sleep(LAME_DUCK_SECONDS)
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


def run_server(
    config: Config,
    bound: socket.socket,
    *,
    with_worker: bool,
    announce: Callable[[], None],
    inherited: InheritedSockets | None = None,
) -> None:
    """Serve on the socket until SIGTERM. Raises what open_services raises, before anybody is served."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, bound, with_worker=with_worker, announce=announce, inherited=inherited))


async def _serve(
    config: Config,
    bound: socket.socket,
    *,
    with_worker: bool,
    announce: Callable[[], None],
    inherited: InheritedSockets | None,
) -> None:
    wake_event, stop = WakeEvent(), asyncio.Event()
    access_log = AccessLog(redact=redact_text)
    async with open_services(config, wake_event=wake_event) as services:
        app = create_app(config, _lifespan(services, wake_event, stop, with_worker=with_worker), access_log=access_log)
        server = Server(app, on_ready=announce, on_drain=stop.set)
        if inherited is not None:
            inherited.follow_parent()
        await server.serve(sockets=[bound])
        access_log.flush()


@asynccontextmanager
async def _lifespan(
    services: Services, wake_event: WakeEvent, stop: asyncio.Event, *, with_worker: bool
) -> AsyncIterator[Services]:
    """The services are open already, so that a refusal to start speaks for itself; only the worker comes and goes."""
    if not with_worker:
        yield services
        return
    async with working(services, wake_event, stop):
        yield services
