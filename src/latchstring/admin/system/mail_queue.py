"""The mail queue: what waits, what fails and with which words, and two ways to interfere."""

import html
from uuid import UUID

from latchstring.admin.context import DOMAIN, Panel
from latchstring.admin.pagination import address, cursor_of, cursor_text, id_in
from latchstring.admin.routing import acts, shows
from latchstring.domain.mail import DeliveryState
from latchstring.domain.panel import MAIL_READ, MAIL_WRITE
from latchstring.domain.views.mail_queue import Interference
from latchstring.http.responses import Answer
from latchstring.pages.forms import PageForm
from latchstring.pages.templating import render

QUEUE = "/admin/mail"
MAIL = f"{QUEUE}/{{mail_id:str}}"
STATES = tuple(DeliveryState)
WITHIN = "mail"


class NothingForm(PageForm):
    """A button."""


@shows(QUEUE, needs=MAIL_READ)
async def show_queue(panel: Panel) -> Answer:
    queue, by = panel.services.backoffice.mail_queue, panel.principal
    state = _state(panel.asked("state"))
    about = panel.asked("about")
    if about:
        page = await queue.list_about(by, id_in(about))
    else:
        page = await queue.list(by, state, cursor=cursor_of(panel, WITHIN, name="before"))
    return panel.show(
        "mail_queue.html",
        page=page,
        state=state,
        states=STATES,
        counts=await queue.count(by),
        about=about,
        is_on=panel.services.mail_rules.transport != "off",
        older="" if page.next is None else address(panel, before=cursor_text(panel, WITHIN, page.next)),
        first=address(panel, before=None) if panel.asked("before") else "",
    )


@shows(MAIL, needs=MAIL_READ)
async def show_mail(panel: Panel) -> Answer:
    queue = panel.services.backoffice.mail_queue
    mail = await queue.find(panel.principal, _mail_id(panel))
    return panel.show("mail_entry.html", mail=mail, attempts=await queue.list_attempts(panel.principal, mail))


@acts(f"{MAIL}/retry", needs=MAIL_WRITE)
async def retry(panel: Panel) -> Answer:
    await panel.read(NothingForm)
    mail_id = _mail_id(panel)
    done = await panel.services.backoffice.mail_queue.retry(panel.principal, mail_id)
    return panel.go(
        f"{QUEUE}/{mail_id}", flash=said_of_mail(panel, f"retry-{done}"), is_bad=done is not Interference.DONE
    )


@shows(f"{MAIL}/drop", needs=MAIL_WRITE)
async def ask_to_drop(panel: Panel) -> Answer:
    mail = await panel.services.backoffice.mail_queue.find(panel.principal, _mail_id(panel))
    if not mail.can_be_dropped:
        return panel.go(f"{QUEUE}/{mail.id}", flash=said_of_mail(panel, "drop-held" if mail.is_held else "drop-over"))
    return panel.show("mail_drop.html", mail=mail)


@acts(f"{MAIL}/drop", needs=MAIL_WRITE)
async def drop(panel: Panel) -> Answer:
    await panel.read(NothingForm)
    mail_id = _mail_id(panel)
    done = await panel.services.backoffice.mail_queue.drop(panel.principal, mail_id)
    return panel.go(
        f"{QUEUE}/{mail_id}", flash=said_of_mail(panel, f"drop-{done}"), is_bad=done is not Interference.DONE
    )


def _mail_id(panel: Panel) -> UUID:
    return id_in(panel.parameter("mail_id"))


def _state(asked: str) -> DeliveryState | None:
    return DeliveryState(asked) if asked in set(DeliveryState) else None


def said_of_mail(panel: Panel, what: str, **values: object) -> str:
    """One or two sentences as plain text, for the word on the next page."""
    context = {"locale": panel.locale, "domain": DOMAIN, "what": what}
    return " ".join(html.unescape(render("panel/mail_said.html", context | values)).split())


routes = [show_queue, show_mail, retry, ask_to_drop, drop]
