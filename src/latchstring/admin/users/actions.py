"""Actions on users: create, edit, change groups, mail links, end sessions, block, erase."""

from typing import Any, ClassVar, Literal
from uuid import UUID

from latchstring.admin.choices import group_choices, match_users
from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.pagination import read_search
from latchstring.admin.routing import get, post
from latchstring.admin.users.users import (
    ENTRY,
    LIST,
    WRITE,
    path_of,
    role_name,
    user_fingerprint,
    user_of,
)
from latchstring.domain.account import User
from latchstring.domain.errors import (
    ChangedMeanwhile,
    EmailTaken,
    ExternalIdTaken,
    GrantNotAllowed,
    GroupNotFound,
    InvalidFields,
    LatchstringError,
    MailDisabled,
    OwnsContent,
    TooManyRequests,
    UserNotFound,
)
from latchstring.domain.mail import MailKind
from latchstring.formats.email_address import Address
from latchstring.formats.field_types import Email, Id, Key, Line, Reference
from latchstring.http.problems import describe_problem
from latchstring.http.responses import Answer
from latchstring.i18n.negotiation import available_locales
from latchstring.pages.forms import FormState, PageForm, SentForm, Tick
from latchstring.users.accounts import NewUser, UserChanges

NEW = f"{LIST}/new"


class NewUserForm(PageForm, kw_only=True):
    """A new account. locale: the language of the user."""

    repeated: ClassVar[frozenset[str]] = frozenset({"groups"})
    max_fields: ClassVar[int] = 128

    email: Email
    first_name: Line | None = None
    last_name: Line | None = None
    role: Key | None = None
    groups: tuple[Key, ...] = ()
    verified: Tick = False
    mail_link: Tick = False


class UserForm(PageForm, kw_only=True):
    """The editable fields of an account. shown_fingerprint: of the account that the form showed."""

    shown_fingerprint: str = ""
    email: Email
    first_name: Line | None = None
    last_name: Line | None = None
    role: Key | None = None
    external_id: Reference | None = None
    verified: Tick = False


class GroupForm(PageForm, kw_only=True):
    """A group to add the user to or to remove them from."""

    group: Key


class LinkForm(PageForm, kw_only=True):
    """The kind of link to mail."""

    kind: Literal["password", "verification"]


class EraseForm(PageForm):
    """Erases an account. new_owner: the user who gets the objects that it owns."""

    new_owner: Id | None = None


_ERROR_FIELDS: dict[type[LatchstringError], str] = {
    EmailTaken: "email",
    ExternalIdTaken: "externalId",
    GrantNotAllowed: "role",
    GroupNotFound: "groups",
    ChangedMeanwhile: "email",
}
_FORM_ERRORS: tuple[type[LatchstringError], ...] = (InvalidFields, *_ERROR_FIELDS)


def _refused_form(sent: SentForm[Any], error: LatchstringError) -> tuple[FormState, int, str]:
    """The refused form with the problem at its field, and the status and code of the page."""
    problem = describe_problem(error)
    if isinstance(error, InvalidFields):
        return sent.refused(error), problem.status, problem.code
    return sent.with_problem(_ERROR_FIELDS[type(error)], error.code, problem.detail), problem.status, problem.code


# ---- create ----------------------------------------------------------------------------------------------------------


@get(NEW, needs=WRITE)
async def show_new_user(panel: Panel) -> Answer:
    return await _show_new(panel)


async def _show_new(panel: Panel, form: FormState | None = None, status: int = 200, code: str = "") -> Answer:
    return panel.show(
        "users/new.html", form=form, status=status, code=code, group_keys=await group_choices(panel), **_choices(panel)
    )


def _choices(panel: Panel, current_role: str | None = None) -> dict[str, Any]:
    """The choices of the fields: languages, and the roles that this administrator may grant plus the current one."""
    grantable = [key for key in panel.services.roles if panel.principal.can_grant_role(key) or key == current_role]
    unknown = [current_role] if current_role and current_role not in panel.services.roles else []
    return {
        "role_choices": [("", ""), *((key, role_name(panel, key)) for key in (*grantable, *unknown))],
        "locales": available_locales(),
    }


@post(NEW, needs=WRITE)
async def create_user(panel: Panel) -> Answer:
    """Create an account and redirect to it; mail a link to choose a password if requested."""
    sent = await panel.read_form(NewUserForm)
    try:
        form = sent.finish()
        user = await panel.services.users.create(_new_user(form), by=panel.principal)
    except _FORM_ERRORS as error:
        state, status, code = _refused_form(sent, error)
        return await _show_new(panel, state, status, code)
    message = "user-created"
    if form.mail_link:
        try:
            await panel.services.users.operations.send_link(user.id, MailKind.PASSWORD_RESET, by=panel.principal)
            message = "user-created-link-sent"
        except (MailDisabled, TooManyRequests):
            message = "user-created-link-not-sent"
    return panel.redirect(path_of(user), flash=flash(panel, message, name=user.name or user.email))


def _new_user(form: NewUserForm) -> NewUser:
    return NewUser(
        address=form.email,
        first_name=form.first_name or "",
        last_name=form.last_name or "",
        role=form.role,
        groups=tuple(form.groups),
        locale=form.locale,
        email_verified=form.verified,
        accept_terms=False,  # only the user can accept the terms
    )


# ---- edit ------------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/edit", needs=WRITE)
async def show_edit(panel: Panel) -> Answer:
    return _show_edit(panel, await user_of(panel))


def _show_edit(panel: Panel, user: User, form: FormState | None = None, status: int = 200, code: str = "") -> Answer:
    return panel.show(
        "users/edit.html",
        form=form,
        status=status,
        code=code,
        user=user,
        user_path=path_of(user),
        shown_fingerprint=user_fingerprint(user),
        **_choices(panel, user.role),
    )


@post(f"{ENTRY}/edit", needs=WRITE)
async def save_user(panel: Panel) -> Answer:
    """Change an account, unless it was changed since the form was opened."""
    sent = await panel.read_form(UserForm)
    user = await user_of(panel)
    try:
        changes = _changes(sent.finish(), user)
        shown_fingerprint = sent.typed.get("shownFingerprint", "")
        if not changes.names:
            return panel.redirect(path_of(user), flash=flash(panel, "user-unchanged"))
        await panel.services.users.change(
            user.id,
            changes,
            is_expected=lambda present: user_fingerprint(present) == shown_fingerprint,
            by=panel.principal,
        )
    except _FORM_ERRORS as error:
        state, status, code = _refused_form(sent, error)
        return _show_edit(panel, await user_of(panel), state, status, code)
    return panel.redirect(path_of(user), flash=flash(panel, "user-saved"))


def _changes(form: UserForm, user: User) -> UserChanges:
    """Only the fields that differ, so administrators who may not change credentials can still change a name."""
    values: dict[str, Any] = {
        "first_name": form.first_name or "",
        "last_name": form.last_name or "",
        "role": form.role,
        "locale": form.locale,
        "external_id": form.external_id,
        "email_verified": form.verified,
    }
    changed = {name: value for name, value in values.items() if getattr(user, name) != value}
    address: Address = form.email
    if address.email != user.email:
        changed |= {"address": address, "email_verified": form.verified}
    return UserChanges(**changed)


# ---- groups ----------------------------------------------------------------------------------------------------------


@post(f"{ENTRY}/groups", needs="groups:write")
async def join_group(panel: Panel) -> Answer:
    return await _change_membership(panel, joins=True)


@post(f"{ENTRY}/groups/remove", needs="groups:write")
async def leave_group(panel: Panel) -> Answer:
    return await _change_membership(panel, joins=False)


async def _change_membership(panel: Panel, *, joins: bool) -> Answer:
    sent = await panel.read_form(GroupForm)
    user = await user_of(panel)
    groups = panel.services.groups
    try:
        group = await groups.get(sent.finish().group, by=panel.principal)
        change = groups.add_member if joins else groups.remove_member
        await change(group.key, user.id, by=panel.principal)
    except (InvalidFields, GroupNotFound):
        return panel.redirect(path_of(user), flash=flash(panel, "group-unknown", is_bad=True))
    message = "member-added" if joins else "member-removed"
    return panel.redirect(path_of(user), flash=flash(panel, message, name=user.name or user.email, group=group.name))


# ---- mails and sessions ----------------------------------------------------------------------------------------------

_LINK_KINDS = {
    "password": (MailKind.PASSWORD_RESET, "password-link-sent"),
    "verification": (MailKind.EMAIL_VERIFICATION, "verification-link-sent"),
}


@post(f"{ENTRY}/links", needs=WRITE)
async def send_link(panel: Panel) -> Answer:
    """Mail a link to choose a password or to verify the address."""
    sent = await panel.read_form(LinkForm)
    user = await user_of(panel)
    kind, message = _LINK_KINDS[sent.finish().kind]
    try:
        is_sent = await panel.services.users.operations.send_link(user.id, kind, by=panel.principal)
    except (MailDisabled, TooManyRequests) as error:
        message = "mail-off" if isinstance(error, MailDisabled) else "too-many-mails"
        return panel.redirect(path_of(user), flash=flash(panel, message, is_bad=True))
    return panel.redirect(
        path_of(user), flash=flash(panel, message if is_sent else "already-verified", email=user.email)
    )


@post(f"{ENTRY}/sessions/end", needs=WRITE)
async def end_sessions(panel: Panel) -> Answer:
    """Sign a user out everywhere."""
    await panel.read_form(PageForm)
    user = await user_of(panel)
    await panel.services.users.operations.end_sessions(user.id, by=panel.principal)
    return panel.redirect(path_of(user), flash=flash(panel, "user-sessions-ended", name=user.name or user.email))


# ---- block -----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/block", needs=WRITE)
async def confirm_block(panel: Panel) -> Answer:
    user = await user_of(panel)
    return panel.show("users/block.html", user=user, user_path=path_of(user))


@post(f"{ENTRY}/block", needs=WRITE)
async def block_user(panel: Panel) -> Answer:
    return await _set_blocked(panel, blocked=True)


@post(f"{ENTRY}/unblock", needs=WRITE)
async def unblock_user(panel: Panel) -> Answer:
    return await _set_blocked(panel, blocked=False)


async def _set_blocked(panel: Panel, *, blocked: bool) -> Answer:
    await panel.read_form(PageForm)
    user = await user_of(panel)
    name = user.name or user.email
    try:
        await panel.services.users.change(
            user.id,
            UserChanges(blocked=blocked),
            is_expected=lambda user_now: user_now.blocked is not blocked,
            by=panel.principal,
        )
    except ChangedMeanwhile:
        unchanged = "user-was-blocked" if blocked else "user-was-not-blocked"
        return panel.redirect(path_of(user), flash=flash(panel, unchanged, name=name, is_bad=True))
    done = "user-blocked" if blocked else "user-unblocked"
    return panel.redirect(path_of(user), flash=flash(panel, done, name=name))


# ---- erase -----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/erase", needs=WRITE)
async def confirm_erase(panel: Panel) -> Answer:
    """The confirmation: what erasing does, and the choice of a new owner if the user owns objects."""
    return await _show_erase(panel, await user_of(panel))


async def _show_erase(panel: Panel, user: User, status: int = 200, code: str = "") -> Answer:
    find = read_search(panel, "find")
    chosen = read_search(panel, "owner")
    return panel.show(
        "users/erase.html",
        status=status,
        code=code,
        user=user,
        user_path=path_of(user),
        owned=await panel.services.content.operations.count_owned(user.id, by=panel.principal),
        granted=await panel.services.content.operations.count_granted(user.id, by=panel.principal),
        find=find,
        matches=[candidate for candidate in await match_users(panel, find) if candidate.id != user.id] if find else (),
        new_owner=await _find_new_owner(panel, chosen, user) if chosen else None,
    )


async def _find_new_owner(panel: Panel, text: str, user: User) -> User | None:
    try:
        new_owner = await panel.services.users.get(UUID(text))
    except (UserNotFound, ValueError):
        return None
    return new_owner if new_owner.id != user.id else None


@post(f"{ENTRY}/erase", needs=WRITE)
async def erase_user(panel: Panel) -> Answer:
    """Delete an account, and its name and address everywhere."""
    sent = await panel.read_form(EraseForm)
    user = await user_of(panel)
    try:
        await panel.services.users.erase(user.id, new_owner_id=sent.finish().new_owner, by=panel.principal)
    except OwnsContent as error:
        return await _show_erase(panel, user, 409, error.code)
    return panel.redirect(LIST, flash=flash(panel, "user-erased"))


routes = [
    show_new_user,
    create_user,
    show_edit,
    save_user,
    join_group,
    leave_group,
    send_link,
    end_sessions,
    confirm_block,
    block_user,
    unblock_user,
    confirm_erase,
    erase_user,
]
