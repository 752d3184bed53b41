"""A scripted SMTP server: it accepts mail, rejects it at any step, answers late, or disconnects.

ScriptedServer runs in the event loop of a test. SmtpServer runs one in a thread, for processes that tests start.
"""

import asyncio
import contextlib
import re
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from urllib.parse import unquote

from tests.support.clock import PATIENCE_SECONDS

ANY_RECIPIENT = "*"
DISCONNECT = "cut"  # close the connection instead of replying
ACCEPT_AND_DISCONNECT = "take and cut"  # after the data: accept the mail, and close the connection instead of replying
HANG = "hang"  # never reply
LINK = re.compile(r"[?&]token=([^\s&\"'<>)]+)")
EXTENSIONS = ("8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 20000000")
MAX_LINE_BYTES = 1 << 22

Decide = Callable[[str, str], str | None]


@dataclass(frozen=True)
class ReceivedMail:
    """A mail that the server accepted."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    received_at: float  # time.monotonic()
    session: int

    @property
    def recipient(self) -> str:
        return self.recipients[0]

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default_policy)

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None, "no text part"
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None, "no HTML part"
        return str(part.get_content())

    @property
    def token(self) -> str:
        match = LINK.search(self.text)
        assert match, f"no token= in {self.text[:500]}"
        return unquote(match[1])

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"]).strip()


@dataclass
class ScriptedServer:
    """A mail server that sends the scripted replies of each step in turn, and afterwards accepts everything.

    Steps: connect, ehlo, starttls, auth, mail, rcpt, data, and dot, the end of the data. A reply may be DISCONNECT,
    HANG or, at dot, ACCEPT_AND_DISCONNECT. A reply of decide(step, argument) comes first; the argument of data and
    dot is the recipient.
    """

    replies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    received: list[ReceivedMail] = field(default_factory=list)
    attempts: list[tuple[str, float]] = field(default_factory=list)  # recipient and time.monotonic() of each RCPT
    commands: list[str] = field(default_factory=list)
    sessions: int = 0
    open: int = 0
    max_open: int = 0
    extensions: tuple[str, ...] = EXTENSIONS
    decide: Decide = lambda _step, _argument: None
    reply_delays: dict[str, float] = field(default_factory=dict)  # seconds before the reply to the data of a recipient
    held_recipients: set[str] = field(default_factory=set)  # no reply to the data of these until `released`
    released: asyncio.Event = field(default_factory=asyncio.Event)
    on_data_sent: asyncio.Event = field(default_factory=asyncio.Event)
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    mail_received: asyncio.Event = field(default_factory=asyncio.Event)
    tls: ssl.SSLContext | None = None
    port: int = 0

    def recipients(self) -> list[str]:
        return [mail.recipient for mail in self.received]

    async def wait_for(self, count: int) -> list[ReceivedMail]:
        """Return the received mails as soon as there are `count`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.received) < count:
                self.mail_received.clear()
                await self.mail_received.wait()
        return self.received

    async def wait_for_sessions(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.sessions < count:  # noqa: ASYNC110  # no event announces a session
                await asyncio.sleep(0.02)

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.open += 1
        self.max_open = max(self.max_open, self.open)
        try:
            await _SmtpSession(self, reader, writer, self.sessions).run()
        except (ConnectionError, asyncio.IncompleteReadError, _Disconnect):
            pass
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


class _Disconnect(Exception):
    pass


class _SmtpSession:
    def __init__(
        self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.server, self.reader, self.writer, self.number = server, reader, writer, number
        self.sender, self.recipients = "", list[str]()

    @property
    def recipient(self) -> str:
        return self.recipients[0] if self.recipients else ANY_RECIPIENT

    def next_reply(self, step: str, argument: str, default: str) -> str:
        scripted = self.server.replies[step]
        return self.server.decide(step, argument) or (scripted.pop(0) if scripted else default)

    async def send(self, reply: str) -> bool:
        """Send a reply and return whether it is positive. Disconnect after 421 and 221, as servers do."""
        if reply == DISCONNECT:
            raise _Disconnect
        if reply == HANG:
            self.server.hung.set()
            await asyncio.Event().wait()
        self.writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self.writer.drain()
        if reply.startswith(("421", "221")):
            raise _Disconnect
        return reply[0] in "23"

    async def answer(self, step: str, argument: str, default: str) -> bool:
        return await self.send(self.next_reply(step, argument, default))

    async def run(self) -> None:
        if not await self.answer("connect", ANY_RECIPIENT, "220 scripted ESMTP"):
            return
        while line := await self.reader.readline():
            command = line.decode("utf-8", "replace").strip()
            self.server.commands.append(command)
            await self.handle_command(command.split(" ")[0].upper(), command)

    async def handle_command(self, verb: str, command: str) -> None:
        match verb:
            case "EHLO" | "HELO":
                lines = ["scripted", *self.server.extensions]
                greeting = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
                await self.answer("ehlo", command, "\n".join(greeting))
            case "STARTTLS":
                await self.answer("starttls", command, "220 go ahead")
                assert self.server.tls is not None
                await self.writer.start_tls(self.server.tls)
            case "AUTH":
                await self.answer("auth", command, "235 welcome")
            case "MAIL":
                self.sender, self.recipients = _between_brackets(command), []
                await self.answer("mail", self.sender, "250 ok")
            case "RCPT":
                recipient = _between_brackets(command)
                self.server.attempts.append((recipient, time.monotonic()))
                if await self.answer("rcpt", recipient, "250 ok"):
                    self.recipients.append(recipient)
            case "DATA":
                if await self.answer("data", self.recipient, "354 go"):
                    await self.receive_mail()
            case _:
                await self.send("221 bye" if verb == "QUIT" else "250 ok")

    async def receive_mail(self) -> None:
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _Disconnect  # the client disconnected within the data; the mail is not accepted
            lines.append(line[1:] if line.startswith(b"..") else line)
        self.server.on_data_sent.set()
        reply = self.next_reply("dot", self.recipient, "250 2.0.0 taken")
        await asyncio.sleep(self.server.reply_delays.get(self.recipient, 0))
        while self.recipient in self.server.held_recipients:
            self.server.released.clear()
            await self.server.released.wait()
        if reply == ACCEPT_AND_DISCONNECT or reply.startswith("2"):
            mail = ReceivedMail(self.sender, tuple(self.recipients), b"".join(lines), time.monotonic(), self.number)
            self.server.received.append(mail)
            self.server.mail_received.set()
        await self.send(DISCONNECT if reply == ACCEPT_AND_DISCONNECT else reply)


def _between_brackets(command: str) -> str:
    return command[command.find("<") + 1 :].split(">", maxsplit=1)[0]


@asynccontextmanager
async def scripted_server(
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    extensions: tuple[str, ...] = EXTENSIONS,
) -> AsyncIterator[ScriptedServer]:
    """Run a scripted mail server on 127.0.0.1, on a free port by default."""
    server = ScriptedServer(tls=tls, extensions=extensions)
    sessions: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        try:
            await server.serve_client(reader, writer)
        finally:
            sessions.discard(task)

    listening = await asyncio.start_server(
        serve, "127.0.0.1", port, ssl=tls if implicit_tls else None, limit=MAX_LINE_BYTES, backlog=128
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(sessions):
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)


class SmtpServer:
    """A ScriptedServer in a thread.

    Replies are scripted per recipient, so that tests can share a server. The script of ANY_RECIPIENT applies where the
    recipient is not known yet: connect, ehlo and mail.
    """

    def __init__(self, port: int = 0) -> None:
        self._scripts: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port)), daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE_SECONDS), "the mail server does not start"
        self.port = self._server.port
        self.reply_delays = self._server.reply_delays

    async def _serve(self, port: int) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with scripted_server(port=port) as self._server:
            self._server.decide = self._decide
            self._started.set()
            await self._stop.wait()

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def script(self, address: str, step: str, *replies: str) -> None:
        """Add replies that this recipient gets at this step."""
        with self._lock:
            self._scripts[address.lower(), step].extend(replies)

    def _decide(self, step: str, argument: str) -> str | None:
        names = (argument.lower(), ANY_RECIPIENT) if step in {"rcpt", "data", "dot"} else (ANY_RECIPIENT,)
        with self._lock:
            scripts = [script for name in names if (script := self._scripts.get((name, step)))]
            return scripts[0].popleft() if scripts else None

    def hold(self, address: str) -> None:
        """Do not reply to the data of this recipient until `release`."""
        self._server.held_recipients.add(address)

    def release(self, address: str) -> None:
        self._server.held_recipients.discard(address)
        self._loop.call_soon_threadsafe(self._server.released.set)

    def to(self, address: str) -> list[ReceivedMail]:
        """Return the mails received for this address. Upper and lower case differ."""
        return [mail for mail in list(self._server.received) if address in mail.recipients]

    def wait_for(self, address: str, count: int = 1, *, seconds: float = PATIENCE_SECONDS) -> list[ReceivedMail]:
        """Return the mails of an address as soon as there are `count`. Fail after `seconds`."""
        end = time.monotonic() + seconds
        while len(mails := self.to(address)) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{len(mails)} mails instead of {count} for {address} after {seconds} s")
            time.sleep(0.02)
        return mails

    def attempts_of(self, address: str) -> list[float]:
        """Return the time.monotonic() of each RCPT of this address."""
        return [tried_at for recipient, tried_at in list(self._server.attempts) if recipient == address]
