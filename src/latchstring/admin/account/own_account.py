"""The administrator's own account: name, language, password, second factor and sessions."""

from dataclasses import replace
from uuid import UUID

from latchstring.admin.account.qr import draw_qr
from latchstring.admin.account.sign_in import find_session, session_cookies, without_session
from latchstring.admin.account.user_agents import parse_user_agent
from latchstring.admin.administrators.administrators import parse_language
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
    """Name and language of the panel."""

    name: Line | None = None
    language: str = ""


class PasswordForm(PageForm, kw_only=True):
    """The current password and the new one."""

    current_password: Secret
    password: Secret


class EnrolmentForm(PageForm, kw_only=True):
    """The first code of an authenticator app, and the password."""

    code: str = ""
    confirm_password: Secret


class RecoveryCodesForm(PageForm, kw_only=True):
    """The password, to create new recovery codes."""

    codes_password: Secret


class RemoveFactorForm(PageForm, kw_only=True):
    """The password, to remove the second factor."""

    removal_password: Secret


class EndSessionForm(PageForm, kw_only=True):
    """The session to end: its id, or `others`."""

    session: str


# ---- name, language, sessions ----------------------------------------------------------------------------------------


@get(ACCOUNT, needs=ANY_ADMIN)
async def show_account(panel: Panel) -> Answer:
    return await _show_account(panel, await _get_session(panel))


async def _show_account(
    panel: Panel, session: AuthenticatedAdmin, *, status: int = 200, code: str = "", form: FormState | None = None
) -> Answer:
    sessions = await panel.services.admins.own_account.list_sessions(session)
    return panel.show(
        "account/account.html",
        status=status,
        code=code,
        form=form,
        languages=LANGUAGES,
        sessions=[(listed, parse_user_agent(listed.user_agent)) for listed in sessions],
        here=session.session_id,
    )


@post(ACCOUNT, needs=ANY_ADMIN)
async def change_account(panel: Panel) -> Answer:
    """Save name and language; the flash message is in the new language."""
    sent = await panel.read_form(AdminProfileForm)
    session = await _get_session(panel)
    try:
        form = sent.finish()
    except InvalidFields as error:
        return await _show_account(panel, session, status=422, code=error.code, form=sent.refused(error))
    language = parse_language(form.language)
    await panel.services.admins.own_account.change(session, name=form.name or "", locale=language)
    localized = replace(panel, locale=panel_locale([language or "", panel.locale]))
    return panel.redirect(ACCOUNT, flash=flash(localized, "account-saved"))


@post(f"{ACCOUNT}/sessions", needs=ANY_ADMIN)
async def end_session(panel: Panel) -> Answer:
    """End one session, all other sessions, or this one."""
    sent = await panel.read_form(EndSessionForm)
    session = await _get_session(panel)
    target = sent.typed.get("session", "")
    if target == "others":
        count = await panel.services.admins.own_account.end_other_sessions(session)
        return panel.redirect(
            ACCOUNT, flash=flash(panel, "own-sessions-ended" if count else "own-session-over", count=count)
        )
    session_id = _parse_session_id(target)
    count = await panel.services.admins.own_account.end_session(session, session_id) if session_id else 0
    if session_id == session.session_id:
        return without_session(panel).redirect(LOGIN, notice="signed-out")
    return panel.redirect(
        ACCOUNT, flash=flash(panel, "own-sessions-ended" if count else "own-session-over", count=count)
    )


def _parse_session_id(text: str) -> UUID | None:
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
    """Change the password. This session continues with a new token, all other sessions end."""
    sent = await panel.read_form(PasswordForm)
    session = await _get_session(panel)
    try:
        form = sent.finish()
        renewed = await panel.services.admins.own_account.change_password(
            session, form.current_password, form.password, network=panel.client_network
        )
    except InvalidFields as error:
        return _show_password(panel, status=422, code=error.code, form=sent.refused(error))
    panel = _with_session(panel, renewed)
    return panel.redirect(ACCOUNT, flash=flash(panel, "own-password-changed"))


def _with_session(panel: Panel, renewed: NewAdminSession) -> Panel:
    """A copy for the session with its new token, which also signs the flash message."""
    cookies = replace(panel.cookies, session=renewed.token)
    return replace(panel, cookies=cookies).with_cookies(*session_cookies(panel, renewed))


# ---- second factor ---------------------------------------------------------------------------------------------------


@get(FACTOR, needs=ANY_ADMIN)
async def show_factor(panel: Panel) -> Answer:
    """The second factor: off, being set up, or on."""
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
    """Create a new secret. It is required at sign-in only after one of its codes was entered."""
    await panel.read_form(PageForm)
    await panel.services.admins.second_factors.start(await _get_session(panel))
    return panel.redirect(FACTOR)


@post(FACTOR, needs=ANY_ADMIN)
async def confirm_factor(panel: Panel) -> Answer:
    """Turn the second factor on, and show the recovery codes once."""
    sent = await panel.read_form(EnrolmentForm)
    session = await _get_session(panel)
    if session.admin.has_second_factor:  # the page with the codes was reloaded
        return panel.redirect(FACTOR)
    try:
        form = sent.finish()
        codes = await panel.services.admins.second_factors.confirm(
            session, form.code, form.confirm_password, network=panel.client_network
        )
    except InvalidFields as error:
        return await _refuse_password(panel, sent, error, "confirmPassword")
    except SecondFactorInvalid as error:
        form_state = sent.with_problem("code", "wrong-code")
        return await _show_factor(panel, status=422, code=error.code, form=form_state)
    return _show_codes(panel, codes, is_first=True)


@post(f"{FACTOR}/codes", needs=ANY_ADMIN)
async def renew_codes(panel: Panel) -> Answer:
    """Show ten new recovery codes once; the old ones stop working."""
    sent = await panel.read_form(RecoveryCodesForm)
    session = await _get_session(panel)
    try:
        form = sent.finish()
        codes = await panel.services.admins.second_factors.renew_recovery_codes(
            session, form.codes_password, network=panel.client_network
        )
    except InvalidFields as error:
        return await _refuse_password(panel, sent, error, "codesPassword")
    except SecondFactorInvalid:
        return panel.redirect(FACTOR)
    return _show_codes(panel, codes, is_first=False)


@post(f"{FACTOR}/remove", needs=ANY_ADMIN)
async def remove_factor(panel: Panel) -> Answer:
    """Remove the second factor."""
    sent = await panel.read_form(RemoveFactorForm)
    session = await _get_session(panel)
    try:
        form = sent.finish()
        await panel.services.admins.second_factors.remove(session, form.removal_password, network=panel.client_network)
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
    # in the answer to the form, not after a redirect: the codes must be in no URL and no cookie
    return panel.show("account/recovery_codes.html", codes=codes, is_first=is_first)


async def _get_session(panel: Panel) -> AuthenticatedAdmin:
    """Read the current session and its account again. Raises CredentialInvalid."""
    session = await find_session(panel)
    if session is None:
        raise CredentialInvalid("This session has ended. Sign in again.")
    return session


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
