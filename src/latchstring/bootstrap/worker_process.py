"""One worker process: it sends mail and runs the sweeps, and serves no requests."""

import asyncio
import signal
from collections.abc import Callable

import uvloop

from latchstring.bootstrap.garbage_collection import tune_garbage_collection
from latchstring.bootstrap.services import open_services, run_worker_until
from latchstring.bootstrap.supervisor import InheritedDescriptors
from latchstring.config import Config
from latchstring.worker.wake_event import WakeEvent


def run_worker_process(
    config: Config, *, announce: Callable[[], None], inherited: InheritedDescriptors | None = None
) -> None:
    """Run the worker until SIGTERM. Raises KeyProblem, StartRefused, StorageUnreachable."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(config, announce, inherited))


async def _run(config: Config, announce: Callable[[], None], inherited: InheritedDescriptors | None) -> None:
    wake_event, stop = WakeEvent(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with open_services(config, wake_event=wake_event) as services:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if inherited is not None:
            inherited.follow_parent()
        tune_garbage_collection()
        announce()
        await run_worker_until(services, wake_event, stop)
