"""A mail server that does as it is told: takes mail, refuses it at any stage, is slow, or hangs up.

ScriptedServer runs in the event loop of a test. SmtpServer runs the same in a thread, for processes that tests start.
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

ANYBODY = "*"
CUT = "cut"  # hang up instead of answering
TAKE_AND_CUT = "take and cut"  # at the final dot: keep the mail, then hang up before saying so
HANG = "hang"  # never answer
LINK = re.compile(r"[?&]token=([^\s&\"'<>)]+)")
EXTENSIONS = ("8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 20000000")
LONGEST_LINE = 1 << 22

Decide = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Taken:
    """A mail that was accepted."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    at: float
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
    """replies[stage] are used in turn, then all is well. Stages: connect, ehlo, auth, mail, rcpt, data, dot.

    A reply may be CUT, HANG or, at dot, TAKE_AND_CUT. decide(stage, argument) may answer instead; the argument of data
    and dot is the recipient. held: while a recipient is in it, their dot is not answered.
    """

    replies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    taken: list[Taken] = field(default_factory=list)
    tries: list[tuple[str, float]] = field(default_factory=list)  # each RCPT, with its instant
    commands: list[str] = field(default_factory=list)
    sessions: int = 0
    open: int = 0
    most_open: int = 0
    extensions: tuple[str, ...] = EXTENSIONS
    decide: Decide = lambda _stage, _argument: None
    slow: dict[str, float] = field(default_factory=dict)  # seconds until the final dot of an address is answered
    held: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    on_data_sent: asyncio.Event = field(default_factory=asyncio.Event)
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    tls: ssl.SSLContext | None = None
    port: int = 0

    def recipients(self) -> list[str]:
        return [mail.recipient for mail in self.taken]

    async def wait_for(self, count: int) -> list[Taken]:
        """The mails taken so far, as soon as there are `count`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.taken) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.taken

    async def wait_for_sessions(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.sessions < count:  # noqa: ASYNC110  # nothing else waits for this
                await asyncio.sleep(0.02)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await _Conversation(self, reader, writer, self.sessions).run()
        except (ConnectionError, asyncio.IncompleteReadError, _HangUp):
            pass
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


class _HangUp(Exception):
    pass


class _Conversation:
    def __init__(
        self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.server, self.reader, self.writer, self.number = server, reader, writer, number
        self.sender, self.recipients = "", list[str]()

    @property
    def recipient(self) -> str:
        return self.recipients[0] if self.recipients else ANYBODY

    def next_reply(self, stage: str, argument: str, good: str) -> str:
        scripted = self.server.replies[stage]
        return self.server.decide(stage, argument) or (scripted.pop(0) if scripted else good)

    async def say(self, reply: str) -> bool:
        """Whether the reply is a good one. Hangs up after 421 and 221, as servers do."""
        if reply == CUT:
            raise _HangUp
        if reply == HANG:
            self.server.hung.set()
            await asyncio.Event().wait()
        self.writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self.writer.drain()
        if reply.startswith(("421", "221")):
            raise _HangUp
        return reply[0] in "23"

    async def answer(self, stage: str, argument: str, good: str) -> bool:
        return await self.say(self.next_reply(stage, argument, good))

    async def run(self) -> None:
        if not await self.answer("connect", ANYBODY, "220 scripted ESMTP"):
            return
        while line := await self.reader.readline():
            command = line.decode("utf-8", "replace").strip()
            self.server.commands.append(command)
            await self.obey(command.split(" ")[0].upper(), command)

    async def obey(self, verb: str, command: str) -> None:
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
                self.server.tries.append((recipient, time.monotonic()))
                if await self.answer("rcpt", recipient, "250 ok"):
                    self.recipients.append(recipient)
            case "DATA":
                if await self.answer("data", self.recipient, "354 go"):
                    await self.take()
            case _:
                await self.say("221 bye" if verb == "QUIT" else "250 ok")

    async def take(self) -> None:
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _HangUp  # the client died in the middle; nothing was taken
            lines.append(line[1:] if line.startswith(b"..") else line)
        self.server.on_data_sent.set()
        reply = self.next_reply("dot", self.recipient, "250 2.0.0 taken")
        await asyncio.sleep(self.server.slow.get(self.recipient, 0))
        while self.recipient in self.server.held:
            self.server.released.clear()
            await self.server.released.wait()
        if reply == TAKE_AND_CUT or reply.startswith("2"):
            mail = Taken(self.sender, tuple(self.recipients), b"".join(lines), time.monotonic(), self.number)
            self.server.taken.append(mail)
            self.server.arrived.set()
        await self.say(CUT if reply == TAKE_AND_CUT else reply)


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
    server = ScriptedServer(tls=tls, extensions=extensions)
    conversations: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            await server.talk(reader, writer)
        finally:
            conversations.discard(task)

    listening = await asyncio.start_server(
        serve, "127.0.0.1", port, ssl=tls if implicit_tls else None, limit=LONGEST_LINE, backlog=128
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


class SmtpServer:
    """A ScriptedServer in a thread. `script(address, stage, *replies)` sets what comes next.

    What a mail meets is scripted per recipient, so that several tests may share one server. Before a recipient is known
    (connect, ehlo and mail) the script of ANYBODY is read.
    """

    def __init__(self, port: int = 0) -> None:
        self._scripts: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port)), daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE_SECONDS), "the mail server does not start"
        self.port = self._server.port
        self.slow = self._server.slow

    async def _serve(self, port: int) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with scripted_server(port=port) as self._server:
            self._server.decide = self._decide
            self._started.set()
            await self._stop.wait()

    def close(self) -> None:
        """Stop listening and hang up on everybody. A second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def script(self, address: str, stage: str, *replies: str) -> None:
        with self._lock:
            self._scripts[address.lower(), stage].extend(replies)

    def _decide(self, stage: str, argument: str) -> str | None:
        names = (argument.lower(), ANYBODY) if stage in {"rcpt", "data", "dot"} else (ANYBODY,)
        with self._lock:
            scripts = [script for name in names if (script := self._scripts.get((name, stage)))]
            return scripts[0].popleft() if scripts else None

    def hold(self, address: str) -> None:
        """Do not answer the final dot of this address until `release`."""
        self._server.held.add(address)

    def release(self, address: str) -> None:
        self._server.held.discard(address)
        self._loop.call_soon_threadsafe(self._server.released.set)

    def to(self, address: str) -> list[Taken]:
        """What was taken for this address so far, compared as it was typed."""
        return [mail for mail in list(self._server.taken) if address in mail.recipients]

    def wait_for(self, address: str, count: int = 1, *, seconds: float = PATIENCE_SECONDS) -> list[Taken]:
        """The mails of an address as soon as there are `count`; fails after `seconds`."""
        end = time.monotonic() + seconds
        while len(mails := self.to(address)) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{len(mails)} mails instead of {count} for {address} after {seconds} s")
            time.sleep(0.02)
        return mails

    def tries_of(self, address: str) -> list[float]:
        """The instants of each RCPT with this address."""
        return [at for to, at in list(self._server.tries) if to == address]
