"""Whether the operator's templates of mails can be used."""

import difflib
from pathlib import Path

from latchstring.config import Config
from latchstring.domain.clock import system_clock
from latchstring.domain.mail import MailKind
from latchstring.domain.views.health import Finding, bad, doubtful, good
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
    """Every message of the folder rendered with sample data, in every language."""
    if config.mail.templates_directory is None:
        return []
    folder = Path(config.mail.templates_directory)
    if not folder.is_dir():
        return [bad(NAME, f"There is no folder {folder}.", "Make it, or correct mail.templates-directory.")]
    found = [_unknown(folder, path) for path in list_override_files(folder) if not _is_known(path.relative_to(folder))]
    found += _broken(config, load_templates(str(folder)))
    return found or [good(NAME, f"{folder}: every template can be used.")]


def _is_known(path: Path) -> bool:
    stem, _, ending = path.name.partition(".")
    language, dot, _ = ending.rpartition(".")
    names = FORMS if len(path.parts) > 1 else SHARED
    plain = f"{stem}.{ending.rpartition('.')[2]}" if dot else path.name
    return plain in names and (not dot or language in available_locales())


def _unknown(folder: Path, path: Path) -> Finding:
    known = [*SHARED, *(f"{kind}/{form}" for kind in MailKind for form in FORMS)]
    name = path.relative_to(folder).as_posix()
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return doubtful(NAME, f"{path} replaces nothing.{meant}", "Rename or remove it.")


def _broken(config: Config, templates: MailTemplates) -> list[Finding]:
    """One finding for each message that fails, whatever number of languages it fails in."""
    found: dict[str, Finding] = {}
    for kind in MailKind:
        for locale in available_locales():
            sample = sample_message(kind, to="noor@example.org", locale=locale, app=config.app, now=system_clock())
            try:
                mail = compose_mail(sample, templates)
            except TemplateBroken as broken:
                found.setdefault(str(broken), bad(NAME, str(broken), "Mend it; the built-in one is used meanwhile."))
                continue
            for form, text in (("body.txt", mail.text), ("body.mjml", mail.html)):
                if kind in _WITH_LINK and SAMPLE_TOKEN not in text:
                    says = f"{kind}/{form} does not show the link."
                    found.setdefault(says, bad(NAME, says, "Write {{ link_url }} into it; without it nobody gets in."))
    return list(found.values())
