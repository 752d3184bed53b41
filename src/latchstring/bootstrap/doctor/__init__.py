"""Checks an installation for everything that can be wrong. Changes and sends nothing.

The command line and the panel call the same function.
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
from latchstring.domain.views.health import Finding, HealthReport, warning

CACHE_LIFETIME = timedelta(seconds=10)
CHECK_TIMEOUT_SECONDS = 12.0  # for each check; its steps have shorter timeouts of their own


async def check_everything(config: Config) -> list[Finding]:
    """Run every check. Never raises, and ends within seconds. Findings about this machine come first."""
    key_findings, keyring = check_key(config)
    checks = (
        _with_timeout("mail templates", asyncio.to_thread(check_templates, config)),
        _with_timeout("database", check_database(config, keyring)),
        _with_timeout("mail", check_mail(config.mail)),
        _with_timeout("public-url", check_public_url(config)),
    )
    groups = await asyncio.gather(*checks)
    return [*check_configuration(config), *key_findings, *(finding for group in groups for finding in group)]


async def _with_timeout(name: str, check: Coroutine[Any, Any, Sequence[Finding]]) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check
    except TimeoutError:
        return [warning(name, f"No answer within {CHECK_TIMEOUT_SECONDS:.0f} seconds.", "Check its load and log.")]


class Doctor:
    """The checks for a running server: one run at a time, cached for ten seconds, as it connects to other machines."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._task: asyncio.Task[HealthReport] | None = None

    async def __call__(self) -> HealthReport:
        """The cached report, the one of a run in progress, or a new one."""
        if self._task is None or (self._task.done() and not self._is_fresh(self._task)):
            self._task = asyncio.create_task(self._run(), name="health")
        return await asyncio.shield(self._task)

    async def _run(self) -> HealthReport:
        return HealthReport(await check_everything(self._config), self._clock())

    def _is_fresh(self, task: "asyncio.Task[HealthReport]") -> bool:
        if task.cancelled() or task.exception() is not None:
            return False
        return self._clock() - task.result().checked_at < CACHE_LIFETIME
