"""Every message in every language and form, as people get it, with sample data; and a test to an address."""

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
from latchstring.pages.mail_frame import frame_answer, holding_frame

MESSAGES = "/admin/messages"
MESSAGE = f"{MESSAGES}/{{kind:str}}"
FORMS = ("desktop", "phone", "text")


class TestForm(PageForm, kw_only=True):
    """Where a test goes. The language comes along in `locale`."""

    __test__ = False  # no test of ours

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
    """The HTML alone, as the document of the preview's frame."""
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
    panel.services.limiter.check_test_mail(panel.me.id)
    found = await panel.services.backoffice.messages.send_test(kind, locale, form.to.email, by=panel.principal)
    if not found.is_taken:
        message = "test-mail-refused"
    elif panel.services.mail_rules.transport == "mailbox":
        message = "test-mail-in-mailbox"
    else:
        message = "test-mail-accepted"
    result = flash(panel, message, reply=found.reply or "", is_bad=not found.is_taken)
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
        is_on=panel.services.mail_rules.transport != "off",
    )
    return holding_frame(answer)


async def _preview(panel: Panel, locale: str) -> MessagePreview:
    # an operator's template may take its time: not on the event loop
    messages = panel.services.backoffice.messages
    return await asyncio.to_thread(messages.preview, _kind(panel), locale, by=panel.principal)


def _kind(panel: Panel) -> MailKind:
    asked = panel.parameter("kind")
    if asked not in set(MailKind):
        raise NotFound("There is no such message.")
    return MailKind(asked)


def _locale(asked: str, panel: Panel) -> str:
    return negotiate([asked or None], panel.services.app.default_locale)


routes = [show_messages, show_message, show_frame, send_test]
