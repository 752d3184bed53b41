"""Password reset and address confirmation: request a link, and use it."""

from latchstring.domain.errors import InvalidFields, ResetTokenInvalid, VerificationTokenInvalid
from latchstring.formats.email_address import Address
from latchstring.formats.field_types import Email, Secret
from latchstring.http.authentication import clear_session_cookies
from latchstring.http.responses import Answer
from latchstring.invitee.context import InviteePage
from latchstring.invitee.routing import get, post
from latchstring.invitee.signed_in import member_of
from latchstring.pages.forms import PageForm

INVALID_LINK = "link_expired.html"


class ForgotPasswordForm(PageForm, kw_only=True):
    """The form that requests a reset link."""

    email: Email


class NewPasswordForm(PageForm, kw_only=True):
    """The form for a new password."""

    password: Secret


@get("/password-reset")
async def show_password_reset(page: InviteePage) -> Answer:
    """Without a token the form for the address; with a valid token the form for the new password."""
    token = page.query_value("token")
    if not token:
        return page.show("password_forgotten.html")
    if await page.services.users.recovery.find_reset_user(token) is None:
        return page.show(INVALID_LINK, status=401, code=ResetTokenInvalid.code)
    return page.show("password_choose.html", token=token)


@post("/password-reset")
async def request_password_reset(page: InviteePage) -> Answer:
    """Mail a link if there is an account. The response does not reveal whether there is one."""
    page, sent = await page.read(ForgotPasswordForm)
    try:
        form = sent.finish()
    except InvalidFields as error:
        return page.show("password_forgotten.html", status=422, code=error.code, form=sent.refused(error))
    address: Address = form.email
    await page.services.users.recovery.request_password_reset(address, locale=page.locale)
    return page.redirect("/password-reset/sent")


@get("/password-reset/sent")
async def show_password_reset_sent(page: InviteePage) -> Answer:
    return page.show("password_mailed.html")


@post("/password-reset/choose")
async def reset_password(page: InviteePage) -> Answer:
    """Set the new password. All sessions of the account end, so the session cookies are cleared."""
    page, sent = await page.read(NewPasswordForm)
    page = page.with_url("/password-reset", token=sent.token)
    try:
        await page.services.users.recovery.reset_password(sent.token, sent.finish().password, pointer="/password")
    except InvalidFields as error:
        form = sent.refused(error)
        return page.show("password_choose.html", status=422, code=error.code, form=form, token=sent.token)
    except ResetTokenInvalid as error:
        return page.show(INVALID_LINK, status=401, code=error.code)
    return page.redirect("/login", done="password").with_cookies(clear_session_cookies(page.services.app))


@get("/verify-email")
async def show_verify_email(page: InviteePage) -> Answer:
    """With a token a button to confirm, as scanners only open links; without one a form to request a link."""
    token = page.query_value("token")
    if token:
        return page.show("verify_email.html", token=token)
    if page.user is None:
        return page.redirect("/login", next="/verify-email")
    return page.show("verify_request.html", user=await member_of(page, page.user))


@post("/verify-email")
async def verify_email(page: InviteePage) -> Answer:
    """Mark the address as confirmed."""
    page, sent = await page.read(PageForm)
    try:
        await page.services.users.recovery.verify_email(sent.token)
    except VerificationTokenInvalid as error:
        return page.with_url("/verify-email", token=sent.token).show(INVALID_LINK, status=401, code=error.code)
    return page.redirect("/verify-email/done")


@get("/verify-email/done")
async def show_verified(page: InviteePage) -> Answer:
    return page.show("verified.html")


@post("/verify-email/request")
async def request_verification(page: InviteePage) -> Answer:
    """Mail a link to the signed-in user."""
    page, _ = await page.read(PageForm)
    if page.user is None:
        return page.redirect("/login", next="/verify-email")
    await page.services.users.recovery.request_verification(page.user, locale=page.locale)
    return page.redirect("/verify-email/sent")


@get("/verify-email/sent")
async def show_verification_sent(page: InviteePage) -> Answer:
    return page.show("verify_mailed.html")
