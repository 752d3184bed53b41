"""The bell that says there is mail."""

import asyncio
import contextlib


class Bell:
    """One listener's ear. Only to be used on the event loop."""

    def __init__(self) -> None:
        self._here = asyncio.Event()

    def ring_here(self) -> None:
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


class Wake(Bell):
    """Rung after a commit; the workers of this process hear it at once, those of others through `rung`.

    Ringing is cheap and loses nothing: whoever is late finds everything by polling. jobs: the ear of who works on jobs,
    beside the mail worker's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rung = asyncio.Event()  # what other processes are still to be told
        self.jobs = Bell()

    def ring(self) -> None:
        """Something was committed in this process."""
        self.ring_here()
        self.rung.set()

    def ring_here(self) -> None:
        """Look again, without telling anybody else."""
        super().ring_here()
        self.jobs.ring_here()
