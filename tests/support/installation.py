"""Run Latchstring as its users do: the installed command, a configuration file, HTTP and SMTP."""

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.clock import PATIENCE_SECONDS
from tests.support.smtp_server import ReceivedMail, SmtpServer

COMMAND = Path(sys.executable).with_name("latchstring")
PASSWORD = "eleven quiet herons 7"
PROFILE: dict[str, Any] = {"firstName": "Ada", "lastName": "Löwe", "password": PASSWORD, "acceptTerms": True}
START_SECONDS = 120
numbers = itertools.count(1)

CONFIG = """
[app]
name = "Orchard Lane"
public-url = "{public_url}"
terms-url = "https://orchard.example/terms"
terms-version = "1"
allowed-origins = ["https://app.orchard.example"]

[database]
url = "{database}"

[mail]
transport = "{transport}"
from = "Orchard Lane <no-reply@orchard.example>"

[mail.retry]
first = "PT1S"
factor = 2

[mail.smtp]
host = "127.0.0.1"
port = {smtp_port}
tls = "none"
timeout = "PT5S"

[invitations]
minimum-lifetime = "PT1S"
maximum-lifetime = "P30D"
redirect-origins = ["https://app.orchard.example"]

[content]
types = {{ articles = {{ name = "Articles", singular = "article" }} }}

[roles.admin]
name = "Admin"
permissions = ["*"]
may-grant = ["admin", "lead", "team", "sender", "customer", "visitor"]
may-grant-groups = ["*"]

[roles.lead]
name = "Lead"
permissions = [
  "invitations:read", "invitations:write", "users:read", "users:write", "groups:read", "api-keys:write", "app:plan"
]
may-grant = ["team", "sender", "customer"]
may-grant-groups = ["open-house"]

[roles.team]
name = "Team"
permissions = ["invitations:read", "invitations:write", "users:read", "app:plan"]
may-grant = ["team", "customer"]
may-grant-groups = []

[roles.sender]
name = "Sender"
permissions = ["invitations:write", "app:plan"]
may-grant = ["customer"]

[roles.customer]
name = "Customer"
permissions = ["app:plan"]
may-grant = []

[roles.visitor]
name = "Visitor"
permissions = []
may-grant = []

[limits]
enabled = {limits}
"""


@dataclass(frozen=True)
class Answer:
    """The response to an HTTP request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the response sets, without attributes."""
        pairs = [line.split(";")[0].partition("=") for line in self.headers.get_all("Set-Cookie", [])]
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class SignedInUser:
    """An account and one of its sessions."""

    id: str
    email: str
    token: str
    refresh_token: str = ""
    password: str = PASSWORD


@dataclass
class Installation:
    """An installation: its directory, its processes, and the mail server that it sends to."""

    directory: Path
    database: str
    smtp: SmtpServer
    options: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    key: str = ""
    multi_process: bool = False  # two servers and three workers instead of one process for both

    def __post_init__(self) -> None:
        self.port = free_port()
        self.other_port = free_port()
        self.ports = itertools.cycle([self.port, self.other_port] if self.multi_process else [self.port])
        self.public_url = f"http://127.0.0.1:{self.port}"
        self.config = self.directory / "latchstring.toml"
        self.write_config(**self.options)

    def write_config(self, *, extra: str = "", replace: str = "", by: str = "", **changes: str) -> None:
        """Write the configuration file. `changes` fill named placeholders; the text `replace` becomes `by`."""
        values = {
            "public_url": self.public_url,
            "database": self.database,
            "smtp_port": str(self.smtp.port),
            "transport": "smtp",
            "limits": "false",
        }
        text = CONFIG.format(**{**values, **changes})
        assert replace in text
        self.config.write_text((text.replace(replace, by) if replace else text) + extra)

    # ---- processes ----

    def open(self, *arguments: str) -> None:
        """Start all processes of this installation."""
        if not self.multi_process:
            self.start(*arguments)
            return
        for port in (self.port, self.other_port):
            self.start("--no-worker", *arguments, port=port)
        for _ in range(3):
            self.run("worker")

    def start(self, *arguments: str, wait: bool = True, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start a server and wait until it is ready."""
        process = self.run("serve", "--host", "127.0.0.1", "--port", str(port or self.port), *arguments)
        if wait:
            self.wait_until_ready(process, port or self.port)
        return process

    def crash(self) -> None:
        """Kill a server, and a worker if they run in several processes, with SIGKILL."""
        for process in {self.processes[0], self.processes[-1]}:
            self.stop(process, with_signal=signal.SIGKILL)

    def restart_crashed(self) -> None:
        """Start the processes again that `crash` killed."""
        if self.multi_process:
            self.start("--no-worker")
            self.processes.insert(0, self.processes.pop())
            self.run("worker")
        else:
            self.start()

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process that keeps running, such as a worker."""
        with (self.directory / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [COMMAND, "--config", self.config, *arguments], cwd=self.directory, stdout=log, stderr=log, env=self.env
            )
        self.processes.append(process)
        return process

    def wait_until_ready(self, process: subprocess.Popen[bytes], port: int) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, f"the server ended: {self.log[-3000:]}"
            with contextlib.suppress(OSError):
                if self.call("GET", "/readyz", port=port).status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"not ready after {START_SECONDS} s: {self.log[-3000:]}")

    def stop(
        self, process: subprocess.Popen[bytes] | None = None, *, with_signal: signal.Signals = signal.SIGTERM
    ) -> None:
        """End one process, or all of them."""
        ending = [process] if process else list(self.processes)
        for child in ending:
            if child.poll() is None:
                child.send_signal(with_signal)
        for child in ending:
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            self.processes.remove(child)

    def restart(self, *arguments: str) -> None:
        self.stop()
        self.open(*arguments)

    @property
    def log(self) -> str:
        path = self.directory / "log.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def cli(self, *arguments: str, text: str | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and check its exit status."""
        completed = subprocess.run(
            [COMMAND, "--config", self.config, *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            input=text,
            env=self.env,
            timeout=120,
            check=False,
        )
        assert completed.returncode == status, f"{arguments}: {completed}"
        return completed

    def api_key(self, *scopes: str, may_grant: tuple[str, ...] = ()) -> str:
        """Create an API key on the command line and return it."""
        arguments = [argument for scope in scopes for argument in ("--scope", scope)]
        arguments += [argument for role in may_grant for argument in ("--may-grant", role)]
        return self.cli("api-key", "create", "--name", f"key {next(numbers)}", *arguments).stdout.strip()

    # ---- HTTP ----

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | Iterator[bytes] | None = None,
        port: int | None = None,
    ) -> Answer:
        """Send one request on a new connection. `path` is absolute."""
        all_headers = {"Accept": "application/json"}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            all_headers["Content-Type"] = "application/json"
        if token is not None:
            all_headers["Authorization"] = f"Bearer {token}"
        all_headers |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", port or next(self.ports), timeout=120)
        try:
            connection.request(
                method, path, raw, {name: value for name, value in all_headers.items() if value is not None}
            )
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, token: str | None = None, **options: Any) -> Answer:
        return self.call("GET", f"/api{path}", token=token, **options)

    def post(self, path: str, body: object = None, token: str | None = None, **options: Any) -> Answer:
        return self.call("POST", f"/api{path}", body, token=token, **options)

    def put(self, path: str, body: object = None, token: str | None = None, **options: Any) -> Answer:
        return self.call("PUT", f"/api{path}", body, token=token, **options)

    def patch(self, path: str, body: object = None, token: str | None = None, **options: Any) -> Answer:
        return self.call("PATCH", f"/api{path}", body, token=token, **options)

    def delete(self, path: str, token: str | None = None, **options: Any) -> Answer:
        return self.call("DELETE", f"/api{path}", token=token, **options)

    # ---- users and invitations ----

    def user(self, role: str | None = "customer", **fields: Any) -> SignedInUser:
        """Create an account and sign it in."""
        body = {"email": new_address(), "firstName": "Una", "lastName": "Ortiz", "password": PASSWORD}
        body |= ({"role": role} if role else {}) | fields
        answer = self.post("/users", body, self.key)
        assert answer.status == 201, answer
        return self.login(answer.json["email"], str(body["password"]))

    def login(self, email: str, password: str = PASSWORD) -> SignedInUser:
        answer = self.post("/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer
        session = answer.json
        return SignedInUser(session["user"]["id"], email, session["accessToken"], session["refreshToken"], password)

    def group(self, **fields: Any) -> str:
        """Create a group and return its key."""
        key = f"group-{next(numbers)}"
        answer = self.post("/groups", {"key": key, "name": f"The {key}"} | fields, self.key)
        assert answer.status == 201, answer
        return str(answer.json["key"])

    def invite(self, email: str | None = None, token: str | None = None, **fields: Any) -> Any:
        """Create an invitation and return its JSON. It grants the role customer unless `fields` grant something."""
        if not fields.keys() & {"role", "groups"}:
            fields["role"] = "customer"
        answer = self.post("/invitations", {"inviteEmail": email or new_address(), **fields}, token or self.key)
        assert answer.status == 201, answer
        return answer.json

    def invitation(self, invitation_id: str) -> Any:
        answer = self.get(f"/invitations/{invitation_id}", self.key)
        assert answer.status == 200, answer
        return answer.json

    def events(self, invitation_id: str) -> list[Any]:
        answer = self.get(f"/invitations/{invitation_id}/events?limit=200", self.key)
        assert answer.status == 200, answer
        return list(answer.json["items"])

    def mail(self, address: str, number: int = 1) -> ReceivedMail:
        """Wait for the mail of this number (from 1) to the address."""
        return self.smtp.wait_for(address, number)[number - 1]

    def mail_about(self, address: str, words: str, *, seconds: float = PATIENCE_SECONDS) -> ReceivedMail:
        """Wait for a mail to the address whose text contains the words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for mail in reversed(self.smtp.to(address)):
                if words in mail.text:
                    return mail
            time.sleep(0.02)
        raise AssertionError(f"no mail with {words} for {address}")

    def mail_of(self, invitation: Any) -> ReceivedMail:
        """Wait for the mail with the current link of the invitation."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            for mail in reversed(self.smtp.to(invitation["inviteEmail"])):
                if mail.token.endswith(invitation["secret"][-4:]):
                    return mail
            time.sleep(0.02)
        raise AssertionError(f"no mail with the link of {invitation}")

    def invite_with_token(self, email: str | None = None, **fields: Any) -> tuple[Any, str]:
        """Create an invitation; return its JSON and the token in its mail."""
        invitation = self.invite(email, **fields)
        return invitation, self.mail_of(invitation).token

    def reveal(self, invitation_id: str) -> str:
        """Return the token of the revealed link of an invitation."""
        answer = self.post(f"/invitations/{invitation_id}/link", token=self.key)
        assert answer.status == 200, answer
        match = re.search(r"[?&]token=([^&]+)$", answer.json["url"])
        assert match
        return match[1]

    def accept(self, token: str, *, by: SignedInUser | None = None, **profile: Any) -> Answer:
        return self.post("/invitations/accept", {"token": token, **profile}, by.token if by else None)

    def wait_until_expired(self, invitation_id: str, *, seconds: float = PATIENCE_SECONDS) -> None:
        end = time.monotonic() + seconds
        while self.invitation(invitation_id)["state"] != "EXPIRED":
            assert time.monotonic() < end, "the invitation does not expire"
            time.sleep(0.1)

    def delivery(self, invitation_id: str, *states: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait until the delivery of an invitation is in one of the states, and return it."""
        end = time.monotonic() + seconds
        while (delivery := self.invitation(invitation_id)["delivery"])["state"] not in states:
            assert time.monotonic() < end, f"{delivery} instead of {states}"
            time.sleep(0.05)
        return delivery


@contextmanager
def open_installation(
    directory: Path, database: str, *arguments: str, multi_process: bool = False, **options: Any
) -> Iterator[Installation]:
    """Start an installation on this database with its mail server, and stop both at the end."""
    smtp = SmtpServer()
    installation = Installation(directory, database, smtp, options, multi_process=multi_process)
    try:
        installation.open("--migrate", *arguments)
        installation.key = installation.api_key("*")
        yield installation
    finally:
        installation.stop()
        installation.smtp.close()  # not `smtp`: a test may have replaced it


def check_problem(answer: Answer, status: int, code: str | None = None) -> Any:
    """Check that an answer is a problem (RFC 9457) with this status and code, and return its members."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json", answer.headers["Content-Type"]
    problem = answer.json
    assert problem["status"] == status
    assert {"type", "title", "status", "detail", "instance", "code"} <= problem.keys(), problem
    assert problem["type"].endswith(f"/problems/{problem['code']}"), problem
    assert code is None or problem["code"] == code, problem
    return problem


def pointers(problem: Any) -> set[str]:
    """Return the JSON pointers of the fields that a problem of status 422 names."""
    assert all({"pointer", "code", "detail"} <= error.keys() for error in problem["errors"])
    return {error["pointer"] for error in problem["errors"]}


def new_address(name: str = "guest") -> str:
    """Return an address that no other test uses."""
    return f"{name}-{os.getpid()}-{next(numbers)}@people.test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
