"""`latchstring import`: dry run, import by a job, interruption and resumption."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from tests.cli.conftest import CONFIG, Terminal
from tests.support.clock import PATIENCE_SECONDS

from latchstring.cli import import_file

SHEET = """inviteEmail;firstName;role
ada@people.test;Ada;team
bob@people.test;Bob;boss
Ada@people.test;Ada again;team

cleo@people.test;Cleo;team
"""
TEMPLATE = '\n[templates.new]\nrole = "team"\nmessage = "Welcome."\n[limits]\nenabled = false\n'


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    terminal.config.write_text(CONFIG + TEMPLATE)
    return terminal


def write_file(terminal: Terminal, text: str, name: str = "people.csv", encoding: str = "utf-8") -> str:
    path = terminal.directory / name
    path.write_bytes(text.encode(encoding))
    return str(path)


def rows(terminal: Terminal, query: str) -> list[Any]:
    with sqlite3.connect(terminal.directory / "latchstring.db") as db:
        return db.execute(query).fetchall()


def invited_emails(terminal: Terminal) -> list[str]:
    return [email for (email,) in rows(terminal, "SELECT email FROM invitations ORDER BY email")]


def sheet_of(count: int) -> str:
    return "inviteEmail,template\n" + "".join(f"p{number}@people.test,new\n" for number in range(count))


# ---- dry run ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_result_of_each_row_and_changes_nothing(terminal: Terminal) -> None:
    result = terminal.run("import", write_file(terminal, SHEET), "--dry-run", status=1)
    output = " ".join(result.stdout.split())
    assert "2 refused bob@people.test" in output
    assert "There is no role boss." in output
    assert "3 duplicate Ada@people.test Duplicate of row 1." in output
    assert "2 to invite, 1 duplicate, 0 member already, 1 refused" in output
    assert invited_emails(terminal) == []
    report = json.loads(terminal.run("import", write_file(terminal, SHEET), "--dry-run", "--json", status=1).stdout)
    assert report["counts"] == {"CREATE": 2, "DUPLICATE": 1, "MEMBER": 0, "REFUSED": 1}
    assert [(row["row"], row["status"], row["code"]) for row in report["rows"]] == [
        (1, "CREATE", None), (2, "REFUSED", "unknown-role"), (3, "DUPLICATE", "duplicate-row"), (4, "CREATE", None),
    ]  # fmt: skip
    good = write_file(terminal, sheet_of(2))
    assert "2 to invite" in terminal.run("import", good, "--dry-run").stdout


def test_rejected_rows_are_shown_before_duplicates(terminal: Terminal) -> None:
    broken = [f"broken{number}@" for number in range(20)]
    sheet = sheet_of(300) + sheet_of(300).upper().partition("\n")[2].replace("NEW", "new")
    sheet += "".join(f"{address},new\n" for address in broken)
    result = terminal.run("import", write_file(terminal, sheet), "--dry-run", status=1)
    assert all(address in result.stdout for address in broken)
    assert "… and 120 more" in result.stdout
    assert "300 to invite, 300 duplicate, 0 member already, 20 refused" in result.stdout


# ---- import ----------------------------------------------------------------------------------------------------------


def test_valid_rows_are_invited_and_rejected_rows_are_reported(terminal: Terminal) -> None:
    report = terminal.directory / "report.csv"
    file = write_file(terminal, SHEET, encoding="utf-16")
    result = terminal.run("import", file, "--yes", "--here", "--report", str(report), status=1)
    assert "Done: 2 invited, 1 skipped, 1 refused." in result.stdout
    assert invited_emails(terminal) == ["ada@people.test", "cleo@people.test"]
    written = list(csv.DictReader(io.StringIO(report.read_text(encoding="utf-8-sig"))))
    assert [(row["row"], row["status"], row["email"]) for row in written] == [
        ("1", "CREATE", "ada@people.test"),
        ("2", "REFUSED", "bob@people.test"),
        ("3", "DUPLICATE", "Ada@people.test"),
        ("4", "CREATE", "cleo@people.test"),
    ]
    again = terminal.run("import", file, "--yes", "--here", "--json", status=1)
    summary = json.loads(again.stdout)
    assert (summary["created"], summary["skipped"], summary["refused"], summary["state"]) == (0, 3, 1, "DONE")


def test_json_from_standard_input_with_a_template(terminal: Terminal) -> None:
    text = json.dumps([{"inviteEmail": "ada@people.test", "template": "new"}, {"inviteEmail": "bob@people.test"}])
    report = json.loads(terminal.run("import", "-", "--yes", "--here", "--json", stdin=text, status=1).stdout)
    assert (report["created"], report["refused"]) == (1, 1)
    assert report["rows"][0]["code"] == "grant-required"
    assert rows(terminal, "SELECT role, message FROM invitations") == [("team", "Welcome.")]


def test_the_encoding_can_be_given(terminal: Terminal) -> None:
    text = "inviteEmail;role;lastName\nada@people.test;team;Löwe\n"
    file = write_file(terminal, text, encoding="windows-1252")
    assert "Save it as CSV UTF-8" in terminal.run("import", file, "--yes", status=2).stderr
    terminal.run("import", file, "--yes", "--here", "--encoding", "windows-1252")
    assert rows(terminal, "SELECT last_name FROM invitations") == [("Löwe",)]
    assert "Known:" in terminal.run("import", file, "--yes", "--encoding", "klingon", status=2).stderr


def test_columns_with_other_headings_can_be_mapped(terminal: Terminal) -> None:
    text = "E-Mail;Vorname;role;Punkte\nada@people.test;Ada;team;7\n"
    file = write_file(terminal, text)
    assert "There is no field E-Mail" in terminal.run("import", file, "--yes", status=2).stderr
    terminal.run("import", file, "--yes", "--here", "--column", "invite-email= e-mail", "--column", "firstName=Vorname")
    assert rows(terminal, "SELECT email, first_name, role FROM invitations") == [("ada@people.test", "Ada", "team")]
    for invalid in ("E-Mail", "mail=E-Mail", "firstName="):
        assert "Write FIELD=HEADING" in terminal.run("import", file, "--yes", "--column", invalid, status=2).stderr


def test_without_a_worker_the_command_processes_the_rows(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "PICK_UP_SECONDS", 0)
    assert "2 invited" in terminal.run("import", write_file(terminal, sheet_of(2)), "--yes").stdout


@pytest.mark.parametrize(("answer", "status", "count"), [("y\n", 0, 2), ("n\n", 1, 0)])
def test_at_a_terminal_the_import_has_to_be_confirmed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, count: int
) -> None:
    monkeypatch.setattr(import_file, "require_confirmation", lambda *_, **__: None)
    terminal.run("import", write_file(terminal, sheet_of(2)), "--here", stdin=answer, status=status)
    assert len(invited_emails(terminal)) == count


def test_with_nobody_to_invite_no_confirmation_is_requested(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_file, "require_confirmation", lambda *_, **__: None)
    file = write_file(terminal, sheet_of(2))
    terminal.run("import", file, "--yes", "--here")
    assert "There is nobody to invite" in terminal.run("import", file).stderr


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "people.csv", "The file is empty"),
        ("inviteEmail,roll\n", "people.csv", "There is no field roll"),
        ('{"inviteEmail": "a@b.test"}', "people.json", "Send a JSON array"),
        ('[{"inviteEmail": ', "people.json", "not a JSON array"),
    ],
)
def test_an_unreadable_file_ends_with_status_2(terminal: Terminal, text: str, name: str, message: str) -> None:
    assert message in terminal.run("import", write_file(terminal, text, name), "--yes", status=2).stderr
    assert rows(terminal, "SELECT id FROM jobs") == []


def test_a_file_without_rows_or_without_addresses_is_rejected(terminal: Terminal) -> None:
    assert "at least one row" in terminal.run("import", "-", "--yes", status=1, stdin="[]").stderr
    assert "inviteEmail" in terminal.run("import", "-", "--yes", status=1, stdin="role\nteam\n").stderr


@pytest.mark.parametrize("arguments", [(), ("people.csv", "--resume", "01890a5d-ac96-774b-bcce-b302099a8057")])
def test_either_a_file_or_a_job_is_required(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    arguments = tuple(write_file(terminal, SHEET) if name == "people.csv" else name for name in arguments)
    assert "Name a file, or a job" in terminal.run("import", *arguments, status=2).stderr


def test_without_a_terminal_yes_is_required(terminal: Terminal) -> None:
    assert "--dry-run" in terminal.run("import", write_file(terminal, SHEET), status=2).stderr


def test_an_unknown_job_is_rejected(terminal: Terminal) -> None:
    result = terminal.run("import", "--resume", "01890a5d-ac96-774b-bcce-b302099a8057", status=1)
    assert "no such job" in result.stderr


# ---- interruption ----------------------------------------------------------------------------------------------------


def start(terminal: Terminal, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "latchstring", "--config", str(terminal.config), "import", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=terminal.directory,
    )  # fmt: skip


@contextmanager
def locked_in_progress(terminal: Terminal) -> Iterator[None]:
    """Lock the database after the first batch of the job, so that it cannot write another."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with closing(sqlite3.connect(terminal.directory / "latchstring.db", timeout=0, isolation_level=None)) as db:
        while not try_lock_started_job(db):
            assert time.monotonic() < deadline, "the job does not start"
            time.sleep(0.001)
        yield
        db.execute("ROLLBACK")


def try_lock_started_job(db: sqlite3.Connection) -> bool:
    """Take the write lock if some rows are done. Returns whether this connection has it now."""
    with suppress(sqlite3.OperationalError):  # another connection has the lock
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT id FROM jobs WHERE done > 0").fetchone():
            return True
        db.execute("ROLLBACK")
    return False


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_job_is_resumed_and_nobody_is_invited_twice(
    terminal: Terminal, signal_number: signal.Signals
) -> None:
    count = 6000
    running = start(terminal, write_file(terminal, sheet_of(count)), "--yes", "--here")
    with locked_in_progress(terminal):
        os.kill(running.pid, signal_number)
    _, stderr = running.communicate(timeout=120)
    ((job_id, done_count),) = rows(terminal, "SELECT id, done FROM jobs")
    assert 0 < done_count < count
    if signal_number is signal.SIGINT:
        assert running.returncode == 130
        assert f"import --resume {job_id}" in stderr
    else:
        assert "Traceback" not in stderr
    report = json.loads(terminal.run("import", "--resume", job_id, "--here", "--json").stdout)
    assert (report["created"], report["total"]) == (count, count)
    assert rows(terminal, "SELECT count(*), count(DISTINCT email_key) FROM invitations") == [(count, count)]
    assert rows(terminal, "SELECT count(DISTINCT subject_id) FROM outbox") == [(count,)]
