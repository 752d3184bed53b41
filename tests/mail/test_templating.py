"""Templates are compiled once, and for both text directions."""

import pytest

from latchstring.domain.mail import MailKind
from latchstring.mail.templating import BUILT_IN


@pytest.mark.parametrize("kind", MailKind)
def test_a_template_is_compiled_once(kind: MailKind) -> None:
    assert BUILT_IN.compiled_html(kind, "en") is BUILT_IN.compiled_html(kind, "en")


@pytest.mark.parametrize("kind", MailKind)
def test_no_direction_is_fixed(kind: MailKind) -> None:
    html = BUILT_IN.compiled_html(kind, "en")
    body = html[html.index("<body") :]
    assert "text-align: left" not in body
    assert "text-align:left" not in body
    assert 'align="left"' not in body
    assert "border-left" not in body
    assert "direction: ltr" not in body


@pytest.mark.parametrize("kind", MailKind)
def test_styles_are_inlined_for_clients_without_style_sheets(kind: MailKind) -> None:
    assert "[%" not in BUILT_IN.compiled_html(kind, "en")
    assert "mj-" not in BUILT_IN.compiled_html(kind, "en").split("<body")[1].replace("mj-column", "").replace(
        "mj-outlook", ""
    )
    assert "prefers-color-scheme: dark" in BUILT_IN.compiled_html(kind, "en")
