"""Rotation of the master key, and rejection of a wrong key."""

import asyncio
from pathlib import Path

import pytest
from tests.cli.conftest import CONFIG, Terminal

from latchstring.bootstrap import key_rotation as rotation
from latchstring.bootstrap.services import open_services
from latchstring.config import load_config
from latchstring.crypto.keyring import format_keys, new_master_key, parse_keys
from latchstring.crypto.totp import step_at, totp_code
from latchstring.domain.clock import system_clock
from latchstring.domain.errors import InvitationTokenInvalid


def ids_of(path: Path) -> list[str]:
    return [key.id for key in parse_keys(path.read_text())]


def is_link_valid(terminal: Terminal, url: str) -> bool:
    """Whether the token of the link is signed with a current key."""

    async def verify() -> bool:
        async with open_services(load_config(terminal.config, {}), short_lived=True) as services:
            try:
                services.invitations.links.read(url.partition("token=")[2])
            except InvitationTokenInvalid:
                return False
            return True

    return asyncio.run(verify())


def test_old_keys_stay_while_a_pending_invitation_needs_them(terminal: Terminal) -> None:
    url = terminal.json("invite", "ann@acme.test", "--role", "team", "--show-link")["url"]
    (first_key,) = ids_of(terminal.directory / "master.key")
    second_key = terminal.json("keys", "rotate")["signing"]
    third_rotation = terminal.json("keys", "rotate")
    assert (third_rotation["kept"], third_rotation["removed"]) == ([second_key, first_key], [])
    assert ids_of(terminal.directory / "master.key") == [third_rotation["signing"], second_key, first_key]
    assert is_link_valid(terminal, url)


def test_unused_keys_are_removed(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    (first_key,) = ids_of(terminal.directory / "master.key")
    second_key = terminal.json("keys", "rotate")["signing"]
    assert terminal.json("keys", "rotate")["removed"] == [first_key]
    assert first_key not in ids_of(terminal.directory / "master.key")
    assert second_key in ids_of(terminal.directory / "master.key")


def test_a_compromised_key_revokes_every_open_link(terminal: Terminal) -> None:
    url = terminal.json("invite", "ann@acme.test", "--role", "team", "--show-link")["url"]
    result = terminal.json("keys", "rotate", "--compromised")
    assert result["endedInvitations"] == 1
    assert result["kept"] == []
    assert ids_of(terminal.directory / "master.key") == [result["signing"]]
    assert not is_link_valid(terminal, url)


def test_a_compromised_key_can_never_sign_again(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    path = terminal.directory / "master.key"
    old_key = path.read_text()
    terminal.run("keys", "rotate", "--compromised")
    path.write_text(old_key)
    assert "revoked as compromised" in terminal.run("user", "create", "--email", "b@acme.test", status=2).stderr


def test_another_key_is_rejected(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    (terminal.directory / "master.key").write_text(format_keys((new_master_key(),)))
    result = terminal.run("user", "create", "--email", "b@acme.test", status=2)
    assert "belongs to another master key" in result.stderr


def test_a_missing_key_file_is_not_replaced_by_a_new_one(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    path = terminal.directory / "master.key"
    path.unlink()
    assert "Restore it from a backup" in terminal.run("user", "create", "--email", "b@acme.test", status=2).stderr
    assert not path.exists()


def test_a_weak_key_is_rejected(terminal: Terminal) -> None:
    (terminal.directory / "master.key").write_text("weak:" + "A" * 43)
    assert "weak" in terminal.run("user", "create", "--email", "a@acme.test", status=2).stderr


def test_a_key_of_the_environment_is_printed_instead_of_written(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    key = (terminal.directory / "master.key").read_text().strip()
    terminal.config.write_text(CONFIG.replace('master-key-file = "master.key"', f'master-key = "{key}"'))
    result = terminal.json("keys", "rotate")
    assert [key.id for key in parse_keys(result["masterKey"])] == [result["signing"], *result["kept"]]


# ---- second factors of administrators --------------------------------------------------------------------------------

PASSWORD = "correct horse 9 Battery"


@pytest.fixture
def no_reload_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for servers to reload the key, as none runs in these tests."""
    monkeypatch.setattr(rotation, "RELOAD_SECONDS", 0)


def enrol(terminal: Terminal) -> None:
    """Create an administrator with a second factor."""
    terminal.run("admin", "create", "--email", "a@acme.test", "--password-stdin", stdin=PASSWORD)

    async def confirm_second_factor() -> None:
        async with open_services(load_config(terminal.config, {}), short_lived=True) as services:
            admins = services.admins
            login = await admins.sessions.login("a@acme.test", PASSWORD, user_agent="", network="")
            session = await admins.sessions.find(login.token)
            assert session
            await admins.second_factors.start(session)
            session = await admins.sessions.find(login.token)
            assert session
            secret = admins.second_factors._unseal(session.admin)
            assert secret
            await admins.second_factors.confirm(
                session, totp_code(secret, step_at(system_clock()) - 1), PASSWORD, network=""
            )

    asyncio.run(confirm_second_factor())


def can_unseal(terminal: Terminal) -> bool:
    """Whether the second factor can be unsealed with a current key."""

    async def unseal() -> bool:
        async with open_services(load_config(terminal.config, {}), short_lived=True) as services:
            (admin,) = await services.admins.list_all()
            return services.admins.second_factors._unseal(admin) is not None

    return asyncio.run(unseal())


@pytest.mark.usefixtures("no_reload_delay")
def test_second_factors_survive_every_rotation_and_keep_no_old_key(terminal: Terminal) -> None:
    enrol(terminal)
    (first_key,) = ids_of(terminal.directory / "master.key")
    second_key = terminal.json("keys", "rotate")["signing"]
    assert can_unseal(terminal)
    third_rotation = terminal.json("keys", "rotate")
    assert (third_rotation["removed"], third_rotation["kept"]) == ([first_key], [second_key])
    assert can_unseal(terminal)
    fourth_rotation = terminal.json("keys", "rotate", "--compromised")
    assert ids_of(terminal.directory / "master.key") == [fourth_rotation["signing"]]
    assert can_unseal(terminal)


@pytest.mark.usefixtures("no_reload_delay")
def test_a_key_of_the_environment_stays_while_a_second_factor_needs_it(terminal: Terminal) -> None:
    enrol(terminal)
    key = (terminal.directory / "master.key").read_text().strip()
    for _ in range(2):
        terminal.config.write_text(CONFIG.replace('master-key-file = "master.key"', f'master-key = """{key}"""'))
        assert can_unseal(terminal)
        key = terminal.json("keys", "rotate")["masterKey"]
    assert key.count(":") == 3


def test_a_second_factor_can_be_reset_on_the_command_line(terminal: Terminal) -> None:
    enrol(terminal)
    result = terminal.json("admin", "reset-second-factor", "A@acme.test")
    assert (result["email"], result["secondFactor"]) == ("a@acme.test", False)
    assert not can_unseal(terminal)
    result = terminal.run("admin", "reset-second-factor", "nobody@acme.test", status=1)
    assert "No administrator has the address nobody@acme.test." in result.stderr
