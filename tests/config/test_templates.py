"""Templates of invitations are read and checked against the other settings."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.config.test_loading import collect_problems, load

from latchstring.domain.template import InvitationTemplate, TemplateSource

ROLES = """
[roles.customer]
name = "Customer"
[content.types.articles]
name = "Articles"
singular = "article"
"""


def test_every_key_of_a_template_is_read(tmp_path: Path) -> None:
    text = """
    [templates.new-customer]
    name = "New customer"
    role = "customer"
    groups = ["early-birds"]
    content = ["articles/handbook:viewer", "article/terms:EDITOR"]
    message = "Welcome.\\nCome in."
    locale = "de"
    lifetime = "P3D"
    redirect-url = "http://127.0.0.1:8080/start"
    """
    (template,) = load(tmp_path, ROLES + text).templates.values()
    assert template == InvitationTemplate(
        key="new-customer",
        name="New customer",
        role="customer",
        groups=("early-birds",),
        content=(("articles", "handbook", "VIEWER"), ("article", "terms", "EDITOR")),
        message="Welcome.\nCome in.",
        locale="de",
        expires_in=timedelta(days=3),
        redirect_url="http://127.0.0.1:8080/start",
        source=TemplateSource.CONFIG,
    )


def test_the_order_of_the_file_is_preserved_and_no_key_is_required(tmp_path: Path) -> None:
    configured = load(tmp_path, "[templates.b]\n[templates.a]").templates
    assert [(template.key, template.name) for template in configured.values()] == [("b", "b"), ("a", "a")]


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ('role = "custmer"', "role", "There is no role custmer. Did you mean customer?"),
        (
            'content = ["films/a:VIEWER"]',
            "content",
            "no content type films. Declared in content.types: articles.",
        ),
        ('content = ["articles/a"]', "content", "Write type/key:ROLE"),
        ('content = ["articles/a:VIEWER", "articles/a:EDITOR"]', "content", "once"),
        ('lifetime = "P300D"', "lifetime", "invitations.maximum-lifetime"),
        ('redirect-url = "https://elsewhere.test/"', "redirect-url", "invitations.redirect-origins"),
        ('message = ""', "", ""),
        ('message = "\\u0007"', "message", "plain text"),
        ('groups = ["a b"]', "groups", "letters"),
        ('expires-in = "P3D"', "expires-in", "no such key"),
    ],
)
def test_an_invalid_value_is_reported_with_its_remedy(tmp_path: Path, line: str, key: str, expected: str) -> None:
    text = f"{ROLES}[templates.new]\n{line}"
    if not key:
        assert load(tmp_path, text).templates["new"].message is None
        return
    assert expected in collect_problems(tmp_path, text)[f"templates.new.{key}"]
