"""`latchstring apply`: the list in a file, the plan, and the changes."""

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


def write_file(terminal: Terminal, text: str, name: str = "list.yaml") -> str:
    path = terminal.directory / name
    path.write_text(text)
    return str(path)


def apply_list(terminal: Terminal, file: str, *options: str) -> Any:
    return terminal.json("apply", file, "--yes", *options)


def rows(terminal: Terminal, query: str) -> list[Any]:
    with sqlite3.connect(terminal.directory / "latchstring.db") as db:
        return db.execute(query).fetchall()


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_applying_a_list_twice_changes_nothing_the_second_time(terminal: Terminal) -> None:
    file = write_file(terminal, LIST)
    first = apply_list(terminal, file)
    assert (first["counts"]["create"], [entry["code"] for entry in first["results"]]) == (2, [None, None])
    assert [(entry["inviteEmail"], entry["line"]) for entry in first["plan"]] == ADA_AND_BOB
    second = apply_list(terminal, file)
    assert (second["empty"], second["counts"]["unchanged"], second["results"]) == (True, 2, None)
    stored = dict(rows(terminal, "SELECT email, metadata FROM invitations"))
    assert json.loads(stored["bob@people.test"]) == {"latchstring": {"list": "spring-2027"}}
    assert rows(terminal, "SELECT message, lifetime_seconds FROM invitations ORDER BY email")[1] == ("Welcome.", 259200)


def test_the_plan_is_a_table_with_counts(terminal: Terminal) -> None:
    output = terminal.run("apply", write_file(terminal, LIST), "--check", status=2).stdout
    output = " ".join(output.split())
    assert "+ create ada@people.test role team not invited yet" in output
    assert "+ 2 to create, ~ 0 to renew, - 0 to revoke, = 0 unchanged" in output
    assert rows(terminal, "SELECT id FROM invitations") == []


def test_check_reports_by_its_exit_status_and_changes_nothing(terminal: Terminal) -> None:
    file = write_file(terminal, LIST)
    report = json.loads(terminal.run("apply", file, "--check", "--json", status=2).stdout)
    assert (report["empty"], report["results"]) == (False, None)
    apply_list(terminal, file)
    assert "Nothing to do" in terminal.run("apply", file, "--check").stdout
    write_file(terminal, LIST.replace("role: team", "role: boss"))
    assert "line 5, role" in terminal.run("apply", file, "--check", status=1).stderr
    terminal.config.write_text(CONFIG + "[limits]\nenabeld = true")
    terminal.run("apply", file, "--check", status=1)
    terminal.run("apply", file, "--yes", status=2)


def test_prune_needs_a_list_name_and_revokes_entries_that_left_the_list(terminal: Terminal) -> None:
    file = write_file(terminal, LIST)
    apply_list(terminal, file)
    terminal.run("invite", "cleo@people.test", "--role", "team")
    write_file(terminal, LIST.partition("  - inviteEmail: bob")[0])
    assert apply_list(terminal, file)["counts"]["leftOver"] == 1
    result = apply_list(terminal, file, "--prune")
    assert [(entry["action"], entry["inviteEmail"]) for entry in result["results"]] == [("revoke", "bob@people.test")]
    states = dict(rows(terminal, "SELECT email, state FROM invitations"))
    assert states == {"ada@people.test": 0, "bob@people.test": 3, "cleo@people.test": 0}
    write_file(terminal, LIST.replace("list: spring-2027", ""))
    assert "--list some-name" in terminal.run("apply", file, "--yes", "--prune", status=2).stderr


def test_a_declined_invitation_is_created_again_only_with_again(terminal: Terminal) -> None:
    file = write_file(terminal, LIST)
    apply_list(terminal, file)
    with sqlite3.connect(terminal.directory / "latchstring.db") as db:
        db.execute("UPDATE invitations SET state = 2 WHERE email = 'ada@people.test'")
    output = terminal.run("apply", file, "--check").stdout
    assert "the person declined" in output
    assert "--again invites them again" in " ".join(output.split())
    assert apply_list(terminal, file, "--again")["counts"]["create"] == 1


# ---- confirmation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_a_terminal_yes_is_required(terminal: Terminal, options: tuple[str, ...]) -> None:
    result = terminal.run("apply", write_file(terminal, LIST), *options, status=2)
    assert "Add --yes" in result.stderr
    assert rows(terminal, "SELECT id FROM invitations") == []


@pytest.mark.parametrize(("answer", "status", "count"), [("y\n", 0, 2), ("n\n", 1, 0)])
def test_at_a_terminal_the_plan_has_to_be_confirmed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, count: int
) -> None:
    monkeypatch.setattr("latchstring.cli.apply.require_confirmation", lambda *_, **__: None)
    terminal.run("apply", write_file(terminal, LIST), stdin=answer, status=status)
    assert len(rows(terminal, "SELECT id FROM invitations")) == count


def test_a_list_can_be_read_from_standard_input(terminal: Terminal) -> None:
    assert json.loads(terminal.run("apply", "-", "--yes", "--json", stdin=LIST).stdout)["counts"]["create"] == 2


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_every_problem_is_reported_with_its_line_and_nothing_is_changed(terminal: Terminal) -> None:
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
    report = json.loads(terminal.run("apply", write_file(terminal, text), "--yes", "--json", status=1).stderr)
    assert [(entry["line"], entry["field"], entry["code"]) for entry in report["problems"]] == [
        (5, "inviteEmail", "invalid-email"),
        (6, "rolle", "unknown-field"),
        (8, "content.0", "invalid-type"),
        (9, "", "invalid-type"),
        (11, "expiresIn", "invalid-duration"),
    ]
    assert rows(terminal, "SELECT id FROM invitations") == []


def test_problems_that_need_the_database_are_reported_with_lines_as_well(terminal: Terminal) -> None:
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
    output = terminal.run("apply", write_file(terminal, text), "--yes", status=1).stderr
    assert "has 3 problems. Nothing was changed." in output
    assert "line 4, role: There is no role boss." in output
    assert "line 7, groups: There is no group nowhere." in output
    assert "line 9: CLEO@people.test is in the list twice" in output


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "The file is empty"),
        ("- a\n- b\n", 1, "Begin with `invitations:`"),
        ("list: x\n", 1, "Write `invitations:`"),
        ("invitations: all\n", 1, "Write one entry"),
        ("invitations: []\nnames: []\n", 2, "Known here: list, invitations"),
        ("invitations: []\nlist: a b\n", 2, "letters, digits"),
        ("invitations: []\nlist: a\nlist: b\n", 3, "Duplicate key list; first on line 2"),
        ("invitations:\n  - &a {inviteEmail: a@b.test}\n", 2, "Anchors and aliases"),
        ("invitations: []\n---\ninvitations: []\n", 2, "A second document"),
        ("invitations: !!python/object:os.system []\n", 1, "The tag"),
        ("invitations:\n  - a: [\n", 3, "This is not YAML"),
        ("a: " + "[" * 100 + "]" * 100, 1, "nested too deeply"),
        ("invitations: [{[a]: b}]", 1, "A key has to be text"),
    ],
)
def test_an_invalid_list_is_rejected_with_a_line(terminal: Terminal, text: str, line: int, message: str) -> None:
    output = terminal.run("apply", write_file(terminal, text), "--yes", status=1).stderr
    assert f"line {line}" in output
    assert message in output


def test_a_failed_change_ends_with_status_1_and_does_not_stop_others(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latchstring.domain.errors import StorageBusy  # noqa: PLC0415  # only here
    from latchstring.invitations.create import InvitationCreator  # noqa: PLC0415

    create = InvitationCreator.create

    async def fail_for_ada(self: InvitationCreator, draft: Any, **options: Any) -> Any:
        if draft.email.startswith("ada"):
            raise StorageBusy("Busy.")
        return await create(self, draft, **options)

    monkeypatch.setattr(InvitationCreator, "create", fail_for_ada)
    result = terminal.run("apply", write_file(terminal, LIST), "--yes", status=1)
    assert "1 done, 1 failed." in result.stdout
    assert "ada@people.test: Busy." in result.stdout


SHEET = """inviteEmail;firstName;template;groups;message
ada@people.test;Ada;new;;
;;;;
"bob@people.test";Bob;new;;"Come in.
It is warm."
"""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_can_be_csv(terminal: Terminal, encoding: str) -> None:
    path = terminal.directory / "list.csv"
    path.write_bytes(SHEET.encode(encoding))
    first = apply_list(terminal, str(path), "--list", "spring")
    assert (first["list"], first["counts"]["create"]) == ("spring", 2)
    assert rows(terminal, "SELECT message FROM invitations ORDER BY email")[1] == ("Come in.\nIt is warm.",)
    path.write_bytes(SHEET.partition("ada")[0].encode(encoding))
    pruned = apply_list(terminal, str(path), "--list", "spring", "--prune")
    assert pruned["counts"]["revoke"] == 2


def test_problems_of_a_csv_file_are_reported_by_row(terminal: Terminal) -> None:
    text = "inviteEmail,role,content\nada@people.test,boss,\nbob,team,\ncleo@people.test,,articles:READER\n"
    output = terminal.run("apply", write_file(terminal, text, "list.csv"), "--yes", status=1).stderr
    assert "row 2, inviteEmail:" in output
    assert "row 3, content: Write each object as type/key:ROLE" in output
    text = "inviteEmail,role\nada@people.test,boss\n"
    assert "row 1, role: There is no role boss" in terminal.run("apply", "-", "--yes", status=1, stdin=text).stderr
    text = "e-mail,role\nada@people.test,boss\n"
    output = terminal.run("apply", write_file(terminal, text, "list.csv"), "--yes", status=1).stderr
    assert "the file: There is no field e-mail" in output


def test_the_list_option_must_match_the_name_in_the_file(terminal: Terminal) -> None:
    file = write_file(terminal, LIST)
    assert "the file has list: spring-2027" in terminal.run("apply", file, "--yes", "--list", "autumn", status=1).stderr
    assert apply_list(terminal, file, "--list", "spring-2027")["list"] == "spring-2027"


def test_metadata_values_keep_their_types(terminal: Terminal) -> None:
    text = """
invitations:
  - inviteEmail: ada@people.test
    role: team
    message: |
      Come in.
      It is warm.
    metadata: {crmId: "0012", seats: 3, vip: true, rate: 1.5, note: no, nothing: ~}
"""
    apply_list(terminal, write_file(terminal, text, "list.yml"))
    ((metadata, message),) = rows(terminal, "SELECT metadata, message FROM invitations")
    assert json.loads(metadata) == {
        "crmId": "0012", "seats": 3, "vip": True, "rate": 1.5, "note": "no", "nothing": None,
    }  # fmt: skip
    assert message == "Come in.\nIt is warm.\n"


def test_a_list_can_be_json(terminal: Terminal) -> None:
    text = json.dumps({"list": "a", "invitations": [{"inviteEmail": "ada@people.test", "role": "team", "groups": []}]})
    assert apply_list(terminal, write_file(terminal, text, "list.json"))["counts"]["create"] == 1


def test_a_missing_file_is_reported_and_does_not_count_as_changes(terminal: Terminal, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    assert "none.yaml cannot be read" in terminal.run("apply", missing, "--yes", status=2).output
    terminal.run("apply", missing, "--check", status=1)
    terminal.run("apply", str(tmp_path), "--check", status=1)
