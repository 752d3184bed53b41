"""Starts the example app as `make example` does."""

import email
import email.policy
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.support.installation import free_port

RUN = Path(__file__).parents[2] / "examples/documents/run.py"
START_SECONDS = 120


@dataclass
class Example:
    """The running example: its process, folder, URLs and password."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str
    latchstring_url: str
    password: str = ""

    @property
    def logs(self) -> str:
        return "".join((self.folder / name).read_text(errors="replace") for name in ("output.txt", "latchstring.log"))

    def link(self, address: str, text: str = "") -> str:
        """Wait for a mail to the address that contains the text. Returns the link of the newest one."""
        deadline = time.monotonic() + START_SECONDS
        while not (mails := [body for to, body in self.mails() if to == address and text in " ".join(body.split())]):
            assert time.monotonic() < deadline, f"no mail with {text} for {address}"
            time.sleep(0.05)
        match = re.search(r"^(http\S+token=\S+)\s*$", mails[-1], re.MULTILINE)
        assert match, mails[-1]
        return match[1]

    def request(self, method: str, path: str) -> httpx2.Response:
        """Send a request to Latchstring with an API key that has all scopes."""
        config = str(self.folder / "latchstring.toml")
        command: list[str | Path] = [
            Path(sys.executable).with_name("latchstring"),
            "--config",
            config,
            "api-key",
            "create",
        ]
        process = subprocess.run(
            [*command, "--name", "Test", "--scope", "*"], capture_output=True, text=True, check=True
        )
        headers = {"Authorization": f"Bearer {process.stdout.strip()}"}
        return httpx2.request(method, f"{self.latchstring_url}/api{path}", headers=headers).raise_for_status()

    def mails(self) -> list[tuple[str, str]]:
        """Recipient and text of each mail, oldest first."""
        paths = sorted((self.folder / "mailbox").glob("*.eml"))
        messages = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]
        return [(str(mail["To"]), mail.get_body(("plain",)).get_content()) for mail in messages]  # type: ignore[union-attr]


@pytest.fixture(scope="package")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    port, latchstring_port = free_port(), free_port()
    command = [sys.executable, RUN, "--port", port, "--latchstring-port", latchstring_port, "--folder", folder]
    # The tests sign in often, and tokens are renewed every two seconds.
    settings = {"LATCHSTRING_LIMITS__ENABLED": "false", "LATCHSTRING_ACCOUNTS__ACCESS_TOKEN_LIFETIME": "PT32S"}
    env = {**os.environ, **settings}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, env=env)
    example = Example(process, folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{latchstring_port}")
    try:
        wait_until_ready(example)
        match = re.search(r"password +(\S+)", example.logs)
        assert match
        example.password = match[1]
        yield example
    finally:
        process.terminate()
        process.wait(60)


def wait_until_ready(example: Example) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert example.process.poll() is None, example.logs
        try:
            if httpx2.get(f"{example.url}/static/app.css").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"not ready: {example.logs}")
