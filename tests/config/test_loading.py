"""Values are read from the file, the environment and secret files, with their defaults."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from latchstring.config import Config, ConfigProblems, load_config
from latchstring.domain.settings import ContentType

EVERYTHING = """
[app]
name = "Acme"
public-url = "https://join.acme.example/"
default-locale = "de"
terms-url = "https://acme.example/terms"
terms-version = "2026-01"
support-email = "help@acme.example"
allowed-origins = ["https://app.acme.example:443"]

[database]
url = "postgresql+asyncpg://latch:s3cret@db.acme.example:5433/latch?ssl=require"
pool-size = 20
statement-cache = 0

[mail]
transport = "smtp"
from = "Acme <no-reply@acme.example>"
reply-to-inviter = true
[mail.retry]
first = "PT10S"
factor = 2
maximum = "PT30M"
give-up = "P1D"
[mail.smtp]
host = "smtp.acme.example"
username = "latch"
password = "hush"
tls = "tls"
timeout = 10

[invitations]
lifetime = "P2D"
minimum-lifetime = "PT30M"
maximum-lifetime = "P2W"
accept-url = "https://app.acme.example/join"
retention = "P30D"
redirect-origins = ["https://app.acme.example"]

[content]
types = { articles = { name = "Articles", singular = "article" }, files = {} }
data-limit = 1000
[content.invitations]
accept-url = "https://app.acme.example/{contentType}/{contentKey}"
allow-unregistered-users = false
lifetime = "P3D"

[accounts]
password-minimum = 12
access-token-lifetime = "PT5M"
refresh-token-lifetime = "P7D"
default-role = "customer"

[roles.team]
name = "Team"
permissions = ["invitations:write", "app:shop"]
may-grant = ["team", "customer"]
may-grant-groups = ["*"]
[roles.customer]
permissions = ["app:shop"]

[limits]
enabled = true
per-inviter = "50/hour"
per-recipient = "5 per day; 2/hour"
per-address-prefix = "30/minute"
trusted-proxies = ["10.0.0.0/8", "::1"]

[secrets]
master-key-file = "keys/master.key"
"""


def load(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> Config:
    path = tmp_path / "latchstring.toml"
    path.write_text(text)
    return load_config(path, env or {})


def collect_problems(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The text of every problem by its key."""
    with pytest.raises(ConfigProblems) as raised:
        load(tmp_path, text, env)
    return {problem.key: str(problem) for problem in raised.value.problems}


def test_every_documented_key_is_read(tmp_path: Path) -> None:
    config = load(tmp_path, EVERYTHING)
    assert config.app.public_url == "https://join.acme.example"
    assert config.app.allowed_origins == ("https://app.acme.example",)
    assert (config.app.terms_version, config.app.support_email) == ("2026-01", "help@acme.example")
    assert config.database.url.startswith("postgresql+asyncpg://latch:s3cret@")
    assert (config.database.pool_size, config.database.statement_cache) == (20, 0)
    assert config.mail.reply_to_inviter
    assert config.mail.retry.give_up == timedelta(days=1)
    assert (config.mail.smtp.port, config.mail.smtp.password) == (465, "hush")
    assert config.mail.smtp.timeout == timedelta(seconds=10)
    assert config.invitations.maximum_lifetime == timedelta(weeks=2)
    assert config.invitations.accept_url == "https://app.acme.example/join"
    assert config.content.types == {
        "articles": ContentType("articles", "Articles", "article"),
        "files": ContentType("files", "files", None),
    }
    assert not config.content.allow_unregistered_users
    assert config.content.lifetime == timedelta(days=3)
    assert config.accounts.default_role == "customer"
    assert config.roles["team"].may_grant == {"team", "customer"}
    assert config.roles["customer"].permissions == {"app:shop"}
    assert config.limits.per_recipient == "5 per day; 2/hour"
    assert config.limits.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert config.secrets.master_key_file == tmp_path / "keys/master.key"


def test_without_a_file_the_defaults_are_used(tmp_path: Path) -> None:
    config = load_config(None, {}, folder=tmp_path)
    assert config.source is None
    assert config.database.sqlite_path == tmp_path / "var/latchstring.db"
    assert config.secrets.master_key_file == tmp_path / "var/master.key"
    assert config.invitations.lifetime == timedelta(days=7)
    assert config.invitations.maximum_lifetime == timedelta(days=30)
    assert config.accounts.password_minimum == 10
    assert config.content.data_limit == 262_144
    assert config.limits.enabled


def test_a_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "latchstring.toml").write_text('[app]\nname = "Here"')
    assert load_config(None, {}, folder=tmp_path).app.name == "Here"


def test_relative_paths_are_resolved_against_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, '[database]\nurl = "sqlite+aiosqlite:///data/a.db"')
    assert config.database.sqlite_path == tmp_path / "data/a.db"


def test_an_absolute_sqlite_path_has_four_slashes(tmp_path: Path) -> None:
    config = load(tmp_path, '[database]\nurl = "sqlite+aiosqlite:////srv/a.db"')
    assert config.database.sqlite_path == Path("/srv/a.db")


def test_a_variable_overrides_the_value_of_the_file(tmp_path: Path) -> None:
    env = {
        "LATCHSTRING_MAIL__SMTP__HOST": "mx.acme.example",
        "LATCHSTRING_MAIL__SMTP__PORT": "2525",
        "LATCHSTRING_MAIL__REPLY_TO_INVITER": "false",
        "LATCHSTRING_APP__ALLOWED_ORIGINS": "https://a.example, https://b.example",
        "LATCHSTRING_INVITATIONS__REDIRECT_ORIGINS": '["https://c.example"]',
        "LATCHSTRING_ROLES__TEAM__MAY_GRANT": "customer",
        "LATCHSTRING_APP__NAME": "123",
        "LATCHSTRING_CONTENT__TYPES": '{ pages = { name = "Pages" } }',
    }
    config = load(tmp_path, EVERYTHING, env)
    assert (config.mail.smtp.host, config.mail.smtp.port) == ("mx.acme.example", 2525)
    assert not config.mail.reply_to_inviter
    assert config.app.allowed_origins == ("https://a.example", "https://b.example")
    assert config.invitations.redirect_origins == ("https://c.example",)
    assert config.roles["team"].may_grant == {"customer"}
    assert config.app.name == "123"
    assert list(config.content.types) == ["pages"]


def test_a_variable_matches_a_role_in_any_spelling(tmp_path: Path) -> None:
    config = load(tmp_path, "[roles.Team_Lead]\npermissions = []", {"LATCHSTRING_ROLES__TEAM_LEAD__NAME": "Lead"})
    assert config.roles["Team_Lead"].name == "Lead"


def test_variables_set_by_an_orchestrator_are_ignored(tmp_path: Path) -> None:
    env = {"LATCHSTRING_PORT": "tcp://10.0.0.1:80", "LATCHSTRING_SERVICE_HOST": "10.0.0.1", "LATCHSTRING_CONFIG": "x"}
    assert load(tmp_path, "", env).app.name == "Latchstring"


def test_secrets_of_every_kind_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush\n")
    (tmp_path / "url").write_text("postgresql+asyncpg://u:p@h/d\n")
    text = '[mail.smtp]\nusername = "u"\npassword-file = "password"\n[database]\nurl-file = "url"'
    config = load(tmp_path, text)
    assert config.mail.smtp.password == "hush"
    assert config.database.url == "postgresql+asyncpg://u:p@h/d"


def test_a_secret_file_in_the_environment_replaces_the_secret_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("better")
    text = '[mail.smtp]\nusername = "u"\npassword = "old"'
    config = load(tmp_path, text, {"LATCHSTRING_MAIL__SMTP__PASSWORD_FILE": str(tmp_path / "other")})
    assert config.mail.smtp.password == "better"


def test_the_master_key_may_come_from_the_environment(tmp_path: Path) -> None:
    assert load(tmp_path, "", {"LATCHSTRING_SECRETS__MASTER_KEY": "id:key"}).secrets.master_key == "id:key"


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_the_encryption(tmp_path: Path, tls: str, port: int) -> None:
    assert load(tmp_path, f'[mail.smtp]\ntls = "{tls}"').mail.smtp.port == port


def test_the_default_lifetime_is_adjusted_to_the_configured_bounds(tmp_path: Path) -> None:
    config = load(tmp_path, '[invitations]\nmaximum-lifetime = "P3D"')
    assert config.invitations.lifetime == config.content.lifetime == timedelta(days=3)


def test_no_secret_is_in_the_representation(tmp_path: Path) -> None:
    representation = repr(load(tmp_path, EVERYTHING, {"LATCHSTRING_SECRETS__MASTER_KEY": "the-key"}))
    assert "hush" not in representation
    assert "s3cret" not in representation
    assert "the-key" not in representation
