"""A mail server that does as it is told: takes mail, refuses it at any stage, is slow, or hangs up.

What a mail meets is scripted per recipient, so that several tests may share one server. Before a recipient is known
(the greeting and MAIL) the script of ANYBODY is read.
"""

import contextlib
import re
import socket
import socketserver
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from typing import Any
from urllib.parse import unquote

from tests.support.clock import PATIENCE_SECONDS

ANYBODY = "*"
CUT = "cut"  # hang up instead of answering
TAKE_AND_CUT = "take and cut"  # at the final dot: keep the mail, then hang up before saying so
OK = "250 2.0.0 taken"
PLAIN_REPLIES = {
    "EHLO": "250-scripted\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 20000000",
    "HELO": "250 scripted",
    "RSET": "250 ok",
    "NOOP": "250 ok",
    "QUIT": "221 bye",
}
LINK = re.compile(r"[?&]token=([^\s&\"'<>)]+)")


@dataclass(frozen=True)
class Taken:
    """A mail that was accepted."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    at: float

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
        found = LINK.search(self.text)
        assert found, f"no token= in {self.text[:500]}"
        return unquote(found[1])

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"]).strip()


@dataclass
class SmtpServer:
    """`script(address, stage, *replies)` sets what comes next; stages: connect, mail, rcpt, data, dot."""

    taken: list[Taken] = field(default_factory=list)
    tries: list[tuple[str, float]] = field(default_factory=list)  # each RCPT, with its instant
    connections: set[socket.socket] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)  # seconds until the final dot of an address is answered
    held: dict[str, threading.Event] = field(default_factory=dict)  # the final dot is answered once this is set
    port: int = 0  # any free one unless told

    def __post_init__(self) -> None:
        self._scripts: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._server = _Listener(("127.0.0.1", self.port), _Conversation)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def script(self, address: str, stage: str, *replies: str) -> None:
        with self._lock:
            self._scripts[address.lower(), stage].extend(replies)

    def hold(self, address: str) -> threading.Event:
        """Answer the final dot of this address only when the event is set."""
        return self.held.setdefault(address, threading.Event())

    def next_reply(self, stage: str, good: str, address: str = ANYBODY) -> str:
        with self._lock:
            for name in (address.lower(), ANYBODY):
                waiting = self._scripts.get((name, stage))
                if waiting:
                    return waiting.popleft()
        return good

    def to(self, address: str) -> list[Taken]:
        """What was taken for this address so far, compared as it was typed."""
        return [mail for mail in list(self.taken) if address in mail.recipients]

    def wait_for(self, address: str, count: int = 1, *, seconds: float = PATIENCE_SECONDS) -> list[Taken]:
        """The mails of an address as soon as there are `count`; fails after `seconds`."""
        end = time.monotonic() + seconds
        while len(found := self.to(address)) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{len(found)} mails instead of {count} for {address} after {seconds} s")
            time.sleep(0.02)
        return found

    def tries_of(self, address: str) -> list[float]:
        return [at for to, at in list(self.tries) if to == address]


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    owner: SmtpServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed hangs up in the middle; that is what the tests do."""


class _Conversation(socketserver.StreamRequestHandler):
    server: _Listener

    def handle(self) -> None:
        self.house = self.server.owner
        self.house.connections.add(self.connection)
        try:
            self.converse()
        finally:
            self.house.connections.discard(self.connection)

    def converse(self) -> None:
        self.sender, self.recipients = "", list[str]()
        if not self.say(self.house.next_reply("connect", "220 scripted ESMTP")):
            return
        while line := self.rfile.readline(4096):
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            if not self.obey(command):
                return

    def say(self, reply: str) -> bool:
        """False when the conversation is over."""
        if reply in {CUT, TAKE_AND_CUT}:
            return False
        self.wfile.write(reply.encode() + b"\r\n")
        return reply[:3] not in {"421", "221"}

    def obey(self, command: str) -> bool:
        verb = command[:4].upper()
        if verb == "MAIL":
            self.sender, self.recipients = _between_brackets(command), []
            return self.say(self.house.next_reply("mail", OK))
        if verb == "RCPT":
            return self.hear_recipient(_between_brackets(command))
        if verb == "DATA":
            return self.hear_message()
        return self.say(PLAIN_REPLIES.get(verb, "502 unknown"))

    def hear_recipient(self, address: str) -> bool:
        self.house.tries.append((address, time.monotonic()))
        reply = self.house.next_reply("rcpt", OK, address)
        if reply.startswith("2"):
            self.recipients.append(address)
        return self.say(reply)

    def hear_message(self) -> bool:
        address = self.recipients[0] if self.recipients else ANYBODY
        reply = self.house.next_reply("data", "354 go ahead", address)
        if not reply.startswith("3"):
            return self.say(reply)
        self.say(reply)
        lines = list[bytes]()
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line[1:] if line.startswith(b"..") else line)
        if line == b"":
            return False  # the client died in the middle; nothing was taken
        reply = self.house.next_reply("dot", OK, address)
        time.sleep(self.house.slow.get(address, 0))
        if address in self.house.held:
            self.house.held[address].wait(PATIENCE_SECONDS)
        if reply == TAKE_AND_CUT or reply.startswith("2"):
            taken = Taken(self.sender, tuple(self.recipients), b"".join(lines), time.monotonic())
            self.house.taken.append(taken)
        return self.say(reply)


def _between_brackets(command: str) -> str:
    return command[command.find("<") + 1 : command.find(">")]
