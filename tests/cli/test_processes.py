"""Commands that run until they are stopped: their start, their end, and their child processes."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import URL
from tests.cli.conftest import CONFIG
from tests.support.clock import PATIENCE_SECONDS, time_limit

from latchstring.storage.engine.postgres import connect_arguments

pytestmark = pytest.mark.slow
COMMAND = Path(sys.executable).with_name("latchstring")


@dataclass
class ProcessEnv:
    """Runs commands as processes in a directory."""

    directory: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        log = (self.directory / f"{len(self.running)}.log").open("w")
        with log:
            process = subprocess.Popen(
                [COMMAND, *arguments], cwd=self.directory, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        self.running.append(process)
        return process

    def output_of(self, process: subprocess.Popen[str]) -> str:
        return (self.directory / f"{self.running.index(process)}.log").read_text()

    def wait_for(self, process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            match = re.search(pattern, self.output_of(process))
            if match:
                return match
            assert process.poll() is None, self.output_of(process)
            time.sleep(0.02)
        raise AssertionError(self.output_of(process))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([COMMAND, *arguments], cwd=self.directory, capture_output=True, text=True, check=False)


@pytest.fixture
def process_env(tmp_path: Path) -> Iterator[ProcessEnv]:
    (tmp_path / "latchstring.toml").write_text(CONFIG)
    process_env = ProcessEnv(tmp_path)
    yield process_env
    for process in process_env.running:
        process.kill()
        process.wait()


@pytest.fixture
def cluster(process_env: ProcessEnv, postgres_server: URL) -> Iterator[ProcessEnv]:
    """A ProcessEnv with an empty PostgreSQL database."""
    name = f"processes_{os.getpid()}_{time.time_ns()}"
    asyncio.run(execute(postgres_server, f"CREATE DATABASE {name}"))
    url = postgres_server.set(database=name).render_as_string(hide_password=False)
    (process_env.directory / "latchstring.toml").write_text(
        CONFIG.replace("sqlite+aiosqlite:///latchstring.db", url).replace('"mailbox"\nmailbox', '"off"\nmailbox')
    )
    yield process_env
    for process in process_env.running:
        process.kill()
        process.wait()
    asyncio.run(execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


async def execute(server: URL, statement: str) -> None:
    connection = await asyncpg.connect(**connect_arguments(server))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def get(url: str, path: str, key: str = "") -> str:
    """The body of a response with status 200."""
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()
    finally:
        connection.close()


def is_ready(url: str) -> bool:
    return bool(json.loads(get(url, "/readyz")) == {"status": "ready"})


def children_of(process: subprocess.Popen[str]) -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(number) for number in text.split()]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- one process -----------------------------------------------------------------------------------------------------


def test_serve_migrates_sqlite_and_prints_its_url_when_it_is_ready(process_env: ProcessEnv) -> None:
    server = process_env.start("serve", "--port", "0")
    url = process_env.wait_for(server, r"^listening on (http://127\.0\.0\.1:\d+)$".replace("^", r"(?m)^"))[1]
    assert is_ready(url)


def test_sigterm_ends_a_server_with_status_0_in_time(process_env: ProcessEnv) -> None:
    server = process_env.start("serve", "--port", "0")
    url = process_env.wait_for(server, r"listening on (\S+)")[1]
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as idle:  # a client that does not complete its request
        idle.sendall(b"POST /api/invitations/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
        started_at = time.monotonic()
        server.terminate()
        assert server.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - started_at < time_limit(10)


def test_for_a_port_in_use_the_port_option_is_suggested(process_env: ProcessEnv) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = process_env.run("serve", "--port", str(listener.getsockname()[1]))
    assert result.returncode == 1
    assert "is in use" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("arguments", [["serve", "--processes", "2"], ["worker"], ["worker", "--processes", "2"]])
def test_sqlite_allows_one_process_only(process_env: ProcessEnv, arguments: list[str]) -> None:
    result = process_env.run(*arguments)
    assert result.returncode == 2
    assert "PostgreSQL" in result.stderr


def test_two_migrations_at_the_same_time_succeed(cluster: ProcessEnv) -> None:
    processes = [cluster.start("migrate"), cluster.start("migrate")]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]


def test_serve_migrates_postgresql_only_with_the_option(cluster: ProcessEnv) -> None:
    result = cluster.run("serve", "--port", "0")
    assert result.returncode == 1
    assert "latchstring migrate" in result.stderr
    server = cluster.start("serve", "--port", "0", "--migrate")
    assert is_ready(cluster.wait_for(server, r"listening on (\S+)")[1])


# ---- several processes -----------------------------------------------------------------------------------------------


@pytest.fixture
def server_processes(cluster: ProcessEnv) -> tuple[ProcessEnv, subprocess.Popen[str], str]:
    server = cluster.start("serve", "--port", "0", "--migrate", "--processes", "2")
    return cluster, server, cluster.wait_for(server, r"listening on (\S+)")[1]


ServerProcesses = tuple[ProcessEnv, subprocess.Popen[str], str]


def test_a_child_that_dies_is_replaced(server_processes: ServerProcesses) -> None:
    process_env, server, url = server_processes
    children = children_of(server)
    os.kill(children[0], signal.SIGKILL)
    process_env.wait_for(server, "starting another")
    wait_until(lambda: len(children_of(server)) == 2 and children[0] not in children_of(server))
    assert is_ready(url)


def test_children_of_a_killed_parent_end_and_release_the_port(
    server_processes: ServerProcesses,
) -> None:
    process_env, server, url = server_processes
    children = children_of(server)
    server.kill()
    restarted = process_env.start("serve", "--port", url.rpartition(":")[2])
    process_env.wait_for(restarted, "listening on")
    wait_until(lambda: not any(is_alive(child) for child in children))
    assert is_ready(url)


def test_sigterm_ends_all_processes_in_time(server_processes: ServerProcesses) -> None:
    _, server, _ = server_processes
    children = children_of(server)
    started_at = time.monotonic()
    server.terminate()
    assert server.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - started_at < time_limit(10)
    assert not any(is_alive(child) for child in children)


def test_metrics_include_all_processes(server_processes: ServerProcesses) -> None:
    _, _, url = server_processes
    for _ in range(8):
        is_ready(url)
    count = 'request_duration_seconds_count{method="GET",route="/readyz",status="200"} 8.0'
    assert count in get(url, "/metrics")


def test_workers_start_beside_a_server_and_end_in_time(cluster: ProcessEnv) -> None:
    assert cluster.run("migrate").returncode == 0
    single, several = cluster.start("worker"), cluster.start("worker", "--processes", "2")
    for worker in (single, several):
        cluster.wait_for(worker, "(?m)^working$")
        worker.terminate()
    assert [worker.wait(12) for worker in (single, several)] == [0, 0]


def test_if_no_process_can_start_serve_reports_the_reason_and_exits(cluster: ProcessEnv) -> None:
    result = cluster.run("serve", "--port", "0", "--processes", "2")
    assert result.returncode == 1
    assert "latchstring migrate" in result.stderr


# ---- demo ------------------------------------------------------------------------------------------------------------


def test_the_demo_sends_a_mail_and_keeps_its_data_after_a_restart(process_env: ProcessEnv) -> None:
    server = process_env.start("demo", "--port", "0")
    url = process_env.wait_for(server, r"listening on (\S+)")[1]
    key = process_env.wait_for(server, r"Bearer (lsk_\w+)")[1]
    wait_until(lambda: len(list((process_env.directory / "var/mailbox").glob("*.eml"))) == 1)
    assert "guest@people.example" in get(url, "/dev/mail")
    server.terminate()
    assert server.wait(12) == 0

    restarted = process_env.start("demo", "--port", url.rpartition(":")[2])
    assert process_env.wait_for(restarted, r"Bearer (lsk_\w+)")[1] == key
    (invitation,) = json.loads(get(url, "/api/invitations", key))["items"]
    assert invitation["inviteEmail"] == "guest@people.example"
