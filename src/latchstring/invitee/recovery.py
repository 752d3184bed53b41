"""Forgotten passwords and unconfirmed addresses: asking for a link, and using it."""

from latchstring.domain.errors import InvalidFields, ResetTokenInvalid, VerificationTokenInvalid
from latchstring.formats.email_address import Address
from latchstring.formats.field_types import Email, Secret
from latchstring.http.authentication import clear_session_cookies
from latchstring.http.responses import Answer
from latchstring.invitee.context import Page
from latchstring.invitee.routing import acts, shows
from latchstring.invitee.signed_in import member_of
from latchstring.pages.forms import PageForm

GONE = "link_over.html"


class Forgotten(PageForm, kw_only=True):
    """The form that asks for a reset link."""

    email: Email


class NewPassword(PageForm, kw_only=True):
    """The form a reset link opens."""

    password: Secret


@shows("/password-reset")
async def show_password_reset(page: Page) -> Answer:
    """Without a token the question for the address; with a good one the form for the new password."""
    token = page.asked("token")
    if not token:
        return page.show("password_forgotten.html")
    if await page.services.users.find_reset_user(token) is None:
        return page.show(GONE, status=401, code=ResetTokenInvalid.code)
    return page.show("password_choose.html", token=token)


@acts("/password-reset")
async def request_password_reset(page: Page) -> Answer:
    """Mail a link, if there is an account; the answer does not tell."""
    page, sent = await page.read(Forgotten)
    try:
        form = sent.finish()
    except InvalidFields as error:
        return page.show("password_forgotten.html", status=422, code=error.code, form=sent.refused(error))
    address: Address = form.email
    page.services.limiter.check_requested(address.email_key)
    await page.services.users.request_password_reset(address, locale=page.locale)
    return page.go("/password-reset/sent")


@shows("/password-reset/sent")
async def show_password_reset_sent(page: Page) -> Answer:
    return page.show("password_mailed.html")


@acts("/password-reset/choose")
async def reset_password(page: Page) -> Answer:
    """Set the new password. Every session of the account ends, so this browser forgets its own."""
    page, sent = await page.read(NewPassword)
    page = page.standing_at("/password-reset", token=sent.token)
    try:
        await page.services.users.reset_password(sent.token, sent.finish().password, pointer="/password")
    except InvalidFields as error:
        form = sent.refused(error)
        return page.show("password_choose.html", status=422, code=error.code, form=form, token=sent.token)
    except ResetTokenInvalid as error:
        return page.show(GONE, status=401, code=error.code)
    return page.go("/login", done="password").with_cookies(clear_session_cookies(page.services.app))


@shows("/verify-email")
async def show_verify_email(page: Page) -> Answer:
    """With a token a button, for only a person presses it; without one the offer to mail the link."""
    token = page.asked("token")
    if token:
        return page.show("verify_email.html", token=token)
    if page.user is None:
        return page.go("/login", next="/verify-email")
    return page.show("verify_request.html", user=await member_of(page, page.user))


@acts("/verify-email")
async def verify_email(page: Page) -> Answer:
    """Note that the address is the person's."""
    page, sent = await page.read(PageForm)
    try:
        await page.services.users.verify_email(sent.token)
    except VerificationTokenInvalid as error:
        return page.standing_at("/verify-email", token=sent.token).show(GONE, status=401, code=error.code)
    return page.go("/verify-email/done")


@shows("/verify-email/done")
async def show_verified(page: Page) -> Answer:
    return page.show("verified.html")


@acts("/verify-email/request")
async def request_verification(page: Page) -> Answer:
    """Mail the link to whoever is signed in."""
    page, _ = await page.read(PageForm)
    if page.user is None:
        return page.go("/login", next="/verify-email")
    page.services.limiter.check_requested(page.user.email_key)
    await page.services.users.request_verification(page.user, locale=page.locale)
    return page.go("/verify-email/sent")


@shows("/verify-email/sent")
async def show_verification_sent(page: Page) -> Answer:
    return page.show("verify_mailed.html")
