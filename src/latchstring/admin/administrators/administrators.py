"""Administrators, for super-admins: list, invite, change roles, deactivate, end sessions."""

from uuid import UUID

from latchstring.admin.account.user_agents import parse_user_agent
from latchstring.admin.context import LANGUAGES, Panel
from latchstring.admin.flash import flash
from latchstring.admin.routing import get, post
from latchstring.admins.set_up_links import SetUpSent
from latchstring.domain.account import ADMIN_ROLES, Admin
from latchstring.domain.errors import (
    AccountBlocked,
    AdminNotFound,
    EmailTaken,
    FieldProblem,
    InvalidFields,
    LastSuperAdmin,
)
from latchstring.domain.panel import ADMINS_WRITE, PanelRole
from latchstring.formats.email_address import Address
from latchstring.formats.field_types import Email, Line
from latchstring.http.responses import Answer
from latchstring.pages.forms import FormState, PageForm

LIST = "/admin/administrators"
ENTRY = "/admin/administrators/{id:str}"
_ROLE_MESSAGES = {
    PanelRole.SUPER_ADMIN: "administrator-is-super-admin",
    PanelRole.MANAGER: "administrator-is-manager",
    PanelRole.VIEWER: "administrator-is-viewer",
}


class NewAdmin(PageForm, kw_only=True):
    """Invites an administrator. language: of the mail and of the panel."""

    email: Email
    name: Line
    role: str = ""
    language: str = ""


class NewRole(PageForm):
    """Changes the role."""

    role: str = ""


@get(LIST, needs=ADMINS_WRITE)
async def show_list(panel: Panel) -> Answer:
    """All administrators by address."""
    return panel.show("administrators/list.html", admins=await panel.services.admins.list_all())


# ---- invite ----------------------------------------------------------------------------------------------------------


@get(f"{LIST}/new", needs=ADMINS_WRITE)
async def show_new(panel: Panel) -> Answer:
    return _show_new(panel)


def _show_new(panel: Panel, *, status: int = 200, code: str = "", form: FormState | None = None) -> Answer:
    return panel.show(
        "administrators/new.html",
        status=status,
        code=code,
        form=form,
        roles=ADMIN_ROLES,
        languages=LANGUAGES,
        mail_is_off=panel.services.mail_rules.is_off,
    )


@post(f"{LIST}/new", needs=ADMINS_WRITE)
async def invite(panel: Panel) -> Answer:
    """Create the account and mail the set-up link; if mail is turned off, show the link once."""
    sent = await panel.read_form(NewAdmin)
    try:
        form = sent.finish()
        address: Address = form.email
        set_up = await panel.services.admins.invite(
            address=address, role=form.role, name=form.name, locale=parse_language(form.language), by=panel.principal
        )
    except InvalidFields as error:
        return _show_new(panel, status=422, code=error.code, form=sent.refused(error))
    except EmailTaken as error:
        taken = InvalidFields([FieldProblem("/email", "administrator-taken", error.detail)])
        return _show_new(panel, status=409, code=error.code, form=sent.refused(taken))
    return _show_sent_link(panel, set_up, "administrator-invited")


def parse_language(language: str) -> str | None:
    """A language of the panel; None for the language of the browser."""
    return language if language in LANGUAGES else None


def _show_sent_link(panel: Panel, set_up: SetUpSent, message: str) -> Answer:
    if set_up.set_up_url is not None:
        # in the answer to the form, not after a redirect: the link must be in no URL and no cookie
        return panel.show("administrators/set_up_link.html", account=set_up.admin, set_up_url=set_up.set_up_url)
    return panel.redirect(entry_path(set_up.admin.id), flash=flash(panel, message, name=set_up.admin.display_name))


# ---- one administrator -----------------------------------------------------------------------------------------------


@get(ENTRY, needs=ADMINS_WRITE)
async def show_entry(panel: Panel) -> Answer:
    """One administrator: details, sessions and actions."""
    admin = await _get_admin(panel)
    sessions = await panel.services.admins.list_sessions(admin.id, by=panel.principal)
    return panel.show(
        "administrators/entry.html",
        account=admin,
        roles=ADMIN_ROLES,
        is_me=admin.id == panel.me.id,
        sessions=[(session, parse_user_agent(session.user_agent)) for session in sessions],
    )


@post(f"{ENTRY}/role", needs=ADMINS_WRITE)
async def change_role(panel: Panel) -> Answer:
    """Change the role. It applies from the next request."""
    sent = await panel.read_form(NewRole)
    admin = await _get_admin(panel)
    try:
        changed = await panel.services.admins.set_role(admin.id, sent.typed.get("role", ""), by=panel.principal)
    except LastSuperAdmin:
        return _refuse_last_super_admin(panel, admin)
    # an administrator who removed their own permission for this page goes to their account
    path = "/admin/account" if admin.id == panel.me.id and changed.role != admin.role else entry_path(admin.id)
    return panel.redirect(path, flash=flash(panel, _ROLE_MESSAGES[PanelRole(changed.role)], name=admin.display_name))


@get(f"{ENTRY}/deactivate", needs=ADMINS_WRITE)
async def confirm_deactivate(panel: Panel) -> Answer:
    """The confirmation before an administrator is deactivated."""
    admin = await _get_admin(panel)
    return panel.show("administrators/deactivate.html", account=admin, is_me=admin.id == panel.me.id)


@post(f"{ENTRY}/deactivate", needs=ADMINS_WRITE)
async def deactivate(panel: Panel) -> Answer:
    """Deactivate an administrator: sessions end and links stop working immediately."""
    await panel.read_form(PageForm)
    admin = await _get_admin(panel)
    try:
        await panel.services.admins.deactivate(admin.id, by=panel.principal)
    except LastSuperAdmin:
        return _refuse_last_super_admin(panel, admin)
    return panel.redirect(
        entry_path(admin.id), flash=flash(panel, "administrator-deactivated", name=admin.display_name)
    )


@post(f"{ENTRY}/reactivate", needs=ADMINS_WRITE)
async def reactivate(panel: Panel) -> Answer:
    await panel.read_form(PageForm)
    admin = await _get_admin(panel)
    await panel.services.admins.reactivate(admin.id, by=panel.principal)
    return panel.redirect(
        entry_path(admin.id), flash=flash(panel, "administrator-reactivated", name=admin.display_name)
    )


@post(f"{ENTRY}/link", needs=ADMINS_WRITE)
async def resend_link(panel: Panel) -> Answer:
    """Send a new set-up link; earlier ones stop working."""
    await panel.read_form(PageForm)
    admin = await _get_admin(panel)
    try:
        set_up = await panel.services.admins.resend_set_up(admin.id, by=panel.principal)
    except AccountBlocked:
        message = flash(panel, "administrator-link-not-sent", name=admin.display_name, is_bad=True)
        return panel.redirect(entry_path(admin.id), flash=message)
    return _show_sent_link(
        panel, set_up, "administrator-password-link-sent" if admin.is_set_up else "administrator-link-sent"
    )


@post(f"{ENTRY}/sessions", needs=ADMINS_WRITE)
async def end_sessions(panel: Panel) -> Answer:
    """Sign the administrator out everywhere."""
    await panel.read_form(PageForm)
    admin = await _get_admin(panel)
    count = await panel.services.admins.end_sessions(admin.id, by=panel.principal)
    message = "administrator-sessions-ended" if count else "administrator-without-sessions"
    return panel.redirect(entry_path(admin.id), flash=flash(panel, message, name=admin.display_name, count=count))


@post(f"{ENTRY}/second-factor", needs=ADMINS_WRITE)
async def reset_second_factor(panel: Panel) -> Answer:
    """Remove the second factor of an administrator who has lost the phone and the recovery codes."""
    await panel.read_form(PageForm)
    admin = await _get_admin(panel)
    await panel.services.admins.second_factors.reset(admin.id, by=panel.principal)
    return panel.redirect(
        entry_path(admin.id), flash=flash(panel, "administrator-second-factor-removed", name=admin.display_name)
    )


def _refuse_last_super_admin(panel: Panel, admin: Admin) -> Answer:
    message = flash(panel, "administrator-is-last-super-admin", name=admin.display_name, is_bad=True)
    return panel.redirect(entry_path(admin.id), flash=message)


def entry_path(admin_id: UUID) -> str:
    return f"{LIST}/{admin_id}"


async def _get_admin(panel: Panel) -> Admin:
    try:
        admin_id = UUID(panel.parameter("id"))
    except ValueError:
        raise AdminNotFound("There is no such administrator.") from None
    return await panel.services.admins.get(admin_id)


routes = [
    show_list,
    show_new,
    invite,
    show_entry,
    change_role,
    confirm_deactivate,
    deactivate,
    reactivate,
    resend_link,
    end_sessions,
    reset_second_factor,
]
