"""Commands that do one thing and end."""

import json
import re
import subprocess
import sys

import pytest
from tests.cli.conftest import CONFIG, Terminal

from latchstring.cli import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(terminal: Terminal, command: str) -> None:
    assert "Usage:" in terminal.run(command, "--help").output
    assert command in terminal.run("--help").output


def test_help_imports_none_of_the_heavy_parts() -> None:
    code = (
        "import sys; from latchstring.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'sqlalchemy', 'starlette', 'alembic', 'msgspec', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# ---- configuration ---------------------------------------------------------------------------------------------------


def test_an_unusable_configuration_ends_with_status_2_and_all_problems(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG + '[limits]\nenabeld = true\n[accounts]\ndefault-role = "x"')
    done = terminal.run("migrate", status=2)
    assert "limits.enabeld" in done.stderr
    assert "accounts.default-role" in done.stderr
    assert done.stdout == ""


def test_problems_can_be_had_as_json(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG + "[limits]\nenabeld = true")
    told = json.loads(terminal.run("migrate", "--json", status=2).stderr)
    assert told["code"] == "configuration"
    assert [problem["key"] for problem in told["problems"]] == ["limits.enabeld"]


def test_a_missing_configuration_file_is_named(terminal: Terminal) -> None:
    terminal.config.unlink()
    assert "no such file" in terminal.run("doctor", status=2).stderr


# ---- migrate ---------------------------------------------------------------------------------------------------------


def test_migrating_twice_changes_nothing(terminal: Terminal) -> None:
    assert "Nothing to do" in terminal.run("migrate").stdout
    assert terminal.json("migrate")["changed"] is False
    terminal.run("migrate", "--check")


def test_a_pending_migration_is_told_by_status_1(terminal: Terminal) -> None:
    (terminal.directory / "latchstring.db").unlink()
    assert "latchstring migrate" in terminal.run("migrate", "--check", status=1).stderr
    assert not (terminal.directory / "latchstring.db").exists()


def test_a_command_before_the_first_migration_says_what_to_do(terminal: Terminal) -> None:
    (terminal.directory / "latchstring.db").unlink()
    done = terminal.run("user", "create", "--email", "a@acme.test", status=1)
    assert "Run `latchstring migrate`" in done.stderr


def test_files_are_for_their_owner_alone(terminal: Terminal) -> None:
    terminal.run("invite", "a@acme.test", "--role", "team")
    modes = {path.name: path.stat().st_mode & 0o077 for path in terminal.directory.iterdir()}
    assert modes.pop("latchstring.toml")
    assert set(modes.values()) == {0}


# ---- API keys --------------------------------------------------------------------------------------------------------


def test_a_key_stands_alone_on_standard_output(terminal: Terminal) -> None:
    done = terminal.run("api-key", "create", "--name", "suite", "--scope", "*")
    assert re.fullmatch(r"lsk_\w+\n", done.stdout)
    assert "cannot be shown again" in done.stderr


def test_scope_star_may_grant_all_and_others_what_is_said(terminal: Terminal) -> None:
    assert terminal.json("api-key", "create", "--name", "a", "--scope", "*")["mayGrant"] == ["*"]
    made = terminal.json(
        "api-key",
        "create",
        "--name",
        "b",
        "--scope",
        "invitations:write",
        "--may-grant",
        "team",
        "--may-grant",
        "admin",
    )
    assert made["mayGrant"] == ["admin", "team"]
    assert terminal.json("api-key", "create", "--name", "c", "--scope", "invitations:write")["mayGrant"] == []


def test_unknown_scopes_and_roles_are_told_together(terminal: Terminal) -> None:
    done = terminal.run("api-key", "create", "--name", "a", "--scope", "invite", "--may-grant", "boss", status=1)
    assert "There is no permission invite" in done.stderr
    assert "There is no role boss" in done.stderr
    assert done.stdout == ""


# ---- people ----------------------------------------------------------------------------------------------------------


def test_an_administrator_without_a_password_gets_a_set_up_link(terminal: Terminal) -> None:
    made = terminal.json("admin", "create", "--email", "boss@acme.test", "--role", "manager")
    assert made["role"] == "manager"
    assert made["setUpUrl"].startswith("http://127.0.0.1:9/admin/set-up?token=ey")


def test_a_link_is_printed_in_one_piece(terminal: Terminal) -> None:
    done = terminal.run("admin", "create", "--email", "boss@acme.test")
    assert re.search(r"/admin/set-up\?token=ey[\w.-]{150,}$", done.stdout, re.MULTILINE)


def test_a_password_comes_from_standard_input(terminal: Terminal) -> None:
    arguments = ("admin", "create", "--email", "boss@acme.test", "--password-stdin")
    assert terminal.json(*arguments, text="nine quiet herons\n")["setUpUrl"] is None
    assert "Standard input is empty" in terminal.run(*arguments, text="", status=2).stderr


def test_a_weak_password_is_refused(terminal: Terminal) -> None:
    done = terminal.run("user", "create", "--email", "a@acme.test", "--password-stdin", text="short\n", status=1)
    assert "password: Use at least 10 characters" in done.stderr


def test_an_account_is_made_once(terminal: Terminal) -> None:
    made = terminal.json("user", "create", "--email", "ann@acme.test", "--first-name", "Ann", "--role", "team")
    assert (made["email"], made["name"], made["role"]) == ("ann@acme.test", "Ann", "team")
    told = json.loads(terminal.run("user", "create", "--email", "ANN@acme.test", "--json", status=1).stderr)
    assert told["code"] == "email-taken"


@pytest.mark.parametrize("address", ["nobody", "a@b@c.test", "a b@c.test"])
def test_an_address_is_checked_before_anything_is_opened(terminal: Terminal, address: str) -> None:
    assert "Invalid value for 'EMAIL'" in terminal.run("invite", address, "--role", "team", status=2).output


# ---- invite ----------------------------------------------------------------------------------------------------------


def test_an_invitation_is_made_and_its_mail_promised(terminal: Terminal) -> None:
    made = terminal.json("invite", "ann@acme.test", "--role", "team", "--expires-in", "P2D", "--message", "Come in.")
    assert (made["inviteEmail"], made["role"], made["delivery"], made["url"]) == (
        "ann@acme.test",
        "team",
        "QUEUED",
        None,
    )


def test_a_template_fills_in_what_is_not_said(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG + '[templates.new]\nrole = "team"\nlifetime = "P2D"\n')
    assert terminal.json("invite", "ann@acme.test", "--template", "new")["role"] == "team"
    assert terminal.json("invite", "ann@acme.test", "--template", "new", "--role", "admin")["role"] == "admin"
    done = terminal.run("invite", "ann@acme.test", "--template", "old", status=1)
    assert "There is no template old. Known: new." in done.stderr


def test_an_invitation_twice_names_the_first(terminal: Terminal) -> None:
    first = terminal.json("invite", "ann@acme.test", "--role", "team")
    told = json.loads(terminal.run("invite", "ann@acme.test", "--role", "team", "--json", status=1).stderr)
    assert (told["code"], told["id"]) == ("already-invited", first["id"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Choose at least a role"),
        (["--role", "boss"], "There is no role boss"),
        (["--group", "nowhere"], "nowhere"),
        (["--content", "articles/a:VIEWER"], "articles"),
    ],
)
def test_an_invitation_to_nothing_or_nowhere_is_refused(terminal: Terminal, arguments: list[str], says: str) -> None:
    assert says in terminal.run("invite", "ann@acme.test", *arguments, status=1).stderr


def test_a_content_grant_is_written_as_type_key_and_role(terminal: Terminal) -> None:
    done = terminal.run("invite", "ann@acme.test", "--content", "articles", status=2)
    assert "articles/welcome:EDITOR" in " ".join(done.output.replace("│", " ").split())


def test_a_link_to_hand_over_can_be_shown(terminal: Terminal) -> None:
    made = terminal.json("invite", "ann@acme.test", "--role", "team", "--show-link")
    assert made["url"].startswith("http://127.0.0.1:9/invitation?token=ey")


def test_with_mail_off_the_command_says_that_nothing_is_sent(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG.replace('"mailbox"\nmailbox', '"off"\nmailbox'))
    assert "mail is off" in terminal.run("invite", "ann@acme.test", "--role", "team").stderr
