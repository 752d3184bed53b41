"""Renewing the master key, and refusing a wrong one."""

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


def opens(terminal: Terminal, url: str) -> bool:
    """Whether the link of an invitation is still genuine here."""

    async def look() -> bool:
        async with open_services(load_config(terminal.config, {}), beside=True) as services:
            try:
                services.invitations.links.read(url.partition("token=")[2])
            except InvitationTokenInvalid:
                return False
            return True

    return asyncio.run(look())


def test_old_keys_stay_while_a_pending_invitation_needs_them(terminal: Terminal) -> None:
    url = terminal.json("invite", "ann@acme.test", "--role", "team", "--show-link")["url"]
    (first,) = ids_of(terminal.directory / "master.key")
    second = terminal.json("keys", "rotate")["signing"]
    third = terminal.json("keys", "rotate")
    assert (third["kept"], third["removed"]) == ([second, first], [])
    assert ids_of(terminal.directory / "master.key") == [third["signing"], second, first]
    assert opens(terminal, url)


def test_keys_that_nothing_needs_are_removed(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    (first,) = ids_of(terminal.directory / "master.key")
    second = terminal.json("keys", "rotate")["signing"]
    assert terminal.json("keys", "rotate")["removed"] == [first]
    assert first not in ids_of(terminal.directory / "master.key")
    assert second in ids_of(terminal.directory / "master.key")


def test_a_compromised_key_ends_every_open_link(terminal: Terminal) -> None:
    url = terminal.json("invite", "ann@acme.test", "--role", "team", "--show-link")["url"]
    done = terminal.json("keys", "rotate", "--compromised")
    assert done["endedInvitations"] == 1
    assert done["kept"] == []
    assert ids_of(terminal.directory / "master.key") == [done["signing"]]
    assert not opens(terminal, url)


def test_a_compromised_key_can_never_sign_again(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    path = terminal.directory / "master.key"
    old = path.read_text()
    terminal.run("keys", "rotate", "--compromised")
    path.write_text(old)
    assert "given up as compromised" in terminal.run("user", "create", "--email", "b@acme.test", status=2).stderr


def test_another_key_is_refused(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    (terminal.directory / "master.key").write_text(format_keys((new_master_key(),)))
    done = terminal.run("user", "create", "--email", "b@acme.test", status=2)
    assert "belongs to another master key" in done.stderr


def test_a_missing_key_file_is_not_replaced_by_a_new_one(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    path = terminal.directory / "master.key"
    path.unlink()
    assert "Restore it from a backup" in terminal.run("user", "create", "--email", "b@acme.test", status=2).stderr
    assert not path.exists()


def test_a_weak_key_is_refused(terminal: Terminal) -> None:
    (terminal.directory / "master.key").write_text("weak:" + "A" * 43)
    assert "weak" in terminal.run("user", "create", "--email", "a@acme.test", status=2).stderr


def test_a_key_of_the_environment_is_printed_instead_of_written(terminal: Terminal) -> None:
    terminal.run("user", "create", "--email", "a@acme.test")
    key = (terminal.directory / "master.key").read_text().strip()
    terminal.config.write_text(CONFIG.replace('master-key-file = "master.key"', f'master-key = "{key}"'))
    done = terminal.json("keys", "rotate")
    assert [one.id for one in parse_keys(done["masterKey"])] == [done["signing"], *done["kept"]]


# ---- second factors of administrators --------------------------------------------------------------------------------

PASSWORD = "correct horse 9 Battery"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs beside these tests that would have to notice the new key."""
    monkeypatch.setattr(rotation, "RELOAD_SECONDS", 0)


def enrol(terminal: Terminal) -> None:
    """Make an administrator with a second factor."""
    terminal.run("admin", "create", "--email", "a@acme.test", "--password-stdin", text=PASSWORD)

    async def work() -> None:
        async with open_services(load_config(terminal.config, {}), beside=True) as services:
            admins = services.admins
            new = await admins.sessions.login("a@acme.test", PASSWORD, user_agent="", network="")
            visit = await admins.sessions.find(new.token)
            assert visit
            await admins.second_factors.start(visit)
            visit = await admins.sessions.find(new.token)
            assert visit
            secret = admins.second_factors._unseal(visit.admin)
            assert secret
            await admins.second_factors.confirm(visit, totp_code(secret, step_at(system_clock()) - 1), PASSWORD)

    asyncio.run(work())


def lets_in(terminal: Terminal) -> bool:
    """Whether the second factor can still be read here."""

    async def look() -> bool:
        async with open_services(load_config(terminal.config, {}), beside=True) as services:
            (admin,) = await services.admins.list_all()
            return services.admins.second_factors._unseal(admin) is not None

    return asyncio.run(look())


@pytest.mark.usefixtures("impatient")
def test_second_factors_survive_every_renewal_and_keep_no_old_key(terminal: Terminal) -> None:
    enrol(terminal)
    (first,) = ids_of(terminal.directory / "master.key")
    second = terminal.json("keys", "rotate")["signing"]
    assert lets_in(terminal)
    third = terminal.json("keys", "rotate")
    assert (third["removed"], third["kept"]) == ([first], [second])
    assert lets_in(terminal)
    fourth = terminal.json("keys", "rotate", "--compromised")
    assert ids_of(terminal.directory / "master.key") == [fourth["signing"]]
    assert lets_in(terminal)


@pytest.mark.usefixtures("impatient")
def test_a_key_of_the_environment_stays_while_a_second_factor_needs_it(terminal: Terminal) -> None:
    enrol(terminal)
    key = (terminal.directory / "master.key").read_text().strip()
    for _ in range(2):
        terminal.config.write_text(CONFIG.replace('master-key-file = "master.key"', f'master-key = """{key}"""'))
        assert lets_in(terminal)
        key = terminal.json("keys", "rotate")["masterKey"]
    assert key.count(":") == 3


def test_a_lost_phone_is_helped_on_the_server(terminal: Terminal) -> None:
    enrol(terminal)
    done = terminal.json("admin", "reset-second-factor", "A@acme.test")
    assert (done["email"], done["secondFactor"]) == ("a@acme.test", False)
    assert not lets_in(terminal)
    refused = terminal.run("admin", "reset-second-factor", "nobody@acme.test", status=1)
    assert "No administrator has the address nobody@acme.test." in refused.stderr
