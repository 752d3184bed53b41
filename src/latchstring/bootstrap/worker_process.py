"""One process that sends mail and tidies up, and serves nobody."""

import asyncio
import signal
from collections.abc import Callable

import uvloop

from latchstring.bootstrap.garbage_collection import settle_memory
from latchstring.bootstrap.services import open_services, work_until
from latchstring.bootstrap.supervisor import InheritedSockets
from latchstring.config import Config
from latchstring.worker.wake_event import WakeEvent


def run_worker_process(
    config: Config, *, announce: Callable[[], None], inherited: InheritedSockets | None = None
) -> None:
    """Work until SIGTERM. Raises KeyProblem, StartRefused, StorageUnreachable."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(config, announce, inherited))


async def _work(config: Config, announce: Callable[[], None], inherited: InheritedSockets | None) -> None:
    wake_event, stop = WakeEvent(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with open_services(config, wake_event=wake_event) as services:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if inherited is not None:
            inherited.follow_parent()
        settle_memory()
        announce()
        await work_until(services, wake_event, stop)
