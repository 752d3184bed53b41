"""The example as `make example` starts it."""

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
    """Both processes, where they keep things, and how to get in."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str
    latchstring_url: str
    password: str = ""

    @property
    def logs(self) -> str:
        return "".join((self.folder / name).read_text(errors="replace") for name in ("said.txt", "latchstring.log"))

    def link(self, address: str, about: str = "") -> str:
        """The link in the newest mail to the address with these words in it, once there is one."""
        end = time.monotonic() + START_SECONDS
        while not (mails := [text for to, text in self.mails() if to == address and about in " ".join(text.split())]):
            assert time.monotonic() < end, f"no mail with {about} for {address}"
            time.sleep(0.05)
        found = re.search(r"^(http\S+token=\S+)\s*$", mails[-1], re.MULTILINE)
        assert found, mails[-1]
        return found[1]

    def ask(self, method: str, path: str) -> httpx2.Response:
        """A call to Latchstring by the operator's key."""
        config = str(self.folder / "latchstring.toml")
        command: list[str | Path] = [
            Path(sys.executable).with_name("latchstring"),
            "--config",
            config,
            "api-key",
            "create",
        ]
        made = subprocess.run([*command, "--name", "Test", "--scope", "*"], capture_output=True, text=True, check=True)
        headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
        return httpx2.request(method, f"{self.latchstring_url}/api{path}", headers=headers).raise_for_status()

    def mails(self) -> list[tuple[str, str]]:
        """To whom, and the text; oldest first."""
        paths = sorted((self.folder / "mailbox").glob("*.eml"))
        read = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]
        return [(str(mail["To"]), mail.get_body(("plain",)).get_content()) for mail in read]  # type: ignore[union-attr]


@pytest.fixture(scope="package")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    port, latchstring_port = free_port(), free_port()
    command = [sys.executable, RUN, "--port", port, "--latchstring-port", latchstring_port, "--folder", folder]
    # Mira signs in more often here than people do, and tokens are renewed every other second.
    settings = {"LATCHSTRING_LIMITS__ENABLED": "false", "LATCHSTRING_ACCOUNTS__ACCESS_TOKEN_LIFETIME": "PT32S"}
    env = {**os.environ, **settings}
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen([str(part) for part in command], stdout=said, stderr=said, env=env)
    running = Example(process, folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{latchstring_port}")
    try:
        wait_until_ready(running)
        found = re.search(r"password +(\S+)", running.logs)
        assert found
        running.password = found[1]
        yield running
    finally:
        process.terminate()
        process.wait(60)


def wait_until_ready(running: Example) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert running.process.poll() is None, running.logs
        try:
            if httpx2.get(f"{running.url}/static/app.css").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"not ready: {running.logs}")
