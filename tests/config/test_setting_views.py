"""The list of all settings: each value with its source, and secrets masked."""

from datetime import timedelta
from pathlib import Path

import pytest

from latchstring.config import load_config
from latchstring.domain.views.settings import SettingSource, SettingView
from latchstring.formats.durations import format_duration

SECRETS = ("hunter2", "swordfish", "opensesame", "k" * 40)


def read_settings(tmp_path: Path, text: str = "", **env: str) -> dict[str, SettingView]:
    (tmp_path / "latchstring.toml").write_text(text)
    return {setting.key: setting for setting in load_config(None, env, folder=tmp_path).settings}


def test_each_setting_has_its_source(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, '[app]\nname = "Orchard Lane"', LATCHSTRING_MAIL__SMTP__HOST="mail.example.org")
    assert settings["app.name"] == SettingView(
        "app.name", "Orchard Lane", SettingSource.FILE, str(tmp_path / "latchstring.toml")
    )
    assert settings["mail.smtp.host"] == SettingView(
        "mail.smtp.host", "mail.example.org", SettingSource.ENVIRONMENT, "LATCHSTRING_MAIL__SMTP__HOST"
    )
    assert settings["invitations.lifetime"] == SettingView("invitations.lifetime", "P7D", SettingSource.DEFAULT)
    assert settings["app.support-email"].value is None


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, "[accounts]\npassword-minimum = 12", LATCHSTRING_ACCOUNTS__PASSWORD_MINIMUM="14")
    assert (settings["accounts.password-minimum"].value, settings["accounts.password-minimum"].source) == (
        "14",
        SettingSource.ENVIRONMENT,
    )


def test_tables_with_keys_chosen_by_the_operator_are_listed(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, '[roles.team]\npermissions = ["app:shop", "users:read"]')
    assert settings["roles.team.permissions"].value == "app:shop, users:read"


def test_no_secret_is_listed(tmp_path: Path) -> None:
    (tmp_path / "smtp").write_text(SECRETS[1])
    text = f'[database]\nurl = "postgresql+asyncpg://me:{SECRETS[0]}@db.example.org/app"\n'
    text += '[mail.smtp]\nusername = "me"\npassword-file = "smtp"\n'
    settings = read_settings(tmp_path, text, LATCHSTRING_SECRETS__MASTER_KEY=SECRETS[3])
    assert not [secret for secret in SECRETS if secret in repr(settings)]
    assert settings["database.url"].value == "postgresql+asyncpg://me:••••@db.example.org/app"
    assert settings["mail.smtp.password-file"].value == "smtp"
    assert settings["secrets.master-key"].value == "••••"
    again = read_settings(tmp_path, f'[mail.smtp]\nusername = "me"\npassword = "{SECRETS[2]}"')
    assert again["mail.smtp.password"].value == "••••"
    assert again["mail.smtp.password"].is_secret


def test_a_password_in_a_query_parameter_of_the_database_url_is_masked(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg:///app?host=/run/pg&password={SECRETS[0]}&SSLPassword={SECRETS[1]}"
    settings = read_settings(tmp_path, f'[database]\nurl = "{url}"\n')
    assert settings["database.url"].value == "postgresql+asyncpg:///app?host=/run/pg&password=••••&SSLPassword=••••"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=7), "P7D"),
        (timedelta(hours=36), "P1DT12H"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(seconds=5), "PT5S"),
    ],
)
def test_durations_are_formatted_as_in_the_file(span: timedelta, text: str) -> None:
    assert format_duration(span) == text
