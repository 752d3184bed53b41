"""The pages to decline an invitation and to request a new link."""

from latchstring.domain.errors import InvalidFields, LinkEnded, WrongState
from latchstring.formats.field_types import Message
from latchstring.http.responses import Answer
from latchstring.invitee.context import InviteePage
from latchstring.invitee.previews import LandingContext, find_landing_context, show_ended_invitation
from latchstring.invitee.routing import get, post
from latchstring.pages.forms import FormState, PageForm

DECLINE = "/invitation/decline"


class DeclineForm(PageForm):
    """The form that declines."""

    reason: Message | None = None


@get(DECLINE)
async def show_decline(page: InviteePage) -> Answer:
    """Ask for confirmation. Opening this page does not decline."""
    context = await find_landing_context(page, page.query_value("token"))
    return _show_confirmation(context) if isinstance(context, LandingContext) else context


def _show_confirmation(
    context: LandingContext, *, form: FormState | None = None, status: int = 200, code: str = ""
) -> Answer:
    return context.page.show(
        "decline.html", status=status, code=code, form=form, summary=context.summary, token=context.token
    )


@post(DECLINE)
async def decline(page: InviteePage) -> Answer:
    """Decline the invitation."""
    page, sent = await page.read(DeclineForm)
    context = await find_landing_context(page.with_url(DECLINE, token=sent.token), sent.token)
    if not isinstance(context, LandingContext):
        return context
    try:
        await page.services.invitations.responses.decline(sent.token, reason=sent.finish().reason)
    except InvalidFields as error:
        return _show_confirmation(context, form=sent.refused(error), status=422, code=error.code)
    except (LinkEnded, WrongState) as error:
        return show_ended_invitation(context, error)
    return page.redirect("/invitation/declined")


@get("/invitation/declined")
async def show_declined(page: InviteePage) -> Answer:
    return page.show("declined_now.html")


@post("/invitation/request-new")
async def request_new(page: InviteePage) -> Answer:
    """Mail a new link to the invited address. The response does not reveal whether one was sent."""
    page, sent = await page.read(PageForm)
    await page.services.invitations.responses.request_new(sent.token)
    return page.redirect("/invitation/requested")


@get("/invitation/requested")
async def show_requested(page: InviteePage) -> Answer:
    return page.show("link_requested.html")
