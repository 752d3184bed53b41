"""Compiled once, and for both directions of reading."""

import pytest

from latchstring.domain.mail import MailKind
from latchstring.mail.templating import compiled_html


@pytest.mark.parametrize("kind", MailKind)
def test_a_template_is_compiled_once(kind: MailKind) -> None:
    assert compiled_html(kind) is compiled_html(kind)


@pytest.mark.parametrize("kind", MailKind)
def test_no_side_is_fixed(kind: MailKind) -> None:
    html = compiled_html(kind)
    body = html[html.index("<body") :]
    assert "text-align: left" not in body
    assert "text-align:left" not in body
    assert 'align="left"' not in body
    assert "border-left" not in body
    assert "direction: ltr" not in body


@pytest.mark.parametrize("kind", MailKind)
def test_base_rules_stand_inline_for_readers_without_style_sheets(kind: MailKind) -> None:
    assert "[%" not in compiled_html(kind)
    assert "mj-" not in compiled_html(kind).split("<body")[1].replace("mj-column", "").replace("mj-outlook", "")
    assert "prefers-color-scheme: dark" in compiled_html(kind)
