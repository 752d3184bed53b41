"""`latchstring apply`: a list in a file, the plan, and what is done about it."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CONFIG, Terminal

LIST = """
list: spring-2027
invitations:
  - inviteEmail: ada@people.test
    role: team
    firstName: Ada
  - inviteEmail: bob@people.test
    template: new
"""
TEMPLATE = '\n[templates.new]\nrole = "team"\nmessage = "Welcome."\nlifetime = "P3D"\n'
ADA_AND_BOB = [("ada@people.test", 4), ("bob@people.test", 7)]


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    terminal.config.write_text(CONFIG + TEMPLATE)
    return terminal


def write(terminal: Terminal, text: str, name: str = "list.yaml") -> str:
    path = terminal.directory / name
    path.write_text(text)
    return str(path)


def applied(terminal: Terminal, file: str, *options: str) -> Any:
    return terminal.json("apply", file, "--yes", *options)


def rows(terminal: Terminal, query: str) -> list[Any]:
    with sqlite3.connect(terminal.directory / "latchstring.db") as db:
        return db.execute(query).fetchall()


# ---- applying --------------------------------------------------------------------------------------------------------


def test_a_list_is_applied_and_a_second_time_changes_nothing(terminal: Terminal) -> None:
    file = write(terminal, LIST)
    first = applied(terminal, file)
    assert (first["counts"]["create"], [one["code"] for one in first["results"]]) == (2, [None, None])
    assert [(one["inviteEmail"], one["line"]) for one in first["plan"]] == ADA_AND_BOB
    second = applied(terminal, file)
    assert (second["empty"], second["counts"]["unchanged"], second["results"]) == (True, 2, None)
    stored = dict(rows(terminal, "SELECT email, metadata FROM invitations"))
    assert json.loads(stored["bob@people.test"]) == {"latchstring": {"list": "spring-2027"}}
    assert rows(terminal, "SELECT message, lifetime_seconds FROM invitations ORDER BY email")[1] == ("Welcome.", 259200)


def test_the_plan_is_a_table_with_counts(terminal: Terminal) -> None:
    shown = terminal.run("apply", write(terminal, LIST), "--check", status=2).stdout
    shown = " ".join(shown.split())
    assert "+ create ada@people.test role team not invited yet" in shown
    assert "+ 2 to create, ~ 0 to renew, - 0 to revoke, = 0 unchanged" in shown
    assert rows(terminal, "SELECT id FROM invitations") == []


def test_check_tells_by_its_status_and_changes_nothing(terminal: Terminal) -> None:
    file = write(terminal, LIST)
    told = json.loads(terminal.run("apply", file, "--check", "--json", status=2).stdout)
    assert (told["empty"], told["results"]) == (False, None)
    applied(terminal, file)
    assert "Nothing to do" in terminal.run("apply", file, "--check").stdout
    write(terminal, LIST.replace("role: team", "role: boss"))
    assert "line 5, role" in terminal.run("apply", file, "--check", status=1).stderr
    terminal.config.write_text(CONFIG + "[limits]\nenabeld = true")
    terminal.run("apply", file, "--check", status=1)
    terminal.run("apply", file, "--yes", status=2)


def test_pruning_needs_a_name_and_withdraws_what_left_the_list(terminal: Terminal) -> None:
    file = write(terminal, LIST)
    applied(terminal, file)
    terminal.run("invite", "cleo@people.test", "--role", "team")
    write(terminal, LIST.partition("  - inviteEmail: bob")[0])
    assert applied(terminal, file)["counts"]["leftOver"] == 1
    done = applied(terminal, file, "--prune")
    assert [(one["action"], one["inviteEmail"]) for one in done["results"]] == [("revoke", "bob@people.test")]
    states = dict(rows(terminal, "SELECT email, state FROM invitations"))
    assert states == {"ada@people.test": 0, "bob@people.test": 3, "cleo@people.test": 0}
    write(terminal, LIST.replace("list: spring-2027", ""))
    assert "--list some-name" in terminal.run("apply", file, "--yes", "--prune", status=2).stderr


def test_what_a_person_ended_waits_for_again(terminal: Terminal) -> None:
    file = write(terminal, LIST)
    applied(terminal, file)
    with sqlite3.connect(terminal.directory / "latchstring.db") as db:
        db.execute("UPDATE invitations SET state = 2 WHERE email = 'ada@people.test'")
    shown = terminal.run("apply", file, "--check").stdout
    assert "the person declined" in shown
    assert "--again invites them anew" in " ".join(shown.split())
    assert applied(terminal, file, "--again")["counts"]["create"] == 1


# ---- asking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_nobody_can_be_asked_yes_has_to_be_said_before(terminal: Terminal, options: tuple[str, ...]) -> None:
    done = terminal.run("apply", write(terminal, LIST), *options, status=2)
    assert "Add --yes" in done.stderr
    assert rows(terminal, "SELECT id FROM invitations") == []


@pytest.mark.parametrize(("answer", "status", "made"), [("y\n", 0, 2), ("n\n", 1, 0)])
def test_at_a_terminal_the_plan_is_confirmed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, made: int
) -> None:
    monkeypatch.setattr("latchstring.cli.apply.require_an_answer", lambda *_, **__: None)
    terminal.run("apply", write(terminal, LIST), text=answer, status=status)
    assert len(rows(terminal, "SELECT id FROM invitations")) == made


def test_a_list_comes_through_standard_input(terminal: Terminal) -> None:
    assert json.loads(terminal.run("apply", "-", "--yes", "--json", text=LIST).stdout)["counts"]["create"] == 2


# ---- refusing --------------------------------------------------------------------------------------------------------


def test_every_problem_is_told_with_its_line_and_nothing_is_changed(terminal: Terminal) -> None:
    text = """
invitations:
  - inviteEmail: ada@people.test
    role: boss
  - inviteEmail: nobody
    rolle: team
  - inviteEmail: bob@people.test
    content: [articles/a:READER, articles/b:VIEWER]
  - just a text
  - inviteEmail: cleo@people.test
    expiresIn: 7 days
    locale: no
"""
    told = json.loads(terminal.run("apply", write(terminal, text), "--yes", "--json", status=1).stderr)
    assert [(one["line"], one["field"], one["code"]) for one in told["problems"]] == [
        (5, "inviteEmail", "invalid-email"),
        (6, "rolle", "unknown-field"),
        (8, "content.0", "invalid-type"),
        (9, "", "invalid-type"),
        (11, "expiresIn", "invalid-duration"),
    ]
    assert rows(terminal, "SELECT id FROM invitations") == []


def test_what_only_the_database_knows_is_told_with_lines_too(terminal: Terminal) -> None:
    text = """
invitations:
  - inviteEmail: ada@people.test
    role: boss
  - inviteEmail: bob@people.test
    groups:
      - nowhere
  - {inviteEmail: cleo@people.test, role: team}
  - {inviteEmail: CLEO@people.test, role: team}
"""
    shown = terminal.run("apply", write(terminal, text), "--yes", status=1).stderr
    assert "has 3 problems. Nothing was changed." in shown
    assert "line 4, role: There is no role boss." in shown
    assert "line 7, groups: There is no group nowhere." in shown
    assert "line 9: CLEO@people.test stands in the list twice" in shown


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "The file is empty"),
        ("- a\n- b\n", 1, "Begin with `invitations:`"),
        ("list: x\n", 1, "Write `invitations:`"),
        ("invitations: all\n", 1, "Write one entry"),
        ("invitations: []\nnames: []\n", 2, "Known here: list, invitations"),
        ("invitations: []\nlist: a b\n", 2, "letters, digits"),
        ("invitations: []\nlist: a\nlist: b\n", 3, "list stands here twice; first on line 2"),
        ("invitations:\n  - &a {inviteEmail: a@b.test}\n", 2, "Anchors and aliases"),
        ("invitations: []\n---\ninvitations: []\n", 2, "A second document"),
        ("invitations: !!python/object:os.system []\n", 1, "The tag"),
        ("invitations:\n  - a: [\n", 3, "This is not YAML"),
        ("a: " + "[" * 100 + "]" * 100, 1, "nested too deeply"),
        ("invitations: [{[a]: b}]", 1, "A key is a word"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_its_line(terminal: Terminal, text: str, line: int, says: str) -> None:
    shown = terminal.run("apply", write(terminal, text), "--yes", status=1).stderr
    assert f"line {line}" in shown
    assert says in shown


def test_a_failure_on_the_way_ends_with_status_1_and_stops_no_other(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latchstring.domain.errors import StorageBusy  # noqa: PLC0415  # only here
    from latchstring.invitations.create import InvitationCreator  # noqa: PLC0415

    create = InvitationCreator.create

    async def fails_for_ada(self: InvitationCreator, draft: Any, **options: Any) -> Any:
        if draft.email.startswith("ada"):
            raise StorageBusy("Busy.")
        return await create(self, draft, **options)

    monkeypatch.setattr(InvitationCreator, "create", fails_for_ada)
    done = terminal.run("apply", write(terminal, LIST), "--yes", status=1)
    assert "1 done, 1 failed." in done.stdout
    assert "ada@people.test: Busy." in done.stdout


SHEET = """inviteEmail;firstName;template;groups;message
ada@people.test;Ada;new;;
;;;;
"bob@people.test";Bob;new;;"Come in.
It is warm."
"""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_may_be_a_spreadsheet(terminal: Terminal, encoding: str) -> None:
    path = terminal.directory / "list.csv"
    path.write_bytes(SHEET.encode(encoding))
    first = applied(terminal, str(path), "--list", "spring")
    assert (first["list"], first["counts"]["create"]) == ("spring", 2)
    assert rows(terminal, "SELECT message FROM invitations ORDER BY email")[1] == ("Come in.\nIt is warm.",)
    path.write_bytes(SHEET.partition("ada")[0].encode(encoding))
    pruned = applied(terminal, str(path), "--list", "spring", "--prune")
    assert pruned["counts"]["revoke"] == 2


def test_problems_of_a_spreadsheet_are_told_by_row(terminal: Terminal) -> None:
    text = "inviteEmail,role,content\nada@people.test,boss,\nbob,team,\ncleo@people.test,,articles:READER\n"
    shown = terminal.run("apply", write(terminal, text, "list.csv"), "--yes", status=1).stderr
    assert "row 2, inviteEmail:" in shown
    assert "row 3, content: Write each object as type/key:ROLE" in shown
    text = "inviteEmail,role\nada@people.test,boss\n"
    assert "row 1, role: There is no role boss" in terminal.run("apply", "-", "--yes", status=1, text=text).stderr
    text = "e-mail,role\nada@people.test,boss\n"
    shown = terminal.run("apply", write(terminal, text, "list.csv"), "--yes", status=1).stderr
    assert "the file: There is no field e-mail" in shown


def test_the_name_of_a_list_is_said_once(terminal: Terminal) -> None:
    file = write(terminal, LIST)
    assert "the file says spring-2027" in terminal.run("apply", file, "--yes", "--list", "autumn", status=1).stderr
    assert applied(terminal, file, "--list", "spring-2027")["list"] == "spring-2027"


def test_metadata_keep_their_types(terminal: Terminal) -> None:
    text = """
invitations:
  - inviteEmail: ada@people.test
    role: team
    message: |
      Come in.
      It is warm.
    metadata: {crmId: "0012", seats: 3, vip: true, rate: 1.5, note: no, nothing: ~}
"""
    applied(terminal, write(terminal, text, "list.yml"))
    ((metadata, message),) = rows(terminal, "SELECT metadata, message FROM invitations")
    assert json.loads(metadata) == {
        "crmId": "0012", "seats": 3, "vip": True, "rate": 1.5, "note": "no", "nothing": None,
    }  # fmt: skip
    assert message == "Come in.\nIt is warm.\n"


def test_json_is_yaml_enough(terminal: Terminal) -> None:
    text = json.dumps({"list": "a", "invitations": [{"inviteEmail": "ada@people.test", "role": "team", "groups": []}]})
    assert applied(terminal, write(terminal, text, "list.json"))["counts"]["create"] == 1


def test_a_missing_file_is_named_and_is_no_drift(terminal: Terminal, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    assert "none.yaml cannot be read" in terminal.run("apply", missing, "--yes", status=2).output
    terminal.run("apply", missing, "--check", status=1)
    terminal.run("apply", str(tmp_path), "--check", status=1)
