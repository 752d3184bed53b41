"""The mail queue: pending and failed mails with their errors; retry and drop."""

from uuid import UUID

from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.pagination import address, cursor_of, format_cursor, parse_id
from latchstring.admin.routing import get, post
from latchstring.domain.mail import DeliveryState
from latchstring.domain.panel import MAIL_READ, MAIL_WRITE
from latchstring.domain.views.mail_queue import InterventionResult
from latchstring.http.responses import Answer
from latchstring.pages.forms import PageForm

QUEUE = "/admin/mail"
MAIL = f"{QUEUE}/{{mail_id:str}}"
STATES = tuple(DeliveryState)
_RETRY_MESSAGES = {
    InterventionResult.DONE: "mail-retried",
    InterventionResult.IN_PROGRESS: "mail-in-progress",
    InterventionResult.FINISHED: "mail-finished",
    InterventionResult.OBSOLETE: "mail-obsolete",
}
_DROP_MESSAGES = _RETRY_MESSAGES | {InterventionResult.DONE: "mail-dropped"}
WITHIN = "mail"


@get(QUEUE, needs=MAIL_READ)
async def show_queue(panel: Panel) -> Answer:
    queue, by = panel.services.backoffice.mail_queue, panel.principal
    state = _state(panel.query_value("state"))
    about = panel.query_value("about")
    if about:
        page = await queue.list_about(parse_id(about), by=by)
    else:
        page = await queue.list(state, cursor=cursor_of(panel, WITHIN, name="before"), by=by)
    return panel.show(
        "system/mail_queue.html",
        page=page,
        state=state,
        states=STATES,
        counts=await queue.count(by=by),
        about=about,
        is_on=not panel.services.mail_rules.is_off,
        older="" if page.next is None else address(panel, before=format_cursor(panel, WITHIN, page.next)),
        first=address(panel, before=None) if panel.query_value("before") else "",
    )


@get(MAIL, needs=MAIL_READ)
async def show_mail(panel: Panel) -> Answer:
    queue = panel.services.backoffice.mail_queue
    mail = await queue.find(_mail_id(panel), by=panel.principal)
    return panel.show("system/mail.html", mail=mail, attempts=await queue.list_attempts(mail, by=panel.principal))


@post(f"{MAIL}/retry", needs=MAIL_WRITE)
async def retry(panel: Panel) -> Answer:
    await panel.read_form(PageForm)
    mail_id = _mail_id(panel)
    result = await panel.services.backoffice.mail_queue.retry(mail_id, by=panel.principal)
    message = flash(panel, _RETRY_MESSAGES[result], is_bad=result is not InterventionResult.DONE)
    return panel.redirect(f"{QUEUE}/{mail_id}", flash=message)


@get(f"{MAIL}/drop", needs=MAIL_WRITE)
async def confirm_drop(panel: Panel) -> Answer:
    mail = await panel.services.backoffice.mail_queue.find(_mail_id(panel), by=panel.principal)
    if not mail.can_be_dropped:
        message = "mail-in-progress" if mail.is_leased else "mail-finished"
        return panel.redirect(f"{QUEUE}/{mail.id}", flash=flash(panel, message))
    return panel.show("system/mail_drop.html", mail=mail)


@post(f"{MAIL}/drop", needs=MAIL_WRITE)
async def drop(panel: Panel) -> Answer:
    await panel.read_form(PageForm)
    mail_id = _mail_id(panel)
    result = await panel.services.backoffice.mail_queue.drop(mail_id, by=panel.principal)
    message = flash(panel, _DROP_MESSAGES[result], is_bad=result is not InterventionResult.DONE)
    return panel.redirect(f"{QUEUE}/{mail_id}", flash=message)


def _mail_id(panel: Panel) -> UUID:
    return parse_id(panel.parameter("mail_id"))


def _state(text: str) -> DeliveryState | None:
    return DeliveryState(text) if text in set(DeliveryState) else None


routes = [show_queue, show_mail, retry, confirm_drop, drop]
