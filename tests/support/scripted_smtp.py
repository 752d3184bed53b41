"""A mail server that does as it is told, in the test's own event loop."""

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

Decide = Callable[[str, str], str | None]


@dataclass
class Taken:
    """A message that was taken."""

    sender: str
    recipient: str
    content: bytes
    session: int

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)


@dataclass
class ScriptedServer:
    """replies[stage] are used in turn, then all is well. Stages: connect, ehlo, auth, mail, rcpt, data, dot.

    "cut" hangs up without a word; "keep and cut" at dot takes the message and hangs up; "hang" never answers.
    decide(stage, argument) may answer instead. hold: while set, the dot is not answered for these recipients.
    """

    replies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    sessions: int = 0
    open: int = 0
    most_open: int = 0
    extensions: tuple[str, ...] = ("8BITMIME", "SMTPUTF8")
    decide: Decide = lambda _stage, _argument: None
    held: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    at_dot: asyncio.Event = field(default_factory=asyncio.Event)
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    tls: ssl.SSLContext | None = None
    port: int = 0

    def recipients(self) -> list[str]:
        return [one.recipient for one in self.taken]

    async def wait_for(self, count: int, seconds: float = 60) -> list[Taken]:
        async with asyncio.timeout(seconds):
            while len(self.taken) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.taken

    async def wait_for_sessions(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.sessions < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await _Session(self, reader, writer, self.sessions).run()
        except (ConnectionError, asyncio.IncompleteReadError, _HangUp):
            pass
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


class _HangUp(Exception):
    pass


class _Session:
    def __init__(
        self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.server, self.reader, self.writer, self.number = server, reader, writer, number
        self.sender = self.recipient = ""

    async def answer(self, stage: str, argument: str, good: str) -> bool:
        left = self.server.replies[stage]
        reply = self.server.decide(stage, argument) or (left.pop(0) if left else good)
        if reply == "cut":
            raise _HangUp
        if reply == "hang":
            self.server.hung.set()
            await asyncio.Event().wait()
        self.writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self.writer.drain()
        return reply[0] in "23"

    async def run(self) -> None:
        if not await self.answer("connect", "", "220 scripted ESMTP"):
            return
        while line := await self.reader.readline():
            command = line.decode("utf-8").strip()
            self.server.commands.append(command)
            verb = command.split(" ")[0].upper()
            if verb == "QUIT":
                self.writer.write(b"221 bye\r\n")
                return
            await self.obey(verb, command)

    async def obey(self, verb: str, command: str) -> None:
        match verb:
            case "EHLO" | "HELO":
                lines = ["scripted", *self.server.extensions]
                greeting = "\n".join(f"250-{line}" for line in lines[:-1]) + f"\n250 {lines[-1]}"
                await self.answer("ehlo", command, greeting.lstrip("\n"))
            case "STARTTLS":
                await self.answer("starttls", command, "220 go ahead")
                assert self.server.tls is not None
                await self.writer.start_tls(self.server.tls)
            case "AUTH":
                await self.answer("auth", command, "235 welcome")
            case "MAIL":
                self.sender = command[len("MAIL FROM:<") :].split(">", maxsplit=1)[0]
                await self.answer("mail", self.sender, "250 ok")
            case "RCPT":
                self.recipient = command[len("RCPT TO:<") :].split(">", maxsplit=1)[0]
                await self.answer("rcpt", self.recipient, "250 ok")
            case "DATA":
                if await self.answer("data", self.recipient, "354 go"):
                    await self.take()
            case _:
                self.writer.write(b"250 ok\r\n")

    async def take(self) -> None:
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _HangUp
            lines.append(line[1:] if line.startswith(b"..") else line)
        self.server.at_dot.set()
        taken = Taken(self.sender, self.recipient, b"".join(lines), self.number)
        while self.recipient in self.server.held:
            await self.server.released.wait()
        if self.server.replies["dot"][:1] == ["keep and cut"]:
            self.server.replies["dot"].pop(0)
            self._keep(taken)
            raise _HangUp
        if await self.answer("dot", self.recipient, "250 2.0.0 taken"):
            self._keep(taken)

    def _keep(self, taken: Taken) -> None:
        self.server.taken.append(taken)
        self.server.arrived.set()


@asynccontextmanager
async def scripted_server(
    *, port: int = 0, tls: ssl.SSLContext | None = None, implicit_tls: bool = False
) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(tls=tls)
    conversations: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            await server.talk(reader, writer)
        finally:
            conversations.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls if implicit_tls else None, limit=1 << 22)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
