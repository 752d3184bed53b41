"""Saying no, and asking for a fresh link."""

from latchstring.domain.errors import InvalidFields, LinkEnded, WrongState
from latchstring.formats.field_types import Message
from latchstring.http.responses import Answer
from latchstring.invitee.context import InviteePage
from latchstring.invitee.previews import LandingContext, find_offer, show_end_of
from latchstring.invitee.routing import get, post
from latchstring.pages.forms import FormState, PageForm

DECLINE = "/invitation/decline"


class DeclineForm(PageForm):
    """The form that declines."""

    reason: Message | None = None


@get(DECLINE)
async def show_decline(page: InviteePage) -> Answer:
    """The question, at an address of its own. Asking is not declining."""
    found = await find_offer(page, page.query_value("token"))
    return _show_question(found) if isinstance(found, LandingContext) else found


def _show_question(
    found: LandingContext, *, form: FormState | None = None, status: int = 200, code: str = ""
) -> Answer:
    return found.page.show("decline.html", status=status, code=code, form=form, offer=found.offer, token=found.token)


@post(DECLINE)
async def decline(page: InviteePage) -> Answer:
    """Say no."""
    page, sent = await page.read(DeclineForm)
    found = await find_offer(page.with_url(DECLINE, token=sent.token), sent.token)
    if not isinstance(found, LandingContext):
        return found
    try:
        await page.services.invitations.responses.decline(sent.token, reason=sent.finish().reason)
    except InvalidFields as error:
        return _show_question(found, form=sent.refused(error), status=422, code=error.code)
    except (LinkEnded, WrongState) as error:
        return show_end_of(found, error)
    return page.redirect("/invitation/declined")


@get("/invitation/declined")
async def show_declined(page: InviteePage) -> Answer:
    return page.show("declined_now.html")


@post("/invitation/request-new")
async def request_new(page: InviteePage) -> Answer:
    """Have a fresh link mailed to the invited address. The answer is the same whatever came of it."""
    page, sent = await page.read(PageForm)
    await page.services.invitations.responses.request_new(sent.token)
    return page.redirect("/invitation/requested")


@get("/invitation/requested")
async def show_requested(page: InviteePage) -> Answer:
    return page.show("link_requested.html")
