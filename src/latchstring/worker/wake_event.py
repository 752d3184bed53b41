"""Wake-ups of the workers after a commit with mail or jobs."""

import asyncio
import contextlib


class Notifiable:
    """An event that one worker waits for. Use it on the event loop only."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify_local(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a notification, or take a pending one. Returns False after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        was_notified = self._event.is_set()
        self._event.clear()
        return was_notified


class WakeEvent(Notifiable):
    """Notified after a commit. Wakes the workers of this process now, those of others through `notify_requested`.

    A lost notification is harmless, because workers poll. This event itself wakes the mail worker; jobs: wakes the job
    worker.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notify_requested = asyncio.Event()  # other processes have to be notified
        self.jobs = Notifiable()

    def notify(self) -> None:
        """Wake the workers of all processes, after a commit in this process."""
        self.notify_local()
        self.notify_requested.set()

    def notify_local(self) -> None:
        """Wake the workers of this process only."""
        super().notify_local()
        self.jobs.notify_local()
