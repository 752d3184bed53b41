"""Commands that do one task and exit."""

import json
import re
import subprocess
import sys

import pytest
from tests.cli.conftest import CONFIG, Terminal

from latchstring.cli import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(terminal: Terminal, command: str) -> None:
    assert "Usage:" in terminal.run(command, "--help").output
    assert command in terminal.run("--help").output


def test_help_imports_no_large_libraries() -> None:
    code = (
        "import sys; from latchstring.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'sqlalchemy', 'starlette', 'alembic', 'msgspec', 'structlog'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


# ---- configuration ---------------------------------------------------------------------------------------------------


def test_an_unusable_configuration_ends_with_status_2_and_all_problems(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG + '[limits]\nenabeld = true\n[accounts]\ndefault-role = "x"')
    result = terminal.run("migrate", status=2)
    assert "limits.enabeld" in result.stderr
    assert "accounts.default-role" in result.stderr
    assert result.stdout == ""


def test_problems_can_be_printed_as_json(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG + "[limits]\nenabeld = true")
    error = json.loads(terminal.run("migrate", "--json", status=2).stderr)
    assert error["code"] == "configuration"
    assert [problem["key"] for problem in error["problems"]] == ["limits.enabeld"]


def test_a_missing_configuration_file_is_reported(terminal: Terminal) -> None:
    terminal.config.unlink()
    assert "no such file" in terminal.run("doctor", status=2).stderr


# ---- migrate ---------------------------------------------------------------------------------------------------------


def test_migrating_twice_changes_nothing(terminal: Terminal) -> None:
    assert "Nothing to do" in terminal.run("migrate").stdout
    assert terminal.json("migrate")["changed"] is False
    terminal.run("migrate", "--check")


def test_check_exits_with_status_1_for_a_pending_migration(terminal: Terminal) -> None:
    (terminal.directory / "latchstring.db").unlink()
    assert "latchstring migrate" in terminal.run("migrate", "--check", status=1).stderr
    assert not (terminal.directory / "latchstring.db").exists()


def test_a_command_before_the_first_migration_suggests_migrate(terminal: Terminal) -> None:
    (terminal.directory / "latchstring.db").unlink()
    result = terminal.run("user", "create", "--email", "a@acme.test", status=1)
    assert "Run `latchstring migrate`" in result.stderr


def test_files_are_readable_by_their_owner_only(terminal: Terminal) -> None:
    terminal.run("invite", "a@acme.test", "--role", "team")
    modes = {path.name: path.stat().st_mode & 0o077 for path in terminal.directory.iterdir()}
    assert modes.pop("latchstring.toml")
    assert set(modes.values()) == {0}


# ---- API keys --------------------------------------------------------------------------------------------------------


def test_only_the_key_is_on_standard_output(terminal: Terminal) -> None:
    result = terminal.run("api-key", "create", "--name", "suite", "--scope", "*")
    assert re.fullmatch(r"lsk_\w+\n", result.stdout)
    assert "cannot be shown again" in result.stderr


def test_scope_star_may_grant_all_roles_and_others_the_given_ones(terminal: Terminal) -> None:
    assert terminal.json("api-key", "create", "--name", "a", "--scope", "*")["mayGrant"] == ["*"]
    created = terminal.json(
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
    assert created["mayGrant"] == ["admin", "team"]
    assert terminal.json("api-key", "create", "--name", "c", "--scope", "invitations:write")["mayGrant"] == []


def test_unknown_scopes_and_roles_are_reported_together(terminal: Terminal) -> None:
    result = terminal.run("api-key", "create", "--name", "a", "--scope", "invite", "--may-grant", "boss", status=1)
    assert "There is no permission invite" in result.stderr
    assert "There is no role boss" in result.stderr
    assert result.stdout == ""


# ---- accounts --------------------------------------------------------------------------------------------------------


def test_an_administrator_without_a_password_gets_a_set_up_link(terminal: Terminal) -> None:
    created = terminal.json("admin", "create", "--email", "boss@acme.test", "--role", "manager")
    assert created["role"] == "manager"
    assert created["setUpUrl"].startswith("http://127.0.0.1:9/admin/set-up?token=ey")


def test_a_link_is_printed_on_one_line(terminal: Terminal) -> None:
    result = terminal.run("admin", "create", "--email", "boss@acme.test")
    assert re.search(r"/admin/set-up\?token=ey[\w.-]{150,}$", result.stdout, re.MULTILINE)


def test_a_password_is_read_from_standard_input(terminal: Terminal) -> None:
    arguments = ("admin", "create", "--email", "boss@acme.test", "--password-stdin")
    assert terminal.json(*arguments, stdin="nine quiet herons\n")["setUpUrl"] is None
    assert "Standard input is empty" in terminal.run(*arguments, stdin="", status=2).stderr


def test_a_weak_password_is_refused(terminal: Terminal) -> None:
    result = terminal.run("user", "create", "--email", "a@acme.test", "--password-stdin", stdin="short\n", status=1)
    assert "password: Use at least 10 characters" in result.stderr


def test_a_user_is_created_once(terminal: Terminal) -> None:
    created = terminal.json("user", "create", "--email", "ann@acme.test", "--first-name", "Ann", "--role", "team")
    assert (created["email"], created["name"], created["role"]) == ("ann@acme.test", "Ann", "team")
    error = json.loads(terminal.run("user", "create", "--email", "ANN@acme.test", "--json", status=1).stderr)
    assert error["code"] == "email-taken"


@pytest.mark.parametrize("address", ["nobody", "a@b@c.test", "a b@c.test"])
def test_an_address_is_validated_before_the_database_is_opened(terminal: Terminal, address: str) -> None:
    assert "Invalid value for 'EMAIL'" in terminal.run("invite", address, "--role", "team", status=2).output


# ---- invite ----------------------------------------------------------------------------------------------------------


def test_an_invitation_is_created_and_its_mail_queued(terminal: Terminal) -> None:
    created = terminal.json("invite", "ann@acme.test", "--role", "team", "--expires-in", "P2D", "--message", "Come in.")
    assert (created["inviteEmail"], created["role"], created["delivery"], created["url"]) == (
        "ann@acme.test",
        "team",
        "QUEUED",
        None,
    )


def test_a_template_supplies_omitted_options(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG + '[templates.new]\nrole = "team"\nlifetime = "P2D"\n')
    assert terminal.json("invite", "ann@acme.test", "--template", "new")["role"] == "team"
    assert terminal.json("invite", "ann@acme.test", "--template", "new", "--role", "admin")["role"] == "admin"
    result = terminal.run("invite", "ann@acme.test", "--template", "old", status=1)
    assert "There is no template old. Known: new." in result.stderr


def test_a_second_invitation_is_rejected_with_the_id_of_the_first(terminal: Terminal) -> None:
    first = terminal.json("invite", "ann@acme.test", "--role", "team")
    error = json.loads(terminal.run("invite", "ann@acme.test", "--role", "team", "--json", status=1).stderr)
    assert (error["code"], error["id"]) == ("already-invited", first["id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Choose at least a role"),
        (["--role", "boss"], "There is no role boss"),
        (["--group", "nowhere"], "nowhere"),
        (["--content", "articles/a:VIEWER"], "articles"),
    ],
)
def test_an_invitation_without_valid_grants_is_rejected(terminal: Terminal, arguments: list[str], message: str) -> None:
    assert message in terminal.run("invite", "ann@acme.test", *arguments, status=1).stderr


def test_a_content_grant_is_written_as_type_key_and_role(terminal: Terminal) -> None:
    result = terminal.run("invite", "ann@acme.test", "--content", "articles", status=2)
    assert "articles/welcome:EDITOR" in " ".join(result.output.replace("│", " ").split())


def test_show_link_prints_the_link(terminal: Terminal) -> None:
    created = terminal.json("invite", "ann@acme.test", "--role", "team", "--show-link")
    assert created["url"].startswith("http://127.0.0.1:9/invitation?token=ey")


def test_with_mail_off_the_command_says_that_nothing_is_sent(terminal: Terminal) -> None:
    terminal.config.write_text(CONFIG.replace('"mailbox"\nmailbox', '"off"\nmailbox'))
    assert "mail is off" in terminal.run("invite", "ann@acme.test", "--role", "team").stderr
