"""Previews of every message in every language with sample data, and test mails."""

import asyncio
from email.utils import parseaddr

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.routing import get, post
from latchstring.backoffice.messages import MessagePreview
from latchstring.domain.errors import InvalidFields, NotFound
from latchstring.domain.mail import MailKind
from latchstring.domain.panel import MAIL_READ, MAIL_WRITE
from latchstring.formats.field_types import Email
from latchstring.http.responses import Answer
from latchstring.i18n.dates import text_direction
from latchstring.i18n.negotiation import available_locales, negotiate
from latchstring.pages.forms import FormState, PageForm
from latchstring.pages.mail_frame import allow_frames, frame_answer

MESSAGES = "/admin/messages"
MESSAGE = f"{MESSAGES}/{{kind:str}}"
FORMS = ("desktop", "phone", "text")


class TestForm(PageForm, kw_only=True):
    """The recipient of a test mail. `locale` is the language of the mail."""

    __test__ = False  # not a pytest class

    to: Email


@get(MESSAGES, needs=MAIL_READ)
async def show_messages(panel: Panel) -> Answer:
    return panel.show(
        "system/messages.html", kinds=list(MailKind), folder=panel.services.mail_rules.templates_directory or ""
    )


@get(MESSAGE, needs=MAIL_READ)
async def show_message(panel: Panel) -> Answer:
    return await _show(panel, _locale(panel.query_value("locale"), panel), panel.query_value("form"))


@get(f"{MESSAGE}/frame", needs=MAIL_READ)
async def show_frame(panel: Panel) -> Answer:
    """The HTML of the mail, as the document of the preview's frame."""
    locale = _locale(panel.query_value("locale"), panel)
    preview = await _preview(panel, locale)
    return frame_answer(preview.mail.html, locale=preview.mail.locale)


@post(f"{MESSAGE}/test", needs=MAIL_WRITE)
async def send_test(panel: Panel) -> Answer:
    sent = await panel.read_form(TestForm)
    kind = _kind(panel)
    locale = _locale(sent.get("locale") or "", panel)
    try:
        form = sent.finish()
    except InvalidFields as error:
        return await _show(panel, locale, "", form=sent.refused(error), status=422)
    outcome = await panel.services.backoffice.messages.send_test(kind, locale, form.to.email, by=panel.principal)
    if not outcome.is_taken:
        message = "test-mail-refused"
    elif panel.services.mail_rules.transport == "mailbox":
        message = "test-mail-in-mailbox"
    else:
        message = "test-mail-accepted"
    result = flash(panel, message, reply=outcome.reply or "", is_bad=not outcome.is_taken)
    return panel.redirect(f"{MESSAGES}/{kind}", flash=result, locale=locale)


async def _show(
    panel: Panel, locale: str, form_name: str, *, form: FormState | None = None, status: int = 200
) -> Answer:
    preview = await _preview(panel, locale)
    name, address = parseaddr(panel.services.mail_rules.sender)
    answer = panel.show(
        "system/message.html",
        status=status,
        code=InvalidFields.code if form else "",
        form=form,
        kind=_kind(panel),
        shown_as=form_name if form_name in FORMS else FORMS[0],
        forms=FORMS,
        languages=available_locales(),
        mail=preview.mail,
        mail_direction=text_direction(preview.mail.locale),
        broken=preview.broken,
        from_name=name,
        from_address=address,
        is_on=not panel.services.mail_rules.is_off,
    )
    return allow_frames(answer)


async def _preview(panel: Panel, locale: str) -> MessagePreview:
    # in a thread: an operator's template may be slow, and would block the event loop
    messages = panel.services.backoffice.messages
    return await asyncio.to_thread(messages.preview, _kind(panel), locale, by=panel.principal)


def _kind(panel: Panel) -> MailKind:
    kind = panel.parameter("kind")
    if kind not in set(MailKind):
        raise NotFound("There is no such message.")
    return MailKind(kind)


def _locale(requested: str, panel: Panel) -> str:
    return negotiate([requested or None], panel.services.app.default_locale)


routes = [show_messages, show_message, show_frame, send_test]
