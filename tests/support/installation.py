"""A Latchstring as a stranger runs it: the installed command, a configuration file, plain HTTP and SMTP."""

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
from tests.support.smtp_server import SmtpServer, Taken

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
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that were set, without their attributes."""
        pairs = [line.split(";")[0].partition("=") for line in self.headers.get_all("Set-Cookie", [])]
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class Person:
    """An account and one of its sessions."""

    id: str
    email: str
    token: str
    refresh_token: str = ""
    password: str = PASSWORD


@dataclass
class Installation:
    """One installation: its directory, its servers and workers, and the mail server it talks to."""

    directory: Path
    database: str
    smtp: SmtpServer
    options: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    key: str = ""
    crowded: bool = False  # two servers and three workers instead of one process that does both

    def __post_init__(self) -> None:
        self.port = free_port()
        self.other_port = free_port()
        self.turns = itertools.cycle([self.port, self.other_port] if self.crowded else [self.port])
        self.public_url = f"http://127.0.0.1:{self.port}"
        self.config = self.directory / "latchstring.toml"
        self.write_config(**self.options)

    def write_config(self, *, extra: str = "", replace: str = "", by: str = "", **changes: str) -> None:
        """Write the configuration file, with other values for the named places and `replace` replaced `by`."""
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

    # -- processes

    def open(self, *arguments: str) -> None:
        """Start everything this installation consists of."""
        if not self.crowded:
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
        """Kill a server, and a worker if there are several, without a word."""
        for process in {self.processes[0], self.processes[-1]}:
            self.stop(process, how=signal.SIGKILL)

    def mend(self) -> None:
        """Start again what was killed."""
        if self.crowded:
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

    def stop(self, process: subprocess.Popen[bytes] | None = None, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End one process, or all of them."""
        ending = [process] if process else list(self.processes)
        for one in ending:
            if one.poll() is None:
                one.send_signal(how)
        for one in ending:
            try:
                one.wait(60)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
            self.processes.remove(one)

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
        done = subprocess.run(
            [COMMAND, "--config", self.config, *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            input=text,
            env=self.env,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, f"{arguments} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def api_key(self, *scopes: str, may_grant: tuple[str, ...] = ()) -> str:
        arguments = [part for scope in scopes for part in ("--scope", scope)]
        arguments += [part for role in may_grant for part in ("--may-grant", role)]
        return self.cli("api-key", "create", "--name", f"key {next(numbers)}", *arguments).stdout.strip()

    # -- HTTP

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
        """One request on a connection of its own. `path` is the whole one."""
        sent = {"Accept": "application/json"}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent["Content-Type"] = "application/json"
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        sent |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", port or next(self.turns), timeout=120)
        try:
            connection.request(method, path, raw, {name: value for name, value in sent.items() if value is not None})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, token: str | None = None, **more: Any) -> Answer:
        return self.call("GET", f"/api{path}", token=token, **more)

    def post(self, path: str, body: object = None, token: str | None = None, **more: Any) -> Answer:
        return self.call("POST", f"/api{path}", body, token=token, **more)

    def put(self, path: str, body: object = None, token: str | None = None, **more: Any) -> Answer:
        return self.call("PUT", f"/api{path}", body, token=token, **more)

    def patch(self, path: str, body: object = None, token: str | None = None, **more: Any) -> Answer:
        return self.call("PATCH", f"/api{path}", body, token=token, **more)

    def delete(self, path: str, token: str | None = None, **more: Any) -> Answer:
        return self.call("DELETE", f"/api{path}", token=token, **more)

    # -- people and invitations

    def user(self, role: str | None = "customer", **fields: Any) -> Person:
        """A signed-in account."""
        body = {"email": new_address(), "firstName": "Una", "lastName": "Ortiz", "password": PASSWORD}
        body |= ({"role": role} if role else {}) | fields
        made = self.post("/users", body, self.key)
        assert made.status == 201, made
        return self.login(made.json["email"], str(body["password"]))

    def login(self, email: str, password: str = PASSWORD) -> Person:
        got = self.post("/auth/login", {"email": email, "password": password})
        assert got.status == 200, got
        return Person(got.json["user"]["id"], email, got.json["accessToken"], got.json["refreshToken"], password)

    def group(self, **fields: Any) -> str:
        key = f"group-{next(numbers)}"
        made = self.post("/groups", {"key": key, "name": f"The {key}"} | fields, self.key)
        assert made.status == 201, made
        return str(made.json["key"])

    def invite(self, email: str | None = None, token: str | None = None, **fields: Any) -> Any:
        """A new invitation as the answer shows it."""
        if not fields.keys() & {"role", "groups"}:
            fields["role"] = "customer"
        made = self.post("/invitations", {"inviteEmail": email or new_address(), **fields}, token or self.key)
        assert made.status == 201, made
        return made.json

    def invitation(self, invitation_id: str) -> Any:
        got = self.get(f"/invitations/{invitation_id}", self.key)
        assert got.status == 200, got
        return got.json

    def events(self, invitation_id: str) -> list[Any]:
        got = self.get(f"/invitations/{invitation_id}/events?limit=200", self.key)
        assert got.status == 200, got
        return list(got.json["items"])

    def mail(self, address: str, number: int = 1) -> Taken:
        return self.smtp.wait_for(address, number)[number - 1]

    def mail_about(self, address: str, words: str, *, seconds: float = PATIENCE_SECONDS) -> Taken:
        """The newest mail to an address whose text has these words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for mail in reversed(self.smtp.to(address)):
                if words in mail.text:
                    return mail
            time.sleep(0.02)
        raise AssertionError(f"no mail with {words} for {address}")

    def mail_of(self, invitation: Any) -> Taken:
        """The newest mail of an invitation's current link."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            for mail in reversed(self.smtp.to(invitation["inviteEmail"])):
                if mail.token.endswith(invitation["secret"][-4:]):
                    return mail
            time.sleep(0.02)
        raise AssertionError(f"no mail with the link of {invitation}")

    def invited(self, email: str | None = None, **fields: Any) -> tuple[Any, str]:
        """A new invitation and the token of its mail."""
        made = self.invite(email, **fields)
        return made, self.mail_of(made).token

    def reveal(self, invitation_id: str) -> str:
        """A token that did not come by mail."""
        got = self.post(f"/invitations/{invitation_id}/link", token=self.key)
        assert got.status == 200, got
        found = re.search(r"[?&]token=([^&]+)$", got.json["url"])
        assert found
        return found[1]

    def accept(self, token: str, *, by: Person | None = None, **profile: Any) -> Answer:
        return self.post("/invitations/accept", {"token": token, **profile}, by.token if by else None)

    def wait_until_expired(self, invitation_id: str, *, seconds: float = PATIENCE_SECONDS) -> None:
        end = time.monotonic() + seconds
        while self.invitation(invitation_id)["state"] != "EXPIRED":
            assert time.monotonic() < end, "it does not expire"
            time.sleep(0.1)

    def delivery(self, invitation_id: str, *states: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """The delivery of an invitation once it is in one of the states."""
        end = time.monotonic() + seconds
        while (found := self.invitation(invitation_id)["delivery"])["state"] not in states:
            assert time.monotonic() < end, f"{found} instead of {states}"
            time.sleep(0.05)
        return found


@contextmanager
def open_installation(
    directory: Path, database: str, *arguments: str, crowded: bool = False, **options: Any
) -> Iterator[Installation]:
    """A running installation on this database, with its mail server."""
    smtp = SmtpServer()
    installation = Installation(directory, database, smtp, options, crowded=crowded)
    try:
        installation.open("--migrate", *arguments)
        installation.key = installation.api_key("*")
        yield installation
    finally:
        installation.stop()
        installation.smtp.close()  # not `smtp`: a test may have put another one in its place


def refused(answer: Answer, status: int, code: str | None = None) -> Any:
    """Check that an answer is a problem of RFC 9457 with this status and code; its members."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json", answer.headers["Content-Type"]
    problem = answer.json
    assert problem["status"] == status
    assert {"type", "title", "status", "detail", "instance", "code"} <= problem.keys(), problem
    assert problem["type"].endswith(f"/problems/{problem['code']}"), problem
    assert code is None or problem["code"] == code, problem
    return problem


def pointers(problem: Any) -> set[str]:
    """The fields a 422 names."""
    assert all({"pointer", "code", "detail"} <= error.keys() for error in problem["errors"])
    return {error["pointer"] for error in problem["errors"]}


def new_address(name: str = "guest") -> str:
    return f"{name}-{os.getpid()}-{next(numbers)}@people.test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
