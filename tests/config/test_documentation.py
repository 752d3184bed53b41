"""The documentation of the configuration is complete, and its examples are valid."""

import re
import tomllib
from pathlib import Path

import pytest
from tests.config.test_loading import collect_problems, load

from latchstring.domain.principal import PERMISSIONS

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/configuration.md").read_text()
TABLES = (
    "app", "database", "mail", "mail.smtp", "mail.retry", "mail.pace", "invitations", "content",
    "content.invitations", "accounts", "roles.somebody", "templates.something", "limits", "secrets",
)  # fmt: skip


def find_section(table: str) -> str:
    top_level, _, _ = table.partition(".")
    title = f"{top_level}.*" if top_level in {"roles", "templates"} else table
    match = re.search(rf"^#+ \[{re.escape(title)}\]$(.*?)(?=^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert match, f"no section [{title}]"
    return match[1]


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_documented(tmp_path: Path, table: str) -> None:
    problem = collect_problems(tmp_path, f"[{table}]\nqqqq = 1")[f"{table}.qqqq"]
    known = problem.partition("Known here: ")[2].rstrip(".").split(", ")
    nested = {"smtp", "retry", "pace", "invitations"}  # tables with a section of their own
    assert [key for key in known if key not in nested and f"`{key}`" not in find_section(table)] == []


def test_every_permission_is_documented() -> None:
    assert [name for name in PERMISSIONS if f"`{name}`" not in find_section("roles.somebody")] == []


def test_the_example_of_the_readme_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    secret = tmp_path / "smtp-password"
    secret.write_text("hush")
    config = load(tmp_path, example.replace("/run/secrets/smtp-password", str(secret)))
    assert config.roles["team"].may_grant == {"team", "customer"}


def test_the_demo_is_a_configuration(tmp_path: Path) -> None:
    text = (ROOT / "src/latchstring/cli/demo.toml").read_text().replace("@public-url@", "http://127.0.0.1:1")
    assert load(tmp_path, text).database.sqlite_path == tmp_path / "latchstring.db"
    assert "roles" in tomllib.loads(text)
