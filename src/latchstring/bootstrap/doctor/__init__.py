"""Everything that can be wrong with an installation. Nothing is changed and nothing is sent.

The command line and the panel ask the same function.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

from latchstring.bootstrap.doctor.local import check_configuration, check_database, check_key
from latchstring.bootstrap.doctor.network import check_mail, check_public_url
from latchstring.bootstrap.doctor.templates import check_templates
from latchstring.config import Config
from latchstring.domain.clock import Clock
from latchstring.domain.views.health import Finding, HealthReport, doubtful

FRESH_FOR = timedelta(seconds=10)
PATIENCE_SECONDS = 12.0  # for each part; each of its steps has a shorter one of its own


async def check_everything(config: Config) -> list[Finding]:
    """The findings of every check, those of this machine first. Never raises, and ends within seconds."""
    of_key, keyring = check_key(config)
    parts = (
        _within("mail templates", asyncio.to_thread(check_templates, config)),
        _within("database", check_database(config, keyring)),
        _within("mail", check_mail(config.mail)),
        _within("public-url", check_public_url(config)),
    )
    groups = await asyncio.gather(*parts)
    return [*check_configuration(config), *of_key, *(finding for group in groups for finding in group)]


async def _within(name: str, check: Coroutine[Any, Any, Sequence[Finding]]) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await check
    except TimeoutError:
        return [doubtful(name, f"No answer within {PATIENCE_SECONDS:.0f} seconds.", "Look at its load and its log.")]


class Doctor:
    """Examines for a running server: one examination at a time, kept for a moment, because it asks other machines."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._last: asyncio.Task[HealthReport] | None = None

    async def __call__(self) -> HealthReport:
        """The findings of a moment ago, of the examination under way, or of a new one."""
        if self._last is None or (self._last.done() and not self._is_fresh(self._last)):
            self._last = asyncio.create_task(self._examine(), name="health")
        return await asyncio.shield(self._last)

    async def _examine(self) -> HealthReport:
        return HealthReport(await check_everything(self._config), self._clock())

    def _is_fresh(self, task: "asyncio.Task[HealthReport]") -> bool:
        if task.cancelled() or task.exception() is not None:
            return False
        return self._clock() - task.result().checked_at < FRESH_FOR
