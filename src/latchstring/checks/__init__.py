"""Everything that can be wrong with an installation. Nothing is changed and nothing is sent.

The command line and the panel ask the same function.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from latchstring.checks.local import check_configuration, check_database, check_key
from latchstring.checks.network import check_mail, check_public_url
from latchstring.checks.templates import check_templates
from latchstring.config import Config
from latchstring.domain.health import Finding, doubtful

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
