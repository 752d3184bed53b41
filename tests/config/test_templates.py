"""Templates of invitations in configuration, checked against what else is configured."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.config.test_loading import load, problems_of

from latchstring.domain.template import InvitationTemplate, TemplateSource

ROLES = """
[roles.customer]
name = "Customer"
[content.types.articles]
name = "Articles"
singular = "article"
"""


def test_a_template_is_read_whole(tmp_path: Path) -> None:
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


def test_the_order_of_the_file_is_kept_and_nothing_is_needed(tmp_path: Path) -> None:
    found = load(tmp_path, "[templates.b]\n[templates.a]").templates
    assert [(template.key, template.name) for template in found.values()] == [("b", "b"), ("a", "a")]


@pytest.mark.parametrize(
    ("line", "key", "says"),
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
def test_what_cannot_be_used_is_told_with_its_remedy(tmp_path: Path, line: str, key: str, says: str) -> None:
    text = f"{ROLES}[templates.new]\n{line}"
    if not key:
        assert load(tmp_path, text).templates["new"].message is None
        return
    assert says in problems_of(tmp_path, text)[f"templates.new.{key}"]
