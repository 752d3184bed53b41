"""Every value with where it came from, and no secret among them."""

from datetime import timedelta
from pathlib import Path

import pytest

from latchstring.config import load_config
from latchstring.domain.views.settings import SettingSource, SettingView
from latchstring.formats.durations import format_duration

SECRETS = ("hunter2", "swordfish", "opensesame", "k" * 40)


def shown(tmp_path: Path, text: str = "", **env: str) -> dict[str, SettingView]:
    (tmp_path / "latchstring.toml").write_text(text)
    return {one.key: one for one in load_config(None, env, folder=tmp_path).shown}


def test_a_value_says_whether_it_is_a_default_from_the_file_or_the_environment(tmp_path: Path) -> None:
    found = shown(tmp_path, '[app]\nname = "Orchard Lane"', LATCHSTRING_MAIL__SMTP__HOST="mail.example.org")
    assert found["app.name"] == SettingView(
        "app.name", "Orchard Lane", SettingSource.FILE, str(tmp_path / "latchstring.toml")
    )
    assert found["mail.smtp.host"] == SettingView(
        "mail.smtp.host", "mail.example.org", SettingSource.ENVIRONMENT, "LATCHSTRING_MAIL__SMTP__HOST"
    )
    assert found["invitations.lifetime"] == SettingView("invitations.lifetime", "P7D", SettingSource.DEFAULT)
    assert found["app.support-email"].value is None


def test_the_environment_lies_over_the_file(tmp_path: Path) -> None:
    found = shown(tmp_path, "[accounts]\npassword-minimum = 12", LATCHSTRING_ACCOUNTS__PASSWORD_MINIMUM="14")
    assert (found["accounts.password-minimum"].value, found["accounts.password-minimum"].source) == (
        "14",
        SettingSource.ENVIRONMENT,
    )


def test_tables_of_the_operators_are_listed_too(tmp_path: Path) -> None:
    found = shown(tmp_path, '[roles.team]\npermissions = ["app:shop", "users:read"]')
    assert found["roles.team.permissions"].value == "app:shop, users:read"


def test_no_secret_is_among_them(tmp_path: Path) -> None:
    (tmp_path / "smtp").write_text(SECRETS[1])
    text = f'[database]\nurl = "postgresql+asyncpg://me:{SECRETS[0]}@db.example.org/app"\n'
    text += '[mail.smtp]\nusername = "me"\npassword-file = "smtp"\n'
    found = shown(tmp_path, text, LATCHSTRING_SECRETS__MASTER_KEY=SECRETS[3])
    assert not [secret for secret in SECRETS if secret in repr(found)]
    assert found["database.url"].value == "postgresql+asyncpg://me:••••@db.example.org/app"
    assert found["mail.smtp.password-file"].value == "smtp"
    assert found["secrets.master-key"].value == "••••"
    again = shown(tmp_path, f'[mail.smtp]\nusername = "me"\npassword = "{SECRETS[2]}"')
    assert again["mail.smtp.password"].value == "••••"
    assert again["mail.smtp.password"].is_secret


def test_a_password_among_the_parameters_of_the_database_is_none_to_show(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg:///app?host=/run/pg&password={SECRETS[0]}&SSLPassword={SECRETS[1]}"
    found = shown(tmp_path, f'[database]\nurl = "{url}"\n')
    assert found["database.url"].value == "postgresql+asyncpg:///app?host=/run/pg&password=••••&SSLPassword=••••"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=7), "P7D"),
        (timedelta(hours=36), "P1DT12H"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(seconds=5), "PT5S"),
    ],
)
def test_durations_are_written_as_the_file_has_them(span: timedelta, text: str) -> None:
    assert format_duration(span) == text
