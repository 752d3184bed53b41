"""Checks the mail templates of the operator."""

import difflib
from pathlib import Path

from latchstring.config import Config
from latchstring.domain.clock import system_clock
from latchstring.domain.mail import MailKind
from latchstring.domain.views.health import Finding, failed, passed, warning
from latchstring.i18n.negotiation import available_locales
from latchstring.mail.render import compose_mail
from latchstring.mail.samples import SAMPLE_TOKEN, sample_message
from latchstring.mail.templating import (
    FORMS,
    SHARED,
    MailTemplates,
    TemplateBroken,
    list_override_files,
    load_templates,
)

NAME = "mail templates"
_WITH_LINK = (MailKind.INVITATION, MailKind.PASSWORD_RESET, MailKind.EMAIL_VERIFICATION, MailKind.ADMIN_SET_UP)


def check_templates(config: Config) -> list[Finding]:
    """Render every mail with sample data in every language, and find files that replace no template."""
    if config.mail.templates_directory is None:
        return []
    folder = Path(config.mail.templates_directory)
    if not folder.is_dir():
        return [failed(NAME, f"There is no folder {folder}.", "Create it, or correct mail.templates-directory.")]
    findings = [
        _unknown_file(folder, path) for path in list_override_files(folder) if not _is_known(path.relative_to(folder))
    ]
    findings += _find_broken(config, load_templates(str(folder)))
    return findings or [passed(NAME, f"{folder}: every template can be used.")]


def _is_known(path: Path) -> bool:
    stem, _, ending = path.name.partition(".")
    language, has_language, _ = ending.rpartition(".")
    names = FORMS if len(path.parts) > 1 else SHARED
    plain_name = f"{stem}.{ending.rpartition('.')[2]}" if has_language else path.name
    return plain_name in names and (not has_language or language in available_locales())


def _unknown_file(folder: Path, path: Path) -> Finding:
    known = [*SHARED, *(f"{kind}/{form}" for kind in MailKind for form in FORMS)]
    name = path.relative_to(folder).as_posix()
    matches = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {matches[0]}?" if matches else ""
    return warning(NAME, f"{path} replaces nothing.{hint}", "Rename or remove it.")


def _find_broken(config: Config, templates: MailTemplates) -> list[Finding]:
    """One finding for each mail that fails, in however many languages it fails."""
    findings: dict[str, Finding] = {}
    for kind in MailKind:
        for locale in available_locales():
            sample = sample_message(kind, to="noor@example.org", locale=locale, app=config.app, now=system_clock())
            try:
                mail = compose_mail(sample, templates)
            except TemplateBroken as broken:
                findings.setdefault(
                    str(broken), failed(NAME, str(broken), "Fix it; the built-in template is used meanwhile.")
                )
                continue
            for form, text in (("body.txt", mail.text), ("body.mjml", mail.html)):
                if kind in _WITH_LINK and SAMPLE_TOKEN not in text:
                    message = f"{kind}/{form} does not show the link."
                    findings.setdefault(
                        message, failed(NAME, message, "Write {{ link_url }} into it; without it the mail has no link.")
                    )
    return list(findings.values())
