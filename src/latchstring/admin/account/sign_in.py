"""Panel pages without a session: sign-in, second factor, sign-out, forgotten password, and account set-up.

Administrators have their own sessions; a session of the app gives no access here. Every login creates a new session
with a new token, and the second factor changes the token again, so a token that an attacker set before sign-in is
useless (session fixation).
"""

from dataclasses import replace

from latchstring.admin.context import Panel
from latchstring.admin.cookies import new_pre_session, pre_session_cookie, session_cookie
from latchstring.admin.navigation import home_path
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
    """The sign-in form. next: the page of the panel to show afterwards."""

    email: Email | None = None
    password: Secret | None = None
    next: str = ""


class SecondFactorForm(PageForm):
    """The second factor: a code of the authenticator app, or a recovery code."""

    code: str = ""
    next: str = ""


class AdminForgotPasswordForm(PageForm, kw_only=True):
    """Requests a link to set a new password."""

    email: Email


class AdminNewPasswordForm(PageForm, kw_only=True):
    """The form of a set-up link."""

    password: Secret


# ---- sign in ---------------------------------------------------------------------------------------------------------


@get(LOGIN, needs=UNAUTHENTICATED)
async def show_login(panel: Panel) -> Answer:
    """The sign-in form; a redirect if the browser is signed in already."""
    session = await find_session(panel)
    if session is not None:
        return panel.redirect(*_redirect_target(panel, session))
    return panel.show(
        "account/sign_in.html", next=_checked_next(panel.query_value("next")), notice=panel.query_value("notice")
    )


@post(LOGIN, needs=UNAUTHENTICATED)
async def log_in(panel: Panel) -> Answer:
    """Sign in. A wrong address, a wrong password and an account of the app get the same answer."""
    sent = await panel.read_form(AdminSignInForm)
    try:
        new_session = await panel.services.admins.sessions.login(
            sent.typed.get("email", "").strip(),
            sent.get("password") or "",
            user_agent=panel.request.headers.get("User-Agent", ""),
            network=panel.client_network,
        )
    except InvalidCredentials as error:
        form = sent.with_problem("email", "credentials")
        next_path = _checked_next(sent.typed.get("next", ""))
        return panel.show("account/sign_in.html", status=401, code=error.code, form=form, next=next_path, notice="")
    await _end_current_session(panel)
    return _start_session(panel, new_session, sent.typed.get("next", ""))


async def _end_current_session(panel: Panel) -> None:
    """End the current session before a new one starts: its token would be lost, but it would stay valid."""
    session = await find_session(panel)
    if session is not None:
        await panel.services.admins.sessions.logout(session)


@get(SECOND_FACTOR, needs=UNAUTHENTICATED)
async def show_code(panel: Panel) -> Answer:
    """The form for the second factor, after the password was accepted."""
    session = await find_session(panel)
    if session is None or not session.awaits_code:
        return panel.redirect(*_redirect_target(panel, session))
    return panel.show(
        "account/sign_in_code.html",
        next=_checked_next(panel.query_value("next")),
        account=session.admin,
        uses_recovery=False,
    )


@post(SECOND_FACTOR, needs=UNAUTHENTICATED)
async def enter_code(panel: Panel) -> Answer:
    """Complete the sign-in with the second factor."""
    sent = await panel.read_form(SecondFactorForm)
    session = await find_session(panel)
    if session is None or not session.awaits_code:
        return panel.redirect(*_redirect_target(panel, session))
    code, next_path = sent.typed.get("code", ""), _checked_next(sent.typed.get("next", ""))
    try:
        new_session = await panel.services.admins.second_factors.complete_login(session, code)
    except SecondFactorInvalid as error:
        uses_recovery = len(code) > MAX_APP_CODE_LENGTH
        form = sent.with_problem("recovery" if uses_recovery else "code", "wrong-code")
        return panel.show(
            "account/sign_in_code.html", status=401, code=error.code, form=form, next=next_path, account=session.admin,
            uses_recovery=uses_recovery,
        )  # fmt: skip
    except CredentialInvalid:
        return panel.redirect(LOGIN, next=next_path)
    return _start_session(panel, new_session, next_path)


MAX_APP_CODE_LENGTH = 8  # six digits, possibly with a space


def _start_session(panel: Panel, session: NewAdminSession, next_path: str) -> Answer:
    """Set the session cookie and redirect: to the second factor, to the requested page, or to the first page."""
    panel = panel.with_cookies(*session_cookies(panel, session), pre_session_cookie("", secure=panel.cookies.secure))
    if session.awaits_code:
        return panel.redirect(SECOND_FACTOR, next=_checked_next(next_path))
    return panel.redirect(_checked_next(next_path) or home_path(principal_of_admin(session.admin)))


def session_cookies(panel: Panel, session: NewAdminSession) -> list[bytes]:
    """The cookie of a session, valid until the session expires."""
    seconds = max(0, int((session.expires_at - panel.now).total_seconds()))
    return [session_cookie(session.token, seconds=seconds, secure=panel.cookies.secure)]


async def find_session(panel: Panel) -> AuthenticatedAdmin | None:
    """Read the session of this browser; None without a valid one."""
    token = panel.cookies.session
    return await panel.services.admins.sessions.find(token) if token else None


def _redirect_target(panel: Panel, session: AuthenticatedAdmin | None) -> tuple[str]:
    """The page for the state of this session: sign-in, second factor, or the requested page."""
    next_path = _checked_next(panel.query_value("next"))
    if session is None:
        return (LOGIN,)
    if session.awaits_code:
        return (SECOND_FACTOR,)
    return (next_path or home_path(principal_of_admin(session.admin)),)


def _checked_next(path: str) -> str:
    """The path if it is a page of the panel, else empty."""
    return path if is_own_path(path) and not path.startswith(LOGIN) else ""


# ---- sign out --------------------------------------------------------------------------------------------------------


@post("/admin/logout", needs=UNAUTHENTICATED)
async def log_out(panel: Panel) -> Answer:
    """End this browser's session."""
    await panel.read_form(PageForm)
    session = await find_session(panel)
    if session is not None:
        await panel.services.admins.sessions.logout(session)
    return without_session(panel).redirect(LOGIN, notice="signed-out")


def without_session(panel: Panel) -> Panel:
    """A copy that deletes the session cookie and sets a new pre-session."""
    pre_session, secure = new_pre_session(), panel.cookies.secure
    cookies = replace(panel.cookies, session=None, pre_session=pre_session)
    expired_cookie = session_cookie("", seconds=0, secure=secure)
    return replace(panel, cookies=cookies, new_cookies=(expired_cookie, pre_session_cookie(pre_session, secure=secure)))


# ---- new password ----------------------------------------------------------------------------------------------------


@get(FORGOTTEN, needs=UNAUTHENTICATED)
async def show_forgotten(panel: Panel) -> Answer:
    """The form for the address; after it was sent, a page that says what happens next."""
    return panel.show(
        "account/forgotten_password.html", is_sent=panel.query_value("sent") == "yes", has_mail=has_mail(panel)
    )


@post(FORGOTTEN, needs=UNAUTHENTICATED)
async def request_password(panel: Panel) -> Answer:
    """Mail a link if the account exists; the answer does not reveal whether it does."""
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
    await panel.services.admins.set_up_links.request(address, locale=panel.locale)
    return panel.redirect(FORGOTTEN, sent="yes")


def has_mail(panel: Panel) -> bool:
    """Whether this installation sends mail."""
    return not panel.services.mail_rules.is_off


@get(SET_UP, needs=UNAUTHENTICATED)
async def show_set_up(panel: Panel) -> Answer:
    """The form of a set-up link."""
    token = panel.query_value("token")
    try:
        admin = await panel.services.admins.set_up_links.check(token)
    except SetUpTokenInvalid as error:
        return panel.show("account/set_up_link_invalid.html", status=401, code=error.code)
    return _show_set_up(panel, token, admin.email, is_new=not admin.is_set_up)


@post(SET_UP, needs=UNAUTHENTICATED)
async def set_up(panel: Panel) -> Answer:
    """Set the password of an account; the link works once. All its sessions end, including this one."""
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
    return without_session(panel).redirect(LOGIN, notice="password")


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
