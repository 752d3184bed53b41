"""Templates of the operator that override the built-in ones."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from tests.support.mail_samples import LINK, invitation

from latchstring.domain.mail import MailKind
from latchstring.domain.settings import App
from latchstring.i18n.negotiation import available_locales
from latchstring.mail.render import compose_mail, render_mail
from latchstring.mail.samples import sample_message
from latchstring.mail.templating import BUILT_IN, TemplateBroken, load_templates

MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section></mj-body></mjml>"
NOW = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "invitation").mkdir()
    return tmp_path


@pytest.mark.parametrize("kind", MailKind)
def test_every_message_has_a_sample(kind: MailKind) -> None:
    for locale in available_locales():
        message = sample_message(kind, to="noor@example.org", locale=locale, app=App(name="Orchard Lane"), now=NOW)
        mail = compose_mail(message)
        assert "Orchard Lane" in mail.html + mail.text + mail.subject


def test_a_file_overrides_the_built_in_one_and_no_other(folder: Path) -> None:
    (folder / "invitation" / "subject.txt").write_text("Come to {{ app_name }}", "utf-8")
    mail = compose_mail(invitation(), load_templates(str(folder)))
    assert mail.subject == "Come to Orchard Lane"
    assert mail.text == compose_mail(invitation()).text
    assert "Come to Orchard Lane" in mail.html


def test_a_file_can_override_a_single_language(folder: Path) -> None:
    (folder / "invitation" / "body.txt").write_text("Hello {{ link_url }}", "utf-8")
    (folder / "invitation" / "body.de.txt").write_text("Moin {{ link_url }}", "utf-8")
    (folder / "invitation" / "body.de.mjml").write_text(MJML % "Moin {{ link_url }}", "utf-8")
    templates = load_templates(str(folder))
    german, english = (compose_mail(invitation(locale=locale), templates) for locale in ("de", "en"))
    assert german.text == f"Moin {LINK}\n"
    assert english.text == f"Hello {LINK}\n"
    assert "Moin" in german.html
    assert english.html == compose_mail(invitation()).html


def test_overridden_html_is_escaped(folder: Path) -> None:
    (folder / "invitation" / "body.mjml").write_text(MJML % "{{ inviter }}", "utf-8")
    html = compose_mail(invitation(inviter_name="<img src=x>"), load_templates(str(folder))).html
    assert "<img src=x>" not in html
    assert "&lt;img" in html


def test_a_changed_file_is_used_from_the_next_mail_on(folder: Path) -> None:
    path = folder / "invitation" / "subject.txt"
    path.write_text("One", "utf-8")
    assert compose_mail(invitation(), load_templates(str(folder))).subject == "One"
    path.write_text("Second", "utf-8")
    assert compose_mail(invitation(), load_templates(str(folder))).subject == "Second"
    path.unlink()
    assert compose_mail(invitation(), load_templates(str(folder))).subject == compose_mail(invitation()).subject


@pytest.mark.parametrize("broken", ["{{ nobody }}", "{% if %}", "{{ 1 / 0 }}"])
def test_a_broken_template_is_reported_and_the_built_in_one_is_used(folder: Path, broken: str) -> None:
    (folder / "invitation" / "body.txt").write_text(broken, "utf-8")
    templates = load_templates(str(folder))
    with pytest.raises(TemplateBroken, match=r"invitation/body\.txt"):
        compose_mail(invitation(), templates)
    built_in, overridden = (
        render_mail(invitation(), UUID(int=1), sender="a@b.test", now=NOW, templates=source).content
        for source in (BUILT_IN, templates)
    )
    assert overridden == built_in


def test_nothing_outside_the_folder_is_read(folder: Path) -> None:
    inside = folder / "inside"
    (inside / "invitation").mkdir(parents=True)
    (folder / "secret.txt").write_text("secret", "utf-8")
    (inside / "invitation" / "body.txt").write_text('{% include "../secret.txt" %}', "utf-8")
    with pytest.raises(TemplateBroken):
        compose_mail(invitation(), load_templates(str(inside)))


def test_an_absent_folder_changes_nothing(tmp_path: Path) -> None:
    assert compose_mail(invitation(), load_templates(str(tmp_path / "nowhere"))) == compose_mail(invitation())
