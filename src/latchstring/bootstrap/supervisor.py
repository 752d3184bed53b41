"""Several processes of one command: started together, started again when one dies, ended together.

Each holds the reading end of a pipe whose other end only the parent has. When the parent is gone, however it went, the
pipe ends, and so do they: nobody is left behind holding the port.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

DRAIN_SECONDS = 9.5  # the contract's ten, less the time to notice
RESTART_SECONDS = 1.0
log = structlog.get_logger(__name__)


class ProcessGroup:
    """N copies of a command. `run` returns the exit status: 0 after a wished end, a child's if none could start."""

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
            raise ValueError("a child has no children: this would not end")
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
        life_end, life = os.pipe()
        ready, ready_end = os.pipe()
        loop.add_reader(ready, self._count_ready, ready)
        try:
            keepers = [asyncio.create_task(self._keep(life_end, ready_end)) for _ in range(self._count)]
            await self._stop.wait()
            await self._end(keepers)
        finally:
            loop.remove_reader(ready)
            for descriptor in (life_end, life, ready, ready_end):
                os.close(descriptor)
        return self._status

    def _count_ready(self, ready: int) -> None:
        before = self._ready
        self._ready += len(os.read(ready, 64))
        if before < self._count <= self._ready:
            self._announce()

    async def _keep(self, life_end: int, ready_end: int) -> None:
        inherit = ",".join(str(number) for number in (life_end, ready_end, *self._pass_fds))
        while not self._stop.is_set():
            process = await asyncio.create_subprocess_exec(
                *self._command,
                "--inherit",
                inherit,
                pass_fds=(life_end, ready_end, *self._pass_fds),
                env=self._env,
                start_new_session=True,  # Ctrl-C reaches the parent only, which then ends them in order
            )
            self._running.add(process)
            status = await process.wait()
            self._running.discard(process)
            self._forget_metrics(process.pid)
            if not self._stop.is_set():
                await self._lost(process.pid, status)

    async def _lost(self, pid: int, status: int) -> None:
        """A child ended by itself: before anybody was ready that is the answer, later it is an accident."""
        if self._ready < self._count:
            self._status = status if status > 0 else 1
            self._stop.set()
            return
        log.error("process ended unexpectedly, starting another", pid=pid, status=status)
        await asyncio.sleep(RESTART_SECONDS)

    async def _end(self, keepers: list["asyncio.Task[None]"]) -> None:
        for process in self._running:
            process.terminate()
        _, late = await asyncio.wait(keepers, timeout=DRAIN_SECONDS)
        for process in self._running if late else ():
            process.kill()
        await asyncio.wait(keepers)

    def _forget_metrics(self, pid: int) -> None:
        folder = (self._env or {}).get("PROMETHEUS_MULTIPROC_DIR")
        for file in Path(folder).glob(f"gauge_live*_{pid}.db") if folder else ():
            file.unlink(missing_ok=True)


class InheritedSockets:
    """What a child was handed: the parent's life line, where to say "ready", and the listening socket."""

    def __init__(self, text: str) -> None:
        self.life, self.ready, *others = (int(number) for number in text.split(","))
        self.listening = others[0] if others else None

    def follow_parent(self) -> None:
        """End this process in order when the parent is gone. Needs a running loop."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self.life)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(self.life, gone)

    def say_ready(self) -> None:
        os.write(self.ready, b".")
