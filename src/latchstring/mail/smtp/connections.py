"""A small pool of connections to one mail server."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import aiosmtplib

from latchstring.domain.settings import SmtpSettings
from latchstring.mail.smtp.circuit_breaker import Circuit
from latchstring.mail.smtp.protocol import greet

MOST_CONNECTIONS = 40  # Postfix gives one client 50
MOST_MAILS = 100  # on one connection; many servers hang up there
LONGEST_IDLE = 8.0  # seconds; well below what servers grant
CROWDED_FOR = 60.0  # seconds we do with fewer connections after the server refused one more


class ConnectionFailed(Exception):
    """No connection was to be had, and this mail is not to blame. again_in: when to ask again."""

    def __init__(self, again_in: timedelta) -> None:
        super().__init__(again_in)
        self.again_in = again_in


class ConnectionRefused(Exception):
    """The server could not be reached or did not let us in: connect, greeting, TLS, AUTH. Chained to the cause."""


class Connection:
    """A greeted, encrypted and signed-in connection."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.mails = 0
        self.idle_since = 0.0
        self.is_fit = True  # False: within a mail, or left in the middle of one; it must not be used again

    @property
    def is_fresh(self) -> bool:
        return self.mails == 0

    @property
    def can_go_on(self) -> bool:
        return self.is_fit and self.client.is_connected and self.mails < MOST_MAILS


class Connections:
    """Lends connections, used ones first. While none stands, one caller alone tries the door and all others wait."""

    def __init__(self, settings: SmtpSettings, circuit: Circuit, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._circuit = circuit
        self._clock = clock
        self._idle: list[Connection] = []
        self._open = 0  # being made, lent and idle
        self._standing = 0  # lent and idle
        self._door = asyncio.Lock()
        self._most = MOST_CONNECTIONS
        self._crowded_until = 0.0
        self._tls = _tls_context() if settings.tls != "none" else None

    @property
    def most(self) -> int:
        """How many connections the server seems to allow."""
        if self._clock() >= self._crowded_until:
            self._most = MOST_CONNECTIONS
        return self._most

    @asynccontextmanager
    async def lend(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """A connection for one mail.

        Raises ConnectionRefused to the caller that tried to connect, ConnectionFailed to those that waited for it.
        """
        connection = None if fresh else self._take_idle()
        if connection is None:
            connection = await self._enter()
        try:
            yield connection
        finally:
            self._give_back(connection)

    async def tidy(self) -> None:
        """Close what has been idle for long."""
        oldest = self._clock() - LONGEST_IDLE
        stale = [one for one in self._idle if one.idle_since < oldest or not one.can_go_on]
        self._idle = [one for one in self._idle if one not in stale]
        await asyncio.gather(*(self._leave(one) for one in stale))

    async def close(self) -> None:
        """Leave every idle connection politely."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(self._leave(one) for one in idle))

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.can_go_on:
                return connection
            self._drop(connection)
        return None

    def _give_back(self, connection: Connection) -> None:
        connection.mails += 1
        if connection.can_go_on:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._open -= 1
        self._standing -= 1
        connection.client.close()

    async def _leave(self, connection: Connection) -> None:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            if connection.client.is_connected:
                await connection.client.quit(timeout=2)
        self._drop(connection)

    async def _enter(self) -> Connection:
        if not self._standing:
            async with self._door:
                if not self._standing:
                    if rest := self._circuit.rest_left():
                        raise ConnectionFailed(rest)
                    return await self._connect()
        return self._take_idle() or await self._connect()

    async def _connect(self) -> Connection:
        if self._open >= self.most:
            raise ConnectionFailed(timedelta(seconds=1))
        self._open += 1
        client = self._new_client()
        try:
            await client.connect()
            await greet(client)  # here, so that a refusal counts as the door's
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self._open -= 1
            client.close()
            self._judge_refusal()
            raise ConnectionRefused from error
        except BaseException:
            self._open -= 1
            client.close()
            raise
        self._standing += 1
        return Connection(client)

    def _judge_refusal(self) -> None:
        if not self._standing:
            self._circuit.report_trouble()
            return
        # others are inside: the server wants no more of us at once
        self._most, self._crowded_until = self._standing, self._clock() + CROWDED_FOR
        raise ConnectionFailed(timedelta(seconds=2))

    def _new_client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            local_hostname=_own_name(),
            tls_context=self._tls,
            timeout=settings.timeout.total_seconds(),
        )


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _own_name() -> str:
    """The name for EHLO. Not the qualified one: finding it may wait long for a name server, and few servers care."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
