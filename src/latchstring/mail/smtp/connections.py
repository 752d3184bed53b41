"""A pool of connections to a mail server."""

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

MAX_CONNECTIONS = 40  # Postfix allows 50 per client
MAX_MAILS = 100  # per connection; many servers close the connection after 100
MAX_IDLE_SECONDS = 8.0  # well below the timeouts of servers
REDUCED_SECONDS = 60.0  # how long the limit stays reduced after the server refused a connection


class ConnectionFailed(Exception):
    """No connection was available, which does not count as an attempt. again_in: when to try again."""

    def __init__(self, again_in: timedelta) -> None:
        super().__init__(again_in)
        self.again_in = again_in


class ConnectionRefused(Exception):
    """The server could not be reached or refused us: connect, greeting, TLS, AUTH. Chained to the cause."""


class Connection:
    """A greeted, encrypted and signed-in connection."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.mails = 0
        self.idle_since = 0.0
        self.is_usable = True  # False during a mail; an aborted mail leaves it False

    @property
    def is_fresh(self) -> bool:
        return self.mails == 0

    @property
    def is_reusable(self) -> bool:
        return self.is_usable and self.client.is_connected and self.mails < MAX_MAILS


class Connections:
    """Lends connections, idle ones first. While none is established, one caller connects and all others wait."""

    def __init__(self, settings: SmtpSettings, circuit: Circuit, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._circuit = circuit
        self._clock = clock
        self._idle: list[Connection] = []
        self._open = 0  # connecting, in use and idle
        self._established = 0  # in use and idle
        self._connect_lock = asyncio.Lock()
        self._limit = MAX_CONNECTIONS
        self._reduced_until = 0.0
        self._tls = _tls_context() if settings.tls != "none" else None

    @property
    def limit(self) -> int:
        """The number of connections that the server seems to allow."""
        if self._clock() >= self._reduced_until:
            self._limit = MAX_CONNECTIONS
        return self._limit

    @asynccontextmanager
    async def acquire(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """Acquire a connection for one mail, and return it at the end of the context.

        Raises ConnectionRefused in the caller that tried to connect, ConnectionFailed in those that waited for it.
        """
        connection = None if fresh else self._take_idle()
        if connection is None:
            connection = await self._open_or_wait()
        try:
            yield connection
        finally:
            self._return(connection)

    async def close_idle(self) -> None:
        """Close connections that were idle for too long."""
        oldest = self._clock() - MAX_IDLE_SECONDS
        stale = [
            connection for connection in self._idle if connection.idle_since < oldest or not connection.is_reusable
        ]
        self._idle = [connection for connection in self._idle if connection not in stale]
        await asyncio.gather(*(self._quit(connection) for connection in stale))

    async def close(self) -> None:
        """Close every idle connection with QUIT."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(self._quit(connection) for connection in idle))

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
            self._drop(connection)
        return None

    def _return(self, connection: Connection) -> None:
        connection.mails += 1
        if connection.is_reusable:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._open -= 1
        self._established -= 1
        connection.client.close()

    async def _quit(self, connection: Connection) -> None:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            if connection.client.is_connected:
                await connection.client.quit(timeout=2)
        self._drop(connection)

    async def _open_or_wait(self) -> Connection:
        if not self._established:
            async with self._connect_lock:
                if not self._established:
                    if cooldown := self._circuit.cooldown_left():
                        raise ConnectionFailed(cooldown)
                    return await self._connect()
        return self._take_idle() or await self._connect()

    async def _connect(self) -> Connection:
        if self._open >= self.limit:
            raise ConnectionFailed(timedelta(seconds=1))
        self._open += 1
        client = self._new_client()
        try:
            await client.connect()
            await greet(client)  # here, so that a refusal counts as a refused connection
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self._open -= 1
            client.close()
            self._handle_refusal()
            raise ConnectionRefused from error
        except BaseException:
            self._open -= 1
            client.close()
            raise
        self._established += 1
        return Connection(client)

    def _handle_refusal(self) -> None:
        if not self._established:
            self._circuit.report_failure()
            return
        # other connections are established: the server allows no more
        self._limit, self._reduced_until = self._established, self._clock() + REDUCED_SECONDS
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
    """Return the name for EHLO: the host name, as looking up the qualified one may be slow and few servers check it."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
