"""`latchstring import`: a file looked at, invited by a job, left and taken up again."""

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

from latchstring.cli import import_file as importing

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


def write(terminal: Terminal, text: str, name: str = "people.csv", encoding: str = "utf-8") -> str:
    path = terminal.directory / name
    path.write_bytes(text.encode(encoding))
    return str(path)


def rows(terminal: Terminal, query: str) -> list[Any]:
    with sqlite3.connect(terminal.directory / "latchstring.db") as db:
        return db.execute(query).fetchall()


def invited(terminal: Terminal) -> list[str]:
    return [email for (email,) in rows(terminal, "SELECT email FROM invitations ORDER BY email")]


def people(count: int) -> str:
    return "inviteEmail,template\n" + "".join(f"p{number}@people.test,new\n" for number in range(count))


# ---- looking ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_each_row_and_changes_nothing(terminal: Terminal) -> None:
    done = terminal.run("import", write(terminal, SHEET), "--dry-run", status=1)
    shown = " ".join(done.stdout.split())
    assert "2 refused bob@people.test" in shown
    assert "There is no role boss." in shown
    assert "3 duplicate Ada@people.test Duplicate of row 1." in shown
    assert "2 to invite, 1 duplicate, 0 member already, 1 refused" in shown
    assert invited(terminal) == []
    told = json.loads(terminal.run("import", write(terminal, SHEET), "--dry-run", "--json", status=1).stdout)
    assert told["counts"] == {"CREATE": 2, "DUPLICATE": 1, "MEMBER": 0, "REFUSED": 1}
    assert [(row["row"], row["status"], row["code"]) for row in told["rows"]] == [
        (1, "CREATE", None), (2, "REFUSED", "unknown-role"), (3, "DUPLICATE", "duplicate-row"), (4, "CREATE", None),
    ]  # fmt: skip
    good = write(terminal, people(2))
    assert "2 to invite" in terminal.run("import", good, "--dry-run").stdout


def test_rows_to_be_mended_are_shown_before_the_many_that_are_there_twice(terminal: Terminal) -> None:
    broken = [f"broken{number}@" for number in range(20)]
    sheet = people(300) + people(300).upper().partition("\n")[2].replace("NEW", "new")
    sheet += "".join(f"{address},new\n" for address in broken)
    done = terminal.run("import", write(terminal, sheet), "--dry-run", status=1)
    assert all(address in done.stdout for address in broken)
    assert "… and 120 more" in done.stdout
    assert "300 to invite, 300 duplicate, 0 member already, 20 refused" in done.stdout


# ---- importing -------------------------------------------------------------------------------------------------------


def test_rows_are_invited_and_refused_ones_told(terminal: Terminal) -> None:
    report = terminal.directory / "report.csv"
    file = write(terminal, SHEET, encoding="utf-16")
    done = terminal.run("import", file, "--yes", "--here", "--report", str(report), status=1)
    assert "Done: 2 invited, 1 skipped, 1 refused." in done.stdout
    assert invited(terminal) == ["ada@people.test", "cleo@people.test"]
    written = list(csv.DictReader(io.StringIO(report.read_text(encoding="utf-8-sig"))))
    assert [(row["row"], row["status"], row["email"]) for row in written] == [
        ("1", "CREATE", "ada@people.test"),
        ("2", "REFUSED", "bob@people.test"),
        ("3", "DUPLICATE", "Ada@people.test"),
        ("4", "CREATE", "cleo@people.test"),
    ]
    again = terminal.run("import", file, "--yes", "--here", "--json", status=1)
    told = json.loads(again.stdout)
    assert (told["created"], told["skipped"], told["refused"], told["state"]) == (0, 3, 1, "DONE")


def test_json_from_standard_input_with_a_template(terminal: Terminal) -> None:
    text = json.dumps([{"inviteEmail": "ada@people.test", "template": "new"}, {"inviteEmail": "bob@people.test"}])
    told = json.loads(terminal.run("import", "-", "--yes", "--here", "--json", text=text, status=1).stdout)
    assert (told["created"], told["refused"]) == (1, 1)
    assert told["rows"][0]["code"] == "grant-required"
    assert rows(terminal, "SELECT role, message FROM invitations") == [("team", "Welcome.")]


def test_an_encoding_can_be_said(terminal: Terminal) -> None:
    text = "inviteEmail;role;lastName\nada@people.test;team;Löwe\n"
    file = write(terminal, text, encoding="windows-1252")
    assert "Save it as CSV UTF-8" in terminal.run("import", file, "--yes", status=2).stderr
    terminal.run("import", file, "--yes", "--here", "--encoding", "windows-1252")
    assert rows(terminal, "SELECT last_name FROM invitations") == [("Löwe",)]
    assert "Known:" in terminal.run("import", file, "--yes", "--encoding", "klingon", status=2).stderr


def test_columns_of_other_names_can_be_told(terminal: Terminal) -> None:
    text = "E-Mail;Vorname;role;Punkte\nada@people.test;Ada;team;7\n"
    file = write(terminal, text)
    assert "There is no field E-Mail" in terminal.run("import", file, "--yes", status=2).stderr
    terminal.run("import", file, "--yes", "--here", "--column", "invite-email= e-mail", "--column", "firstName=Vorname")
    assert rows(terminal, "SELECT email, first_name, role FROM invitations") == [("ada@people.test", "Ada", "team")]
    for wrong in ("E-Mail", "mail=E-Mail", "firstName="):
        assert "Write FIELD=HEADING" in terminal.run("import", file, "--yes", "--column", wrong, status=2).stderr


def test_where_no_worker_runs_the_command_works_itself(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PATIENCE_SECONDS", 0)
    assert "2 invited" in terminal.run("import", write(terminal, people(2)), "--yes").stdout


@pytest.mark.parametrize(("answer", "status", "made"), [("y\n", 0, 2), ("n\n", 1, 0)])
def test_at_a_terminal_the_verdicts_are_confirmed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, made: int
) -> None:
    monkeypatch.setattr(importing, "require_an_answer", lambda *_, **__: None)
    terminal.run("import", write(terminal, people(2)), "--here", text=answer, status=status)
    assert len(invited(terminal)) == made


def test_when_nobody_is_left_to_invite_nothing_is_asked(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "require_an_answer", lambda *_, **__: None)
    file = write(terminal, people(2))
    terminal.run("import", file, "--yes", "--here")
    assert "Nobody is left to invite" in terminal.run("import", file).stderr


# ---- refusing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("", "people.csv", "The file is empty"),
        ("inviteEmail,roll\n", "people.csv", "There is no field roll"),
        ('{"inviteEmail": "a@b.test"}', "people.json", "Send a JSON array"),
        ('[{"inviteEmail": ', "people.json", "not a JSON array"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_ends_with_status_2(
    terminal: Terminal, text: str, name: str, says: str
) -> None:
    assert says in terminal.run("import", write(terminal, text, name), "--yes", status=2).stderr
    assert rows(terminal, "SELECT id FROM jobs") == []


def test_a_file_without_rows_and_one_without_addresses_are_refused(terminal: Terminal) -> None:
    assert "at least one row" in terminal.run("import", "-", "--yes", status=1, text="[]").stderr
    assert "inviteEmail" in terminal.run("import", "-", "--yes", status=1, text="role\nteam\n").stderr


@pytest.mark.parametrize("arguments", [(), ("people.csv", "--resume", "01890a5d-ac96-774b-bcce-b302099a8057")])
def test_a_file_or_a_job_is_named(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    given = [write(terminal, SHEET) if one == "people.csv" else one for one in arguments]
    assert "Name a file, or a job" in terminal.run("import", *given, status=2).stderr


def test_where_nobody_can_be_asked_yes_has_to_be_said_before(terminal: Terminal) -> None:
    assert "--dry-run" in terminal.run("import", write(terminal, SHEET), status=2).stderr


def test_a_job_that_is_not_there_is_told(terminal: Terminal) -> None:
    done = terminal.run("import", "--resume", "01890a5d-ac96-774b-bcce-b302099a8057", status=1)
    assert "no such job" in done.stderr


# ---- leaving ---------------------------------------------------------------------------------------------------------


def start(terminal: Terminal, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "latchstring", "--config", str(terminal.config), "import", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=terminal.directory,
    )  # fmt: skip


@contextmanager
def stopped_in_the_middle(terminal: Terminal) -> Iterator[None]:
    """Keep the job from writing any more from the first batch that it has written."""
    end = time.monotonic() + PATIENCE_SECONDS
    with closing(sqlite3.connect(terminal.directory / "latchstring.db", timeout=0, isolation_level=None)) as db:
        while not has_locked_a_begun_job(db):
            assert time.monotonic() < end, "the job does not begin"
            time.sleep(0.001)
        yield
        db.execute("ROLLBACK")


def has_locked_a_begun_job(db: sqlite3.Connection) -> bool:
    """Whether this connection has the lock for writing now, and some rows are done."""
    with suppress(sqlite3.OperationalError):  # somebody else has it
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT id FROM jobs WHERE done > 0").fetchone():
            return True
        db.execute("ROLLBACK")
    return False


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_job_that_was_left_is_taken_up_and_nobody_is_invited_twice(terminal: Terminal, how: signal.Signals) -> None:
    count = 6000
    running = start(terminal, write(terminal, people(count)), "--yes", "--here")
    with stopped_in_the_middle(terminal):
        os.kill(running.pid, how)
    _, said = running.communicate(timeout=120)
    ((job, done),) = rows(terminal, "SELECT id, done FROM jobs")
    assert 0 < done < count
    if how is signal.SIGINT:
        assert running.returncode == 130
        assert f"import --resume {job}" in said
    else:
        assert "Traceback" not in said
    told = json.loads(terminal.run("import", "--resume", job, "--here", "--json").stdout)
    assert (told["created"], told["total"]) == (count, count)
    assert rows(terminal, "SELECT count(*), count(DISTINCT email_key) FROM invitations") == [(count, count)]
    assert rows(terminal, "SELECT count(DISTINCT subject_id) FROM outbox") == [(count,)]
