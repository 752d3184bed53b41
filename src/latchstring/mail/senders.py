"""Handing mails over: what a sender is, what can become of a try, and the two senders that need no server."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from latchstring.mail.render import RenderedMail

Compose = Callable[[], Awaitable[RenderedMail]]
OnDataSent = Callable[[], None]
NO_LIMIT = 1 << 30


class DeliveryResult(Enum):
    """What became of one try, as far as the sender can tell."""

    TAKEN = auto()  # the server has it
    LATER = auto()  # a temporary refusal, a cut line or silence: this mail again, after its own back-off
    NO_RECIPIENT = auto()  # refused for good at RCPT
    REFUSED = auto()  # refused for good at DATA or the final dot
    TROUBLE = auto()  # refused before RCPT: the installation's trouble, not this mail's
    NOT_ATTEMPTED = auto()  # no try was made; the mail has lost nothing
    OFF = auto()  # mail is switched off


@dataclass(frozen=True, slots=True)
class SendAttempt:
    """The end of one try. reply: the server's own words, None where it said nothing."""

    result: DeliveryResult
    reply: str | None = None
    again_in: timedelta | None = None  # for NOT_ATTEMPTED: when a try may make sense


class Sender(Protocol):
    """Takes mails out of the house."""

    def capacity(self) -> int:
        """How many mails may be under way at this moment; 0 while its server is given a rest."""

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:
        """Send one mail.

        compose is called as late as possible, when a connection stands ready; what it raises passes through.
        at_dot is called when everything is said and only the server's last word is awaited, which may take minutes.
        """

    async def tidy(self) -> None:
        """Called every few seconds: let go of what has been idle."""

    async def close(self) -> None:
        """Say good-bye to the server."""


class OffSender:
    """Mail is switched off: what is still queued is told so."""

    def capacity(self) -> int:
        return NO_LIMIT

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:  # noqa: ARG002  # the protocol's signature
        return SendAttempt(DeliveryResult.OFF)

    async def tidy(self) -> None:
        return None

    async def close(self) -> None:
        return None


class MailboxSender:
    """Keeps each mail as a file for development. The files hold links, so only their owner may read them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def capacity(self) -> int:
        return NO_LIMIT

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:
        mail = await compose()
        on_data_sent()
        await asyncio.to_thread(self._keep, mail)
        return SendAttempt(DeliveryResult.TAKEN)

    async def tidy(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _keep(self, mail: RenderedMail) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{mail.id}.eml"  # a second try writes the same file
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(mail.content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
