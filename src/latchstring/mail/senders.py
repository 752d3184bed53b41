"""The interface of senders, the results of an attempt, and the two senders without a server."""

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
    """The result of an attempt, as far as the sender can tell."""

    ACCEPTED = auto()  # accepted by the server
    TEMPORARY_FAILURE = (
        auto()
    )  # a temporary refusal, a lost connection or a timeout: retry this mail after its own back-off
    NO_RECIPIENT = auto()  # permanent refusal at RCPT
    REFUSED = auto()  # permanent refusal at DATA or the final dot
    SERVER_ERROR = auto()  # refused before RCPT: a problem of the installation, not of this mail
    NOT_ATTEMPTED = auto()  # no attempt was made, and none is counted
    OFF = auto()  # mail is switched off


@dataclass(frozen=True, slots=True)
class SendAttempt:
    """The outcome of an attempt. reply: the server's reply, None without one."""

    result: DeliveryResult
    reply: str | None = None
    again_in: timedelta | None = None  # for NOT_ATTEMPTED: when to try again


class Sender(Protocol):
    """Sends mails."""

    def capacity(self) -> int:
        """Return how many mails may be in flight now; 0 while the circuit breaker is open."""

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:
        """Send a mail.

        compose: called as late as possible, when a connection is ready; its exceptions propagate. on_data_sent: called
        when all data is sent and only the server's final reply is missing, which may take minutes.
        """

    async def close_idle(self) -> None:
        """Close idle connections. Called every few seconds."""

    async def close(self) -> None:
        """Close all connections."""


class OffSender:
    """The sender when mail is switched off. Queued mails get the result OFF."""

    def capacity(self) -> int:
        return NO_LIMIT

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:  # noqa: ARG002  # the protocol's signature
        return SendAttempt(DeliveryResult.OFF)

    async def close_idle(self) -> None:
        return None

    async def close(self) -> None:
        return None


class MailboxSender:
    """Stores each mail as a file, for development. The files contain links, so only their owner may read them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def capacity(self) -> int:
        return NO_LIMIT

    async def send(self, compose: Compose, *, on_data_sent: OnDataSent) -> SendAttempt:
        mail = await compose()
        on_data_sent()
        await asyncio.to_thread(self._keep, mail)
        return SendAttempt(DeliveryResult.ACCEPTED)

    async def close_idle(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _keep(self, mail: RenderedMail) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{mail.id}.eml"  # another attempt writes the same file
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(mail.content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
