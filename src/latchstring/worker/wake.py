"""The bell that says there is mail."""

import asyncio
import contextlib


class Wake:
    """Rung after a commit; the mail worker of this process hears it at once, those of others through `rung`.

    Only to be used on the event loop. Ringing is cheap and loses nothing: whoever is late finds everything by polling.
    """

    def __init__(self) -> None:
        self._here = asyncio.Event()
        self.rung = asyncio.Event()  # what other processes are still to be told

    def ring(self) -> None:
        """Something was committed in this process."""
        self._here.set()
        self.rung.set()

    def ring_here(self) -> None:
        """Look again, without telling anybody else."""
        self._here.set()

    async def wait(self, seconds: float) -> bool:
        """Return at the next ring, or one that nobody has heard yet, or after this time. Whether it rang."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._here.wait()
        rang = self._here.is_set()
        self._here.clear()
        return rang
