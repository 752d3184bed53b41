"""The bell that says there is mail."""

import asyncio
import contextlib


class Notifiable:
    """One listener's ear. Only to be used on the event loop."""

    def __init__(self) -> None:
        self._here = asyncio.Event()

    def set_here(self) -> None:
        """Look again."""
        self._here.set()

    async def wait(self, seconds: float) -> bool:
        """Return at the next ring, or one that nobody has heard yet, or after this time. Whether it rang."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._here.wait()
        rang = self._here.is_set()
        self._here.clear()
        return rang


class WakeEvent(Notifiable):
    """Rung after a commit; the workers of this process hear it at once, those of others through `rung`.

    Ringing is cheap and loses nothing: whoever is late finds everything by polling. jobs: the ear of who works on jobs,
    beside the mail worker's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rung = asyncio.Event()  # what other processes are still to be told
        self.jobs = Notifiable()

    def ring(self) -> None:
        """Something was committed in this process."""
        self.set_here()
        self.rung.set()

    def set_here(self) -> None:
        """Look again, without telling anybody else."""
        super().set_here()
        self.jobs.set_here()
