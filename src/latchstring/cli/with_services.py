"""Runs a command with open services."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from latchstring.bootstrap.services import open_services
from latchstring.cli.configuration import read_config
from latchstring.cli.refusals import expected_failures
from latchstring.config import Config
from latchstring.services import Services
from latchstring.telemetry.logging import configure_logging

T = TypeVar("T")


def with_services(action: Callable[[Services], Awaitable[T]], *, config: Config | None = None) -> T:
    """Open the services, run the action, and close them. A server may run at the same time."""
    settings = config or read_config()
    configure_logging(level="WARNING")

    async def run() -> T:
        async with open_services(settings, short_lived=True) as services:
            return await action(services)

    with expected_failures():
        return asyncio.run(run())
