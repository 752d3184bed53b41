"""Saying no, and asking for a fresh link."""

from latchstring.domain.errors import InvalidFields, Over, WrongState
from latchstring.formats.field_types import Message
from latchstring.http.responses import Answer
from latchstring.invitee.context import Page
from latchstring.invitee.previews import Found, find_offer, show_end_of
from latchstring.invitee.routing import acts, shows
from latchstring.pages.forms import PageForm, Shown

DECLINE = "/invitation/decline"


class Declining(PageForm):
    """The form that declines."""

    reason: Message | None = None


@shows(DECLINE)
async def show_decline(page: Page) -> Answer:
    """The question, at an address of its own. Asking is not declining."""
    found = await find_offer(page, page.asked("token"))
    return _show_question(found) if isinstance(found, Found) else found


def _show_question(found: Found, *, form: Shown | None = None, status: int = 200, code: str = "") -> Answer:
    return found.page.show("decline.html", status=status, code=code, form=form, offer=found.offer, token=found.token)


@acts(DECLINE)
async def decline(page: Page) -> Answer:
    """Say no."""
    page, sent = await page.read(Declining)
    found = await find_offer(page.standing_at(DECLINE, token=sent.token), sent.token)
    if not isinstance(found, Found):
        return found
    try:
        await page.services.invitations.answering.decline(sent.token, reason=sent.finish().reason)
    except InvalidFields as error:
        return _show_question(found, form=sent.refused(error), status=422, code=error.code)
    except (Over, WrongState) as error:
        return show_end_of(found, error)
    return page.go("/invitation/declined")


@shows("/invitation/declined")
async def show_declined(page: Page) -> Answer:
    return page.show("declined_now.html")


@acts("/invitation/request-new")
async def request_new(page: Page) -> Answer:
    """Have a fresh link mailed to the invited address. The answer is the same whatever came of it."""
    page, sent = await page.read(PageForm)
    await page.services.invitations.answering.request_new(sent.token)
    return page.go("/invitation/requested")


@shows("/invitation/requested")
async def show_requested(page: Page) -> Answer:
    return page.show("link_requested.html")
