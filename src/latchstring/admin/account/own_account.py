"""One's own account: name, language, password, second factor, and the browsers one is signed in with."""

from dataclasses import replace
from uuid import UUID

from latchstring.admin.account.qr import draw_qr
from latchstring.admin.account.sign_in import find_visit, session_cookies, without_session
from latchstring.admin.account.user_agents import browser_of
from latchstring.admin.administrators.administrators import known_language
from latchstring.admin.context import LANGUAGES, Panel, panel_locale
from latchstring.admin.flash import flash
from latchstring.admin.routing import ANY_ADMIN, LOGIN, get, post
from latchstring.admins.sessions import AuthenticatedAdmin, NewAdminSession
from latchstring.domain.errors import CredentialInvalid, InvalidFields, SecondFactorInvalid
from latchstring.formats.field_types import Line, Secret
from latchstring.http.responses import Answer
from latchstring.pages.forms import FormState, PageForm, SentForm

ACCOUNT = "/admin/account"
PASSWORD = "/admin/account/password"  # noqa: S105  # an address
FACTOR = "/admin/account/second-factor"


class AdminProfileForm(PageForm):
    """Name and language."""

    name: Line | None = None
    language: str = ""


class PasswordForm(PageForm, kw_only=True):
    """The present password and the next."""

    current_password: Secret
    password: Secret


class EnrolmentForm(PageForm, kw_only=True):
    """The first code of an authenticator app, and the password."""

    code: str = ""
    confirm_password: Secret


class RecoveryCodesForm(PageForm, kw_only=True):
    """The password, to have new recovery codes."""

    codes_password: Secret


class RemoveFactorForm(PageForm, kw_only=True):
    """The password, to do without a second factor."""

    removal_password: Secret


class EndSessionForm(PageForm, kw_only=True):
    """Which session is to end: its id, or `others`."""

    session: str


# ---- name, language, sessions ----------------------------------------------------------------------------------------


@get(ACCOUNT, needs=ANY_ADMIN)
async def show_account(panel: Panel) -> Answer:
    return await _show_account(panel, await _visit(panel))


async def _show_account(
    panel: Panel, visit: AuthenticatedAdmin, *, status: int = 200, code: str = "", form: FormState | None = None
) -> Answer:
    sessions = await panel.services.admins.own_account.list_sessions(visit)
    return panel.show(
        "account/account.html",
        status=status,
        code=code,
        form=form,
        languages=LANGUAGES,
        sessions=[(one, browser_of(one.user_agent)) for one in sessions],
        here=visit.session_id,
    )


@post(ACCOUNT, needs=ANY_ADMIN)
async def change_account(panel: Panel) -> Answer:
    """Keep name and language; the word that says so is in the new one."""
    sent = await panel.read_form(AdminProfileForm)
    visit = await _visit(panel)
    try:
        form = sent.finish()
    except InvalidFields as error:
        return await _show_account(panel, visit, status=422, code=error.code, form=sent.refused(error))
    language = known_language(form.language)
    await panel.services.admins.own_account.change(visit, name=form.name or "", locale=language)
    spoken = replace(panel, locale=panel_locale([language or "", panel.locale]))
    return panel.redirect(ACCOUNT, flash=flash(spoken, "account-saved"))


@post(f"{ACCOUNT}/sessions", needs=ANY_ADMIN)
async def end_session(panel: Panel) -> Answer:
    """Sign out another browser, every other, or this one."""
    sent = await panel.read_form(EndSessionForm)
    visit = await _visit(panel)
    wanted = sent.typed.get("session", "")
    if wanted == "others":
        count = await panel.services.admins.own_account.end_other_sessions(visit)
        return panel.redirect(
            ACCOUNT, flash=flash(panel, "own-sessions-ended" if count else "own-session-over", count=count)
        )
    session_id = _id_of(wanted)
    count = await panel.services.admins.own_account.end_session(visit, session_id) if session_id else 0
    if session_id == visit.session_id:
        return without_session(panel).redirect(LOGIN, said="left")
    return panel.redirect(
        ACCOUNT, flash=flash(panel, "own-sessions-ended" if count else "own-session-over", count=count)
    )


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# ---- password --------------------------------------------------------------------------------------------------------


@get(PASSWORD, needs=ANY_ADMIN)
async def show_password(panel: Panel) -> Answer:
    return _show_password(panel)


def _show_password(panel: Panel, *, status: int = 200, code: str = "", form: FormState | None = None) -> Answer:
    minimum = panel.services.account_rules.password_minimum
    return panel.show("account/password.html", status=status, code=code, form=form, password_minimum=minimum)


@post(PASSWORD, needs=ANY_ADMIN)
async def change_password(panel: Panel) -> Answer:
    """Set another password. This browser goes on under a new token, all others are signed out."""
    sent = await panel.read_form(PasswordForm)
    visit = await _visit(panel)
    try:
        form = sent.finish()
        _count_password(panel)
        renewed = await panel.services.admins.own_account.change_password(visit, form.current_password, form.password)
    except InvalidFields as error:
        return _show_password(panel, status=422, code=error.code, form=sent.refused(error))
    panel = _going_on(panel, renewed)
    return panel.redirect(ACCOUNT, flash=flash(panel, "own-password-changed"))


def _going_on(panel: Panel, renewed: NewAdminSession) -> Panel:
    """The page of a session that goes on under another token, which also signs the word for the next page."""
    cookies = replace(panel.cookies, session=renewed.token)
    return replace(panel, cookies=cookies).with_cookies(*session_cookies(panel, renewed))


def _count_password(panel: Panel) -> None:
    """Before one's own password is looked at: an open browser is no place to guess it. Raises TooManyRequests."""
    panel.services.limiter.check_login(f"admin own {panel.me.email_key}", panel.client_network)


# ---- second factor ---------------------------------------------------------------------------------------------------


@get(FACTOR, needs=ANY_ADMIN)
async def show_factor(panel: Panel) -> Answer:
    """Off, being set up, or on."""
    return await _show_factor(panel)


async def _show_factor(panel: Panel, *, status: int = 200, code: str = "", form: FormState | None = None) -> Answer:
    admins = panel.services.admins
    enrolment = admins.second_factors.find_enrolment(panel.me)
    return panel.show(
        "account/second_factor.html",
        status=status,
        code=code,
        form=form,
        enrolment=enrolment,
        qr=draw_qr(enrolment.uri) if enrolment else None,
        codes_left=await admins.second_factors.count_recovery_codes(panel.me) if panel.me.has_second_factor else 0,
    )


@post(f"{FACTOR}/start", needs=ANY_ADMIN)
async def start_factor(panel: Panel) -> Answer:
    """Propose a fresh secret. Nothing is asked for until a code of it was entered."""
    await panel.read_form(PageForm)
    await panel.services.admins.second_factors.start(await _visit(panel))
    return panel.redirect(FACTOR)


@post(FACTOR, needs=ANY_ADMIN)
async def confirm_factor(panel: Panel) -> Answer:
    """Turn the second factor on, and show the recovery codes this once."""
    sent = await panel.read_form(EnrolmentForm)
    visit = await _visit(panel)
    if visit.admin.has_second_factor:  # the page of the codes, loaded again
        return panel.redirect(FACTOR)
    try:
        form = sent.finish()
        _count_password(panel)
        codes = await panel.services.admins.second_factors.confirm(visit, form.code, form.confirm_password)
    except InvalidFields as error:
        return await _refuse_password(panel, sent, error, "confirmPassword")
    except SecondFactorInvalid as error:
        shown = sent.with_problem("code", "wrong-code")
        return await _show_factor(panel, status=422, code=error.code, form=shown)
    return _show_codes(panel, codes, is_first=True)


@post(f"{FACTOR}/codes", needs=ANY_ADMIN)
async def renew_codes(panel: Panel) -> Answer:
    """Show ten new recovery codes this once; the old ones are dead."""
    sent = await panel.read_form(RecoveryCodesForm)
    visit = await _visit(panel)
    try:
        form = sent.finish()
        _count_password(panel)
        codes = await panel.services.admins.second_factors.renew_recovery_codes(visit, form.codes_password)
    except InvalidFields as error:
        return await _refuse_password(panel, sent, error, "codesPassword")
    except SecondFactorInvalid:
        return panel.redirect(FACTOR)
    return _show_codes(panel, codes, is_first=False)


@post(f"{FACTOR}/remove", needs=ANY_ADMIN)
async def remove_factor(panel: Panel) -> Answer:
    """Ask for the password alone from now on."""
    sent = await panel.read_form(RemoveFactorForm)
    visit = await _visit(panel)
    try:
        form = sent.finish()
        _count_password(panel)
        await panel.services.admins.second_factors.remove(visit, form.removal_password)
    except InvalidFields as error:
        return await _refuse_password(panel, sent, error, "removalPassword")
    return panel.redirect(FACTOR, flash=flash(panel, "own-second-factor-removed"))


async def _refuse_password(
    panel: Panel,
    sent: SentForm[EnrolmentForm] | SentForm[RecoveryCodesForm] | SentForm[RemoveFactorForm],
    error: InvalidFields,
    field: str,
) -> Answer:
    form = sent.with_problem(field, error.errors[0].code, error.errors[0].detail)
    return await _show_factor(panel, status=422, code=error.code, form=form)


def _show_codes(panel: Panel, codes: tuple[str, ...], *, is_first: bool) -> Answer:
    # in the answer to the form, not behind a redirect: they must stand in no address and no cookie
    return panel.show("account/recovery_codes.html", codes=codes, is_first=is_first)


async def _visit(panel: Panel) -> AuthenticatedAdmin:
    """One's own account and session, as they are at this moment."""
    visit = await find_visit(panel)
    if visit is None:
        raise CredentialInvalid("This session has ended. Sign in again.")
    return visit


routes = [
    show_account,
    change_account,
    end_session,
    show_password,
    change_password,
    show_factor,
    start_factor,
    confirm_factor,
    renew_codes,
    remove_factor,
]
