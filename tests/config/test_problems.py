"""Invalid configurations are refused, and each problem names the key and a remedy."""

from pathlib import Path

import pytest
from tests.config.test_loading import collect_problems, load

from latchstring.config import ConfigProblems, load_config


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    text = """
    [app]
    name = ""
    public-url = "acme"
    nmae = "Acme"
    [mail]
    transport = "pigeon"
    [database]
    url = "postgres://h/d"
    [roles.a]
    permissions = ["invitation:read"]
    """
    problems = collect_problems(tmp_path, text, {"LATCHSTRING_MAIL__SMTP__PORT": "no"})
    assert problems.keys() == {
        "app.name",
        "app.public-url",
        "app.nmae",
        "mail.transport",
        "mail.smtp.port",
        "database.url",
        "roles.a.permissions",
    }
    assert "Did you mean app.name?" in problems["app.nmae"]
    assert "Did you mean invitations:read?" in problems["roles.a.permissions"]
    assert "postgresql+asyncpg://" in problems["database.url"]
    assert 'mail.smtp.port = "no"' in problems["mail.smtp.port"]


def test_each_problem_has_key_value_and_remedy_on_its_own_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems) as raised:
        load(tmp_path, '[mail]\ntransport = "pigeon"')
    head, problem = str(raised.value).split("\n\n")
    assert head.endswith("latchstring.toml has 1 problem. Nothing was started.")
    assert problem == '  mail.transport = "pigeon"\n    Write one of: "smtp", "mailbox", "off".'


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("app", 'public-url = "ftp://acme.example"'),
        ("app", 'public-url = "https://"'),
        ("app", 'public-url = "https://acme.example/?a=b"'),
        ("app", 'public-url = "https://acme.example/#a"'),
        ("app", 'public-url = "https://user:secret@acme.example"'),
        ("app", 'public-url = "https://acme.example:99999"'),
        ("app", 'default-locale = "english"'),
        ("app", 'terms-url = "/terms"'),
        ("app", 'support-email = "Acme <help@acme.example>"'),
        ("app", 'allowed-origins = ["*"]'),
        ("app", 'allowed-origins = ["https://a.example/path"]'),
        ("app", 'allowed-origins = "https://a.example"'),
        ("database", 'url = "sqlite:///a.db"'),
        ("database", 'url = "sqlite+aiosqlite://"'),
        ("database", 'url = "sqlite+aiosqlite:///:memory:"'),
        ("database", 'url = "postgresql+asyncpg://host"'),
        ("database", "pool-size = 0"),
        ("mail", 'from = "Acme"'),
        ("mail", 'from = "Acme <a@b>\\nBcc: c@d.example"'),
        ("mail", 'reply-to-inviter = "yes"'),
        ("mail.smtp", 'tls = "ssl"'),
        ("mail.smtp", 'host = "smtp.acme.example:25"'),
        ("mail.smtp", "port = 0"),
        ("mail.smtp", "timeout = 0"),
        ("mail.smtp", 'password = "alone"'),
        ("mail.retry", "factor = 0.5"),
        ("mail.retry", 'first = "5s"'),
        ("invitations", 'lifetime = "P1M"'),
        ("invitations", 'lifetime = "P0D"'),
        ("invitations", 'lifetime = "P"'),
        ("invitations", 'lifetime = "PT"'),
        ("invitations", "lifetime = 7"),
        ("invitations", 'lifetime = "P99D"'),
        ("invitations", 'minimum-lifetime = "P9D"\nmaximum-lifetime = "P8D"'),
        ("invitations", 'accept-url = "/invitation"'),
        ("invitations", 'accept-url = "{publicURL}/invitation"'),
        ("invitations", 'accept-url = "{publicUrl}/{contentKey}"'),
        ("invitations", 'accept-url = "https://app.example/#/join"'),
        ("invitations", 'redirect-origins = ["myapp://"]'),
        ("content", "data-limit = 99999999"),
        ("content", 'types = { invitations = { name = "I" } }'),
        ("content", 'types = { a = { singular = "b" }, b = {} }'),
        ("content", 'types = { a = { singular = "invitations" } }'),
        ("content", 'types = { "a b" = {} }'),
        ("content", 'types = ["articles"]'),
        ("content.invitations", 'accept-url = "{publicUrl}/{contentId}"'),
        ("content.invitations", 'lifetime = "PT1M"'),
        ("accounts", "password-minimum = 4"),
        ("accounts", 'default-role = "nobody"'),
        ("accounts", 'access-token-lifetime = "P2D"\nrefresh-token-lifetime = "P1D"'),
        ("limits", 'per-inviter = "many"'),
        ("limits", 'trusted-proxies = ["proxy"]'),
        ("roles.a", 'permissions = ["app:"]'),
        ("roles.a", 'may-grant = ["b"]'),
        ("roles", "a = 1"),
        ("secrets", 'master-key-fiel = "x"'),
    ],
)
def test_an_invalid_value_is_one_problem(tmp_path: Path, table: str, line: str) -> None:
    assert len(collect_problems(tmp_path, f"[{table}]\n{line}")) == 1


def test_a_role_may_not_grant_what_it_lacks(tmp_path: Path) -> None:
    text = """
    [roles.team]
    permissions = ["invitations:write"]
    may-grant = ["lead"]
    [roles.lead]
    permissions = ["invitations:write", "users:write"]
    """
    problems = collect_problems(tmp_path, text)
    assert problems.keys() == {"roles.team.may-grant"}
    assert "holds users:write, which team lacks" in problems["roles.team.may-grant"]


def test_granting_all_roles_needs_all_permissions(tmp_path: Path) -> None:
    text = '[roles.a]\npermissions = ["users:read"]\nmay-grant = ["*"]\n[roles.b]\npermissions = ["*"]'
    assert collect_problems(tmp_path, text).keys() == {"roles.a.may-grant"}


def test_a_role_with_all_permissions_may_grant_all_roles(tmp_path: Path) -> None:
    text = '[roles.a]\npermissions = ["*"]\nmay-grant = ["*", "b"]\n[roles.b]\npermissions = ["users:write"]'
    assert load(tmp_path, text).roles["a"].may_grant == {"*", "b"}


def test_values_of_secrets_are_masked_in_problems(tmp_path: Path) -> None:
    text = """
    [database]
    url = "postgres://u:hush@h/d"
    [mail.smtp]
    passwort = "hush"
    password = ["hush"]
    [secrets]
    master-key = 7
    [app]
    token = "hush"
    [mial.smtp]
    password = "hush"
    """
    with pytest.raises(ConfigProblems) as raised:
        load(tmp_path, text)
    assert len(raised.value.problems) == 6
    assert "hush" not in str(raised.value)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("x")
    text = '[mail.smtp]\nusername = "u"\npassword = "a"\npassword-file = "p"'
    assert collect_problems(tmp_path, text).keys() == {"mail.smtp.password-file"}


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    problems = collect_problems(tmp_path, '[mail.smtp]\nusername = "u"\npassword-file = "absent"')
    assert '"absent"' in problems["mail.smtp.password-file"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"[app\n", "line 1"), (b'[app]\nname = "\xff"', "UTF-8"), (b"[app]\na=1\na=2", "overwrite")],
)
def test_a_file_that_is_not_toml_is_the_only_problem(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "latchstring.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigProblems) as raised:
        load_config(path, {"LATCHSTRING_APP__NMAE": "x"})
    (problem,) = raised.value.problems
    assert expected in str(problem)


def test_a_named_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match="no such file"):
        load_config(tmp_path / "absent.toml", {})


def test_an_unknown_variable_with_our_prefix_is_a_problem(tmp_path: Path) -> None:
    problems = collect_problems(tmp_path, "", {"LATCHSTRING_MAIL__SMTP__HOTS": "x"})
    assert "Did you mean mail.smtp.host?" in problems["mail.smtp.hots"]


def test_a_variable_below_a_value_is_a_problem(tmp_path: Path) -> None:
    problems = collect_problems(tmp_path, '[app]\nname = "A"', {"LATCHSTRING_APP__NAME__FIRST": "x"})
    assert "LATCHSTRING_APP__NAME__FIRST" in problems
