"""Runs several processes of one command: starts them together, restarts one that dies, and ends them together.

Each child has the read end of a pipe whose write end only the parent has. When the parent ends, for whatever reason,
the pipe closes and the children end, so that no orphan keeps the port.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

DRAIN_SECONDS = 9.5  # the ten seconds of the contract, less the time to react
RESTART_SECONDS = 1.0
log = structlog.get_logger(__name__)


class ProcessGroup:
    """N processes of a command. `run` returns 0 after SIGTERM or SIGINT, or the status of a child that failed."""

    def __init__(
        self,
        arguments: Sequence[str],
        count: int,
        *,
        announce: Callable[[], None],
        pass_fds: Sequence[int] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        if "--inherit" in arguments:
            raise ValueError("a child process must not start children")
        self._command = [sys.executable, "-m", "latchstring", *arguments]
        self._count = count
        self._announce = announce
        self._pass_fds = tuple(pass_fds)
        self._env = env
        self._running: set[asyncio.subprocess.Process] = set()
        self._stop = asyncio.Event()
        self._ready = 0
        self._status = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        parent_read, parent_write = os.pipe()
        ready_read, ready_write = os.pipe()
        loop.add_reader(ready_read, self._count_ready, ready_read)
        try:
            tasks = [asyncio.create_task(self._keep_running(parent_read, ready_write)) for _ in range(self._count)]
            await self._stop.wait()
            await self._end_all(tasks)
        finally:
            loop.remove_reader(ready_read)
            for descriptor in (parent_read, parent_write, ready_read, ready_write):
                os.close(descriptor)
        return self._status

    def _count_ready(self, ready_read: int) -> None:
        before = self._ready
        self._ready += len(os.read(ready_read, 64))
        if before < self._count <= self._ready:
            self._announce()

    async def _keep_running(self, parent_read: int, ready_write: int) -> None:
        inherit = ",".join(str(number) for number in (parent_read, ready_write, *self._pass_fds))
        while not self._stop.is_set():
            process = await asyncio.create_subprocess_exec(
                *self._command,
                "--inherit",
                inherit,
                pass_fds=(parent_read, ready_write, *self._pass_fds),
                env=self._env,
                start_new_session=True,  # Ctrl-C reaches the parent only, which then ends the children
            )
            self._running.add(process)
            status = await process.wait()
            self._running.discard(process)
            self._forget_metrics(process.pid)
            if not self._stop.is_set():
                await self._handle_exit(process.pid, status)

    async def _handle_exit(self, pid: int, status: int) -> None:
        """Handle a child that ended by itself: give up if not all were ready yet, else wait before it is restarted."""
        if self._ready < self._count:
            self._status = status if status > 0 else 1
            self._stop.set()
            return
        log.error("process ended unexpectedly, starting another", pid=pid, status=status)
        await asyncio.sleep(RESTART_SECONDS)

    async def _end_all(self, tasks: list["asyncio.Task[None]"]) -> None:
        for process in self._running:
            process.terminate()
        _, pending = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
        for process in self._running if pending else ():
            process.kill()
        await asyncio.wait(tasks)

    def _forget_metrics(self, pid: int) -> None:
        folder = (self._env or {}).get("PROMETHEUS_MULTIPROC_DIR")
        for file in Path(folder).glob(f"gauge_live*_{pid}.db") if folder else ():
            file.unlink(missing_ok=True)


class InheritedDescriptors:
    """The file descriptors that a child inherits: pipes to watch the parent and to report "ready", a socket if any."""

    def __init__(self, descriptors: str) -> None:
        self.parent_read, self.ready_write, *others = (int(number) for number in descriptors.split(","))
        self.server_socket = others[0] if others else None

    def follow_parent(self) -> None:
        """Send this process SIGTERM when the parent has ended. Needs a running loop."""
        loop = asyncio.get_running_loop()

        def end_process() -> None:
            loop.remove_reader(self.parent_read)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(self.parent_read, end_process)

    def report_ready(self) -> None:
        os.write(self.ready_write, b".")
