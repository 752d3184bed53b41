"""Rendering of a message to the bytes of a mail: texts, templates, headers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from uuid import UUID

import structlog
from jinja2 import Template

from latchstring.domain.mail import MailKind
from latchstring.i18n.catalogues import translations
from latchstring.i18n.dates import format_instant, text_direction
from latchstring.i18n.negotiation import SOURCE, negotiate
from latchstring.mail.ascii_address import Mailbox, mailbox_of
from latchstring.mail.messages import (
    AdminSetUpMail,
    EmailVerificationMail,
    InvitationDeclinedMail,
    InvitationMail,
    LinkRequestedMail,
    Message,
    PasswordResetMail,
)
from latchstring.mail.sanitize import NAME_LIMIT, TITLE_LIMIT, clean_line, isolate, quote_line, quote_message
from latchstring.mail.templating import BUILT_IN, MailTemplates, TemplateBroken

Context = dict[str, object]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready to be sent. content contains the link, so it is never shown or logged.

    utf8: the addresses need SMTPUTF8 (RFC 6531). recipient: the address in the form that most servers support. typed:
    the address as typed, for servers that support it.
    """

    id: UUID
    message_id: str
    sender: str
    recipient: str
    typed: str
    domain: str
    utf8: bool
    content: bytes

    def __repr__(self) -> str:
        return f"RenderedMail({self.id})"


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """The subject and bodies of a mail. text and html contain the link."""

    locale: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


def compose_mail(message: Message, templates: MailTemplates = BUILT_IN) -> ComposedMail:
    """Render the texts of a mail in the nearest supported language. Raises TemplateBroken."""
    locale = negotiate([message.locale], SOURCE)
    context = _context(message, locale)
    texts = {}
    for form, template_of in (("subject.txt", templates.subject), ("body.txt", templates.text)):
        texts[form] = _fill(message.kind, form, template_of, locale, context)
    context["subject"] = clean_line(texts["subject.txt"], 200)
    html = _fill(message.kind, "body.mjml", templates.html, locale, context)
    return ComposedMail(locale, str(context["subject"]), texts["body.txt"].rstrip("\n") + "\n", html)


def _fill(
    kind: MailKind, form: str, template_of: Callable[[MailKind, str], Template], locale: str, context: Context
) -> str:
    try:
        return template_of(kind, locale).render(context)
    except Exception as error:  # an operator's template may raise anything
        raise TemplateBroken(kind, form, error) from error


def _compose_with_fallback(message: Message, templates: MailTemplates) -> ComposedMail:
    """Render with the operator's templates, or the built-in ones if those are broken: a queued mail must be sent."""
    try:
        return compose_mail(message, templates)
    except TemplateBroken as broken:
        if templates.is_built_in:
            raise
        _log.error("mail template is broken, the built-in one is used", template=str(broken))
        return compose_mail(message)


def render_mail(
    message: Message,
    mail_id: UUID,
    *,
    sender: str,
    reply_to_inviter: bool = False,
    now: datetime,
    templates: MailTemplates = BUILT_IN,
) -> RenderedMail:
    """Render a mail to bytes. The link and Message-ID are the same in every attempt.

    sender: the From of the installation. now: for the Date header. Raises AddressUnusable.
    """
    name, address = parseaddr(sender)
    origin, target = mailbox_of(address), mailbox_of(message.to)
    utf8 = origin.utf8 or target.utf8
    envelope = EmailMessage(policy=SMTPUTF8 if utf8 else SMTP)
    composed = _compose_with_fallback(message, templates)
    message_id = f"<{mail_id}@{origin.domain}>"
    envelope["From"] = _display(name, origin)
    envelope["To"] = Address("", target.local, target.domain)
    if reply_to_inviter and isinstance(message, InvitationMail) and message.inviter_email:
        envelope["Reply-To"] = _display(message.inviter_name or "", mailbox_of(message.inviter_email))
    envelope["Subject"] = composed.subject
    envelope["Date"] = format_datetime(now, usegmt=True)
    envelope["Message-ID"] = message_id
    envelope["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
    envelope["X-Auto-Response-Suppress"] = "All"  # the equivalent for Exchange
    _add_bodies(envelope, composed, boundary=f"={mail_id.hex}=")
    return RenderedMail(
        mail_id, message_id, str(origin), str(target), message.to.strip(), target.domain, utf8, envelope.as_bytes()
    )


def _add_bodies(envelope: EmailMessage, mail: ComposedMail, *, boundary: str) -> None:
    envelope.set_content(mail.text, cte="quoted-printable")  # the link exceeds the line limit of some servers
    envelope.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    envelope.set_boundary(boundary)
    envelope["Content-Language"] = mail.locale  # last: add_alternative moves Content-* headers into the first part
    for part in envelope.iter_parts():
        part["Content-Language"] = mail.locale


def _display(name: str, mailbox: Mailbox) -> Address:
    return Address(clean_line(name), mailbox.local, mailbox.domain)


def _context(message: Message, locale: str) -> Context:
    direction = text_direction(locale)
    return {
        "locale": locale,
        "direction": direction,
        "start": "right" if direction == "rtl" else "left",
        "app_name": isolate(clean_line(message.app_name), direction),
        "greeting": _greeting(message.first_name, locale),
        **_message_context(message, locale),
    }


def _line(text: str | None, locale: str, limit: int = NAME_LIMIT) -> str:
    return isolate(quote_line(text, limit), text_direction(locale))


def _greeting(first_name: str | None, locale: str) -> str:
    gettext = translations("mail", locale).gettext
    name = _line(first_name, locale)
    return gettext("Hello %(name)s,") % {"name": name} if name else gettext("Hello,")


def _message_context(message: Message, locale: str) -> Mapping[str, object]:
    match message:
        case InvitationMail():
            return _invitation(message, locale)
        case PasswordResetMail() | EmailVerificationMail():
            return {"link_url": message.link_url, "expires": format_instant(message.expires_at, locale)}
        case AdminSetUpMail():
            expires = format_instant(message.expires_at, locale)
            return {"link_url": message.link_url, "expires": expires, "is_new": message.is_new}
        case LinkRequestedMail():
            return {"invitee": _address(message.invitee_email, locale)}
        case InvitationDeclinedMail():
            return {"invitee": _address(message.invitee_email, locale), "reason": quote_message(message.reason)}
        case _:
            raise TypeError(f"no template for {type(message).__name__}")


def _address(address: str, locale: str) -> str:
    return isolate(clean_line(address, 254), text_direction(locale))


def _invitation(message: InvitationMail, locale: str) -> Mapping[str, object]:
    return {
        "link_url": message.link_url,
        "expires": format_instant(message.expires_at, locale),
        "inviter": _line(message.inviter_name, locale),
        "message": quote_message(message.message),
        "role": _line(message.role_name, locale),
        "groups": ", ".join(_line(name, locale) for name in message.group_names),
        "group_count": len(message.group_names),
        "objects": [{"role": role, "title": _line(title, locale, TITLE_LIMIT)} for role, title in message.content],
        "account_exists": message.account_exists,
    }
