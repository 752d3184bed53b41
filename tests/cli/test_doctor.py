"""`latchstring doctor` finds problems, names the configuration key, and suggests a fix."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import URL
from tests.cli.conftest import Terminal
from tests.support.smtp_server import ScriptedServer, scripted_server

from latchstring.bootstrap.database import database_url, open_keyring
from latchstring.bootstrap.doctor.local import check_configuration, check_database, check_key
from latchstring.bootstrap.doctor.network import check_mail, check_public_url
from latchstring.bootstrap.doctor.templates import check_templates
from latchstring.config import Config, load_config
from latchstring.crypto.keyring import Keyring, new_master_key
from latchstring.domain.settings import App, MailRules, SmtpSettings
from latchstring.domain.views.health import Finding, Health
from latchstring.storage.engine import schema
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.installation import ensure_installation

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def only_bad(findings: list[Finding]) -> Finding:
    (bad_finding,) = [finding for finding in findings if finding.health is Health.FAILED]
    assert bad_finding.remedy
    return bad_finding


@pytest.fixture
def config(sqlite_url: URL, tmp_path: Path) -> Config:
    env = {"LATCHSTRING_DATABASE__URL": f"sqlite+aiosqlite:///{sqlite_url.database}"}
    return load_config(None, env, folder=tmp_path)


# ---- mail ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def mail_server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        server.extensions = ("AUTH PLAIN LOGIN",)
        yield server


def rules(server: ScriptedServer, **smtp: object) -> MailRules:
    settings = SmtpSettings(host="127.0.0.1", port=server.port, tls="none")
    return MailRules(sender="a@acme.test", smtp=replace(settings, **smtp))  # type: ignore[arg-type]


async def test_a_working_mail_server_is_good_and_receives_no_mail(mail_server: ScriptedServer) -> None:
    findings = await check_mail(rules(mail_server, username="u", password="p"))
    assert [finding.health for finding in findings] == [Health.PASSED]
    assert not mail_server.received


async def test_a_wrong_smtp_password_is_bad(mail_server: ScriptedServer) -> None:
    mail_server.replies["auth"] = ["535 5.7.8 no"] * 3
    finding = only_bad(await check_mail(rules(mail_server, username="latch", password="hush")))
    assert "refuses the password of latch" in finding.message
    assert "mail.smtp.password" in finding.remedy
    assert "hush" not in str(finding)


async def test_a_mail_server_without_the_configured_encryption_is_bad(mail_server: ScriptedServer) -> None:
    finding = only_bad(await check_mail(rules(mail_server, tls="starttls")))
    assert "mail.smtp.tls" in finding.remedy


async def test_an_unreachable_mail_server_is_bad() -> None:
    async with scripted_server() as closed_server:
        pass
    assert "mail.smtp.host" in only_bad(await check_mail(rules(closed_server))).remedy


@pytest.mark.parametrize("transport", ["off", "mailbox"])
async def test_a_transport_without_delivery_is_a_warning(tmp_path: Path, transport: str) -> None:
    (finding,) = await check_mail(MailRules(transport=transport, mailbox_directory=str(tmp_path / "mails")))
    assert finding.health is Health.WARNING


# ---- public URL ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def http_server(body: bytes, *, date: datetime = NOW, status: str = "200 OK") -> AsyncIterator[str]:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        stamp = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
        head = f"HTTP/1.1 {status}\r\nDate: {stamp}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def with_public_url(config: Config, url: str) -> Config:
    return replace(config, app=App(public_url=url), mail=MailRules(transport="mailbox"))


async def test_a_public_url_of_this_server_is_good(config: Config) -> None:
    async with http_server(b'{"status": "ok"}') as url:
        findings = await check_public_url(with_public_url(config, url), now=lambda: NOW)
    assert [finding.health for finding in findings] == [Health.PASSED]


async def test_an_unreachable_public_url_is_bad(config: Config) -> None:
    async with http_server(b"") as url:
        pass
    assert "app.public-url" in only_bad(await check_public_url(with_public_url(config, url))).remedy


async def test_a_public_url_of_another_server_is_bad(config: Config) -> None:
    async with http_server(b"<h1>Welcome</h1>", status="404 Not Found") as url:
        assert "answers 404" in only_bad(await check_public_url(with_public_url(config, url))).message


async def test_a_wrong_clock_is_a_warning(config: Config) -> None:
    async with http_server(b'{"status": "ok"}', date=NOW - timedelta(minutes=10)) as url:
        findings = await check_public_url(with_public_url(config, url), now=lambda: NOW)
    assert [finding.check for finding in findings if finding.health is Health.WARNING] == ["clock"]


# ---- key, database, configuration ------------------------------------------------------------------------------------


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


def with_key(config: Config, path: Path) -> Config:
    return replace(config, secrets=replace(config.secrets, master_key_file=path))


def test_a_read_only_key_folder_is_bad_before_the_first_start(config: Config, read_only_folder: Path) -> None:
    findings, keyring = check_key(with_key(config, read_only_folder / "master.key"))
    assert str(read_only_folder) in only_bad(findings).remedy
    assert keyring is None


def test_a_read_only_key_file_is_bad(config: Config) -> None:
    open_keyring(config)
    config.secrets.master_key_file.chmod(0o400)
    assert "chmod 600" in only_bad(check_key(config)[0]).remedy


def test_a_key_file_that_others_may_read_is_a_warning(config: Config) -> None:
    open_keyring(config)
    config.secrets.master_key_file.chmod(0o644)
    assert [finding.health for finding in check_key(config)[0]] == [Health.PASSED, Health.WARNING]


def test_the_check_creates_no_key(config: Config) -> None:
    findings, _ = check_key(config)
    assert [finding.health for finding in findings] == [Health.PASSED]
    assert not config.secrets.master_key_file.exists()


async def test_a_migrated_database_is_good(database: Database, config: Config) -> None:
    keyring = Keyring((new_master_key(),))
    await ensure_installation(database, keyring, NOW)
    findings = await check_database(config, keyring)
    assert all(finding.health is not Health.FAILED for finding in findings)


async def test_a_pending_migration_is_bad(config: Config) -> None:
    url = database_url(config.database)
    await schema.on_connection(url, lambda connection: schema.downgrade(connection, "base"))
    assert "latchstring migrate" in only_bad(await check_database(config, None)).remedy


async def test_another_master_key_is_bad(config: Config) -> None:
    from latchstring.bootstrap.database import open_database  # noqa: PLC0415

    async with open_database(config.database) as db:
        await ensure_installation(db, Keyring((new_master_key(),)), NOW)
    finding = only_bad(await check_database(config, Keyring((new_master_key(),))))
    assert "another master key" in finding.message


async def test_an_unreachable_database_is_bad(config: Config) -> None:
    settings = replace(config.database, url="postgresql+asyncpg://nobody@127.0.0.1:1/none", sqlite_path=None)
    assert "database.url" in only_bad(await check_database(replace(config, database=settings), None)).remedy


async def test_a_database_that_refuses_the_connection_is_bad(config: Config, postgres_url: URL) -> None:
    url = postgres_url.set(database="absent").render_as_string(hide_password=False)
    settings = replace(config.database, url=url, sqlite_path=None)
    assert "absent" in only_bad(await check_database(replace(config, database=settings), None)).message


def test_a_configuration_without_roles_is_a_warning(config: Config) -> None:
    assert [finding.health for finding in check_configuration(config)] == [Health.PASSED, Health.WARNING]


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_exits_with_status_1_for_a_bad_finding(terminal: Terminal) -> None:
    result = terminal.run("doctor", status=1)
    assert "✗" in result.stdout
    assert "→" in result.stdout
    findings = json.loads(terminal.run("doctor", "--json", status=1).stdout)
    assert {finding["health"] for finding in findings} >= {"bad"}
    assert findings[0].keys() == {"check", "health", "says", "remedy"}


# ---- templates -------------------------------------------------------------------------------------------------------


def with_templates(config: Config, folder: Path) -> Config:
    return replace(config, mail=replace(config.mail, templates_directory=str(folder)))


def test_without_a_template_folder_there_are_no_findings(config: Config) -> None:
    assert check_templates(config) == []


def test_a_missing_template_folder_is_bad(config: Config, tmp_path: Path) -> None:
    assert "nowhere" in only_bad(check_templates(with_templates(config, tmp_path / "nowhere"))).message


def test_valid_templates_are_good(config: Config, tmp_path: Path) -> None:
    (tmp_path / "own" / "invitation").mkdir(parents=True)
    (tmp_path / "own" / "invitation" / "body.de.txt").write_text("Hallo {{ link_url }}")
    (finding,) = check_templates(with_templates(config, tmp_path / "own"))
    assert finding.health is Health.PASSED


@pytest.mark.parametrize(
    ("text", "message"),
    [("{{ link }}", "'link' is undefined"), ("{% if %}", "line 1"), ("Hello", "does not show the link")],
)
def test_an_invalid_template_is_reported_once(config: Config, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own" / "invitation").mkdir(parents=True)
    (tmp_path / "own" / "invitation" / "body.txt").write_text(text)
    finding = only_bad(check_templates(with_templates(config, tmp_path / "own")))
    assert "invitation/body.txt" in finding.message
    assert message in finding.message


def test_a_file_that_replaces_no_template_is_a_warning(config: Config, tmp_path: Path) -> None:
    (tmp_path / "own" / "invitation").mkdir(parents=True)
    for name in ("body.html", "body.xx.txt", "subjects.txt"):
        (tmp_path / "own" / "invitation" / name).write_text("x")
    findings = check_templates(with_templates(config, tmp_path / "own"))
    assert [finding.health for finding in findings] == [Health.WARNING] * 3
    assert any("Did you mean invitation/subject.txt?" in finding.message for finding in findings)
