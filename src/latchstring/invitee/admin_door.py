"""What there is of the panel: setting up an account, and a door that says it is not built in yet."""

from latchstring.domain.errors import InvalidFields, SetUpTokenInvalid
from latchstring.invitee.page import Page
from latchstring.invitee.recovery import GONE, NewPassword
from latchstring.invitee.routing import acts, shows
from latchstring.web.answers import Answer

LOGIN = "/admin/login"


@shows("/admin")
async def show_panel(page: Page) -> Answer:
    """Without an admin session every page of the panel leads to its login."""
    return page.go(LOGIN)


@shows(LOGIN)
async def show_admin_login(page: Page) -> Answer:
    return page.show("admin_login.html")


@shows("/admin/set-up")
async def show_set_up(page: Page) -> Answer:
    """The form that a set-up link opens."""
    token = page.asked("token")
    try:
        await page.services.accounts.check_set_up(token)
    except SetUpTokenInvalid as error:
        return page.show(GONE, status=401, code=error.code)
    return page.show("admin_set_up.html", token=token)


@acts("/admin/set-up")
async def set_up(page: Page) -> Answer:
    """Set the first password of an admin account, once."""
    page, sent = await page.read(NewPassword)
    page = page.standing_at("/admin/set-up", token=sent.token)
    try:
        await page.services.accounts.set_up_admin(sent.token, sent.finish().password)
    except InvalidFields as error:
        form = sent.refused(error)
        return page.show("admin_set_up.html", status=422, code=error.code, form=form, token=sent.token)
    except SetUpTokenInvalid as error:
        return page.show(GONE, status=401, code=error.code)
    return page.go(LOGIN, done="password")
