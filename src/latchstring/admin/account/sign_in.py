"""Panel pages without a session: sign-in, second factor, sign-out, forgotten password, and account set-up.

Administrators have a session of their own; being signed in to the app opens nothing here. Every login makes a new
session under a new token, the second factor changes the token once more, so one that was planted beforehand is worth
nothing.
"""

from dataclasses import replace

from latchstring.admin.context import Panel
from latchstring.admin.cookies import new_pre_session, pre_session_cookie, session_cookie
from latchstring.admin.navigation import home_of
from latchstring.admin.routing import LOGIN, SECOND_FACTOR, UNAUTHENTICATED, get, is_own_path, post
from latchstring.admins.sessions import AuthenticatedAdmin, NewAdminSession
from latchstring.domain.errors import (
    CredentialInvalid,
    InvalidCredentials,
    InvalidFields,
    SecondFactorInvalid,
    SetUpTokenInvalid,
)
from latchstring.domain.panel import principal_of_admin
from latchstring.formats.email_address import Address
from latchstring.formats.field_types import Email, Secret
from latchstring.http.responses import Answer
from latchstring.pages.forms import PageForm

FORGOTTEN = "/admin/login/forgotten"
SET_UP = "/admin/set-up"


class AdminSignInForm(PageForm):
    """The form of the login. next: a page of the panel to go on to."""

    email: Email | None = None
    password: Secret | None = None
    next: str = ""


class SecondFactorForm(PageForm):
    """The second factor: a code of the app, or a recovery code."""

    code: str = ""
    next: str = ""


class AdminForgotPasswordForm(PageForm, kw_only=True):
    """The form that asks for a link to a new password."""

    email: Email


class AdminNewPasswordForm(PageForm, kw_only=True):
    """The form a set-up link opens."""

    password: Secret


# ---- signing in ------------------------------------------------------------------------------------------------------


@get(LOGIN, needs=UNAUTHENTICATED)
async def show_login(panel: Panel) -> Answer:
    """The form; whoever has signed in already goes on."""
    visit = await find_visit(panel)
    if visit is not None:
        return panel.redirect(*_onward(panel, visit))
    return panel.show("account/sign_in.html", next=_next(panel.query_value("next")), said=panel.query_value("said"))


@post(LOGIN, needs=UNAUTHENTICATED)
async def log_in(panel: Panel) -> Answer:
    """Sign in and go on. A wrong address, a wrong password and a user of the app are told alike."""
    sent = await panel.read_form(AdminSignInForm)
    address: Address | None = sent.get("email")
    typed = sent.typed.get("email", "").strip()
    network = panel.client_network
    panel.services.limiter.check_login(f"admin {address.email_key if address else typed}", network)
    try:
        opened = await panel.services.admins.sessions.login(
            typed,
            sent.get("password") or "",
            user_agent=panel.request.headers.get("User-Agent", ""),
            network=network,
        )
    except InvalidCredentials as error:
        form = sent.with_problem("email", "credentials")
        wanted = _next(sent.typed.get("next", ""))
        return panel.show("account/sign_in.html", status=401, code=error.code, form=form, next=wanted, said="")
    await _end_present(panel)
    return enter(panel, opened, sent.typed.get("next", ""))


async def _end_present(panel: Panel) -> None:
    """Whoever signs in over a session leaves no open one behind under a token nobody holds any more."""
    visit = await find_visit(panel)
    if visit is not None:
        await panel.services.admins.sessions.logout(visit)


@get(SECOND_FACTOR, needs=UNAUTHENTICATED)
async def show_code(panel: Panel) -> Answer:
    """The question for the second factor, to whoever has given the password."""
    visit = await find_visit(panel)
    if visit is None or not visit.awaits_code:
        return panel.redirect(*_onward(panel, visit))
    return panel.show(
        "account/sign_in_code.html", next=_next(panel.query_value("next")), who=visit.admin, uses_recovery=False
    )


@post(SECOND_FACTOR, needs=UNAUTHENTICATED)
async def enter_code(panel: Panel) -> Answer:
    """Open the session that awaits its code."""
    sent = await panel.read_form(SecondFactorForm)
    visit = await find_visit(panel)
    if visit is None or not visit.awaits_code:
        return panel.redirect(*_onward(panel, visit))
    code, wanted = sent.typed.get("code", ""), _next(sent.typed.get("next", ""))
    panel.services.limiter.check_code(visit.admin.email_key)
    try:
        opened = await panel.services.admins.second_factors.complete_login(visit, code)
    except SecondFactorInvalid as error:
        uses_recovery = len(code) > LONGEST_APP_CODE
        form = sent.with_problem("recovery" if uses_recovery else "code", "wrong-code")
        return panel.show(
            "account/sign_in_code.html", status=401, code=error.code, form=form, next=wanted, who=visit.admin,
            uses_recovery=uses_recovery,
        )  # fmt: skip
    except CredentialInvalid:
        return panel.redirect(LOGIN, next=wanted)
    return enter(panel, opened, wanted)


LONGEST_APP_CODE = 8  # six digits, perhaps with a blank


def enter(panel: Panel, opened: NewAdminSession, wanted: str) -> Answer:
    """Hand the browser its session and go on: to the second factor, to the page that was wanted, or home."""
    panel = panel.with_cookies(*session_cookies(panel, opened), pre_session_cookie("", secure=panel.cookies.secure))
    if opened.awaits_code:
        return panel.redirect(SECOND_FACTOR, next=_next(wanted))
    return panel.redirect(_next(wanted) or home_of(principal_of_admin(opened.admin)))


def session_cookies(panel: Panel, opened: NewAdminSession) -> list[bytes]:
    """The cookie of a session, for as long as it can last."""
    seconds = max(0, int((opened.expires_at - panel.now).total_seconds()))
    return [session_cookie(opened.token, seconds=seconds, secure=panel.cookies.secure)]


async def find_visit(panel: Panel) -> AuthenticatedAdmin | None:
    """Whoever holds this browser's session, read anew."""
    token = panel.cookies.session
    return await panel.services.admins.sessions.find(token) if token else None


def _onward(panel: Panel, visit: AuthenticatedAdmin | None) -> tuple[str]:
    """Where a browser belongs that came to the wrong one of these pages."""
    wanted = _next(panel.query_value("next"))
    if visit is None:
        return (LOGIN,)
    if visit.awaits_code:
        return (SECOND_FACTOR,)
    return (wanted or home_of(principal_of_admin(visit.admin)),)


def _next(path: str) -> str:
    """The path if it is one of the panel's own; else nothing."""
    return path if is_own_path(path) and not path.startswith(LOGIN) else ""


# ---- leaving ---------------------------------------------------------------------------------------------------------


@post("/admin/logout", needs=UNAUTHENTICATED)
async def log_out(panel: Panel) -> Answer:
    """End this browser's session."""
    await panel.read_form(PageForm)
    visit = await find_visit(panel)
    if visit is not None:
        await panel.services.admins.sessions.logout(visit)
    return without_session(panel).redirect(LOGIN, said="left")


def without_session(panel: Panel) -> Panel:
    """The panel of a browser that forgets its session and gets a new pre-session."""
    pre_session, secure = new_pre_session(), panel.cookies.secure
    cookies = replace(panel.cookies, session=None, pre_session=pre_session)
    forgotten = session_cookie("", seconds=0, secure=secure)
    return replace(panel, cookies=cookies, new_cookies=(forgotten, pre_session_cookie(pre_session, secure=secure)))


# ---- a new password --------------------------------------------------------------------------------------------------


@get(FORGOTTEN, needs=UNAUTHENTICATED)
async def show_forgotten(panel: Panel) -> Answer:
    """The question for the address; after it was sent what happens next."""
    return panel.show(
        "account/forgotten_password.html", is_sent=panel.query_value("sent") == "yes", has_mail=has_mail(panel)
    )


@post(FORGOTTEN, needs=UNAUTHENTICATED)
async def request_password(panel: Panel) -> Answer:
    """Mail a link, if there is an account; the answer does not tell."""
    sent = await panel.read_form(AdminForgotPasswordForm)
    try:
        address: Address = sent.finish().email
    except InvalidFields as error:
        form = sent.refused(error)
        return panel.show(
            "account/forgotten_password.html",
            status=422,
            code=error.code,
            form=form,
            is_sent=False,
            has_mail=has_mail(panel),
        )
    panel.services.limiter.check_requested(address.email_key)
    await panel.services.admins.set_up_links.request(address, locale=panel.locale)
    return panel.redirect(FORGOTTEN, sent="yes")


def has_mail(panel: Panel) -> bool:
    """Whether mails leave this installation at all."""
    return panel.services.mail_rules.transport != "off"


@get(SET_UP, needs=UNAUTHENTICATED)
async def show_set_up(panel: Panel) -> Answer:
    """The form that a set-up link opens."""
    token = panel.query_value("token")
    try:
        admin = await panel.services.admins.set_up_links.check(token)
    except SetUpTokenInvalid as error:
        return panel.show("account/set_up_link_invalid.html", status=401, code=error.code)
    return _show_set_up(panel, token, admin.email, is_new=not admin.is_set_up)


@post(SET_UP, needs=UNAUTHENTICATED)
async def set_up(panel: Panel) -> Answer:
    """Set the password of an administrator's account, once. Every session of it ends, here as well."""
    sent = await panel.read_form(AdminNewPasswordForm)
    admins = panel.services.admins
    try:
        admin = await admins.set_up_links.check(sent.token)
        await admins.set_up_links.use(sent.token, sent.finish().password)
    except InvalidFields as error:
        form = sent.refused(error)
        return _show_set_up(
            panel, sent.token, admin.email, is_new=not admin.is_set_up, status=422, code=error.code, form=form
        )
    except SetUpTokenInvalid as error:
        return panel.show("account/set_up_link_invalid.html", status=401, code=error.code)
    return without_session(panel).redirect(LOGIN, said="password")


def _show_set_up(panel: Panel, token: str, email: str, *, is_new: bool, **more: object) -> Answer:
    minimum = panel.services.account_rules.password_minimum
    return panel.show(
        "account/set_up.html",
        token=token,
        email=email,
        is_new=is_new,
        password_minimum=minimum,
        **more,  # type: ignore[arg-type]
    )


routes = [show_login, log_in, show_code, enter_code, log_out, show_forgotten, request_password, show_set_up, set_up]
