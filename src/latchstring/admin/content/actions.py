"""Actions on objects: change access, resend and withdraw invitations, change the owner, delete."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from uuid import UUID

from latchstring.admin.choices import match_users
from latchstring.admin.content.objects import ENTRY, LIST, WRITE, find_owner, get_object, object_values, path_of
from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.pagination import parse_id, read_search
from latchstring.admin.routing import get, post
from latchstring.content.service import AccessChanges
from latchstring.domain.access import ContentObject, Visibility
from latchstring.domain.account import User
from latchstring.domain.errors import (
    AlreadyInvited,
    ContentChanged,
    GrantNotAllowed,
    GroupNotFound,
    InvitationNotFound,
    InvitationNotPending,
    MailDisabled,
    TooManyRequests,
    UserNotFound,
)
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import NIL_ID
from latchstring.formats.field_types import Id, Key
from latchstring.http.responses import Answer
from latchstring.pages.forms import PageForm

MAX_SUBJECTS = 1024
RoleName = Literal["VIEWER", "EDITOR", "MAINTAINER"]


class AccessForm(PageForm, kw_only=True):
    """The access to an object. user, group: the chosen `id:ROLE` and `key:ROLE`; was_…: what the page showed."""

    repeated: ClassVar[frozenset[str]] = frozenset({"user", "wasUser", "group", "wasGroup"})
    max_fields: ClassVar[int] = MAX_SUBJECTS
    largest: ClassVar[int] = MAX_SUBJECTS * 256

    visibility: Literal["PRIVATE", "SHARED", "PUBLIC"]
    was_visibility: Literal["PRIVATE", "SHARED", "PUBLIC"]
    user: tuple[str, ...] = ()
    was_user: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    was_group: tuple[str, ...] = ()


class ShareForm(PageForm, kw_only=True):
    """A role for one user or one group."""

    role: RoleName
    user: Id | None = None
    group: Key | None = None


class SubjectForm(PageForm, kw_only=True):
    """A user or a group that loses its access."""

    subject: Id


class PendingInvitationForm(PageForm, kw_only=True):
    """A pending invitation."""

    invitation: Id


class OwnerForm(PageForm, kw_only=True):
    """The new owner of the object."""

    new_owner: Id


class EndForm(PageForm):
    """Deletes an object. shown_version: the version that the page showed."""

    shown_version: str = ""


# ---- access ----------------------------------------------------------------------------------------------------------


@post(ENTRY, needs=WRITE)
async def save_access(panel: Panel) -> Answer:
    """Change visibility and roles; concurrent changes by others are kept. PRIVATE needs a confirmation."""
    form = (await panel.read_form(AccessForm)).finish()
    content_object = await get_object(panel)
    is_moved = form.visibility != form.was_visibility
    if is_moved and form.visibility == Visibility.PRIVATE.name:
        return panel.redirect(path_of(content_object, "/private"))
    changes = AccessChanges(
        visibility=Visibility[form.visibility] if is_moved else None,
        users={parse_id(id_): role for id_, role in _changed(form.was_user, form.user).items()},
        groups=_changed(form.was_group, form.group),
    )
    return await _change(panel, content_object, changes, "access-saved")


def _changed(shown_roles: Sequence[str], chosen_roles: Sequence[str]) -> Mapping[str, ContentRole]:
    """The roles that differ from those the page showed."""
    before = set(shown_roles)
    chosen = (text.rpartition(":") for text in chosen_roles if text not in before)
    return {name: ContentRole[role] for name, _, role in chosen if role in ContentRole.__members__}


async def _change(
    panel: Panel, content_object: ContentObject, changes: AccessChanges, message: str, name: str = ""
) -> Answer:
    """Change access and redirect with a message. If a user or group no longer exists, nothing is changed."""
    try:
        done = await panel.services.content.operations.change_access(content_object, changes, by=panel.principal)
    except UserNotFound:
        return panel.redirect(path_of(content_object), flash=flash(panel, "user-gone", is_bad=True))
    except GroupNotFound:
        return panel.redirect(path_of(content_object), flash=flash(panel, "group-gone", is_bad=True))
    if done.missing:
        return panel.redirect(path_of(content_object), flash=flash(panel, "access-gone", is_bad=True))
    if changes.visibility is Visibility.SHARED and done.visibility is Visibility.PRIVATE:
        return panel.redirect(path_of(content_object), flash=flash(panel, "access-shared-with-nobody", is_bad=True))
    return panel.redirect(path_of(content_object), flash=flash(panel, message, name=name))


@post(f"{ENTRY}/share", needs=WRITE)
async def share(panel: Panel) -> Answer:
    """Give one user or one group a role."""
    form = (await panel.read_form(ShareForm)).finish()
    content_object = await get_object(panel)
    role = ContentRole[form.role]
    if form.user is not None and form.user == content_object.owner_id:
        owner = await find_owner(panel, content_object)
        return panel.redirect(
            path_of(content_object), flash=flash(panel, "access-of-owner", name=_display_name(owner), is_bad=True)
        )
    changes = AccessChanges(
        users={form.user: role} if form.user else {}, groups={form.group: role} if form.group else {}
    )
    return await _change(
        panel, content_object, changes, "access-shared", name=await _find_name(panel, form.user, form.group)
    )


async def _find_name(panel: Panel, user_id: UUID | None, group: str | None) -> str:
    if group is not None:
        groups_by_key = await panel.services.groups.find_by_keys([group])
        return groups_by_key[group].name if group in groups_by_key else group
    return _display_name(await _find_user(panel, user_id or NIL_ID))


def _display_name(user: User | None) -> str:
    return "" if user is None else user.name or user.email


async def _find_user(panel: Panel, user_id: UUID) -> User | None:
    try:
        return await panel.services.users.get(user_id)
    except UserNotFound:
        return None


@post(f"{ENTRY}/remove", needs=WRITE)
async def remove_access(panel: Panel) -> Answer:
    """Remove the access of a user or a group."""
    form = (await panel.read_form(SubjectForm)).finish()
    content_object = await get_object(panel)
    return await _change(panel, content_object, AccessChanges(withdrawn=frozenset({form.subject})), "access-saved")


@get(f"{ENTRY}/private", needs=WRITE)
async def confirm_private(panel: Panel) -> Answer:
    """The confirmation: how many grants and invitations making the object private ends."""
    content_object = await get_object(panel)
    return panel.show(
        "content/private.html", **object_values(panel, content_object), **await _count_effects(panel, content_object)
    )


async def _count_effects(panel: Panel, content_object: ContentObject) -> dict[str, Any]:
    return {
        "holders": await panel.services.content.operations.count_holders(content_object, by=panel.principal),
        "pending_count": await panel.services.content.operations.count_pending_invitations(
            content_object, by=panel.principal
        ),
    }


@post(f"{ENTRY}/private", needs=WRITE)
async def make_private(panel: Panel) -> Answer:
    """Make an object visible to its owner only."""
    await panel.read_form(PageForm)
    content_object = await get_object(panel)
    return await _change(panel, content_object, AccessChanges(visibility=Visibility.PRIVATE), "access-private")


# ---- invitations -----------------------------------------------------------------------------------------------------


@post(f"{ENTRY}/invitations/resend", needs="invitations:write")
async def resend_invitation(panel: Panel) -> Answer:
    """Resend a pending invitation to the object with a new link."""
    form = (await panel.read_form(PendingInvitationForm)).finish()
    content_object = await get_object(panel)
    try:
        resent = await panel.services.invitations.resend(form.invitation, by=panel.principal)
    except (InvitationNotFound, InvitationNotPending, AlreadyInvited, GrantNotAllowed):
        return panel.redirect(path_of(content_object), flash=flash(panel, "invitation-ended", is_bad=True))
    except MailDisabled:
        return panel.redirect(path_of(content_object), flash=flash(panel, "mail-off", is_bad=True))
    except TooManyRequests:
        return panel.redirect(path_of(content_object), flash=flash(panel, "too-many-mails", is_bad=True))
    return panel.redirect(
        path_of(content_object), flash=flash(panel, "invitation-resent-to", email=resent.invitation.email)
    )


@post(f"{ENTRY}/invitations/withdraw", needs=WRITE)
async def withdraw_invitation(panel: Panel) -> Answer:
    """Withdraw the grant on the object from a pending invitation."""
    form = (await panel.read_form(PendingInvitationForm)).finish()
    content_object = await get_object(panel)
    is_ended = await panel.services.content.operations.withdraw_invitation(
        content_object, form.invitation, by=panel.principal
    )
    message = "object-invitation-withdrawn" if is_ended else "invitation-ended"
    return panel.redirect(path_of(content_object), flash=flash(panel, message, is_bad=not is_ended))


# ---- owner -----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/owner", needs=WRITE)
async def show_owner(panel: Panel) -> Answer:
    """Search for a new owner, then confirm."""
    content_object = await get_object(panel)
    find, chosen = read_search(panel, "find"), read_search(panel, "to")
    candidates = await match_users(panel, find) if find and panel.can("users:read") else ()
    next_owner = await _find_user(panel, parse_id(chosen)) if chosen else None
    return panel.show(
        "content/owner.html",
        **object_values(panel, content_object),
        owner=await find_owner(panel, content_object),
        find=find,
        matches=[user for user in candidates if user.id != content_object.owner_id],
        new_owner=next_owner,
    )


@post(f"{ENTRY}/owner", needs=WRITE)
async def change_owner(panel: Panel) -> Answer:
    """Transfer an object to a new owner; the previous owner becomes a maintainer."""
    form = (await panel.read_form(OwnerForm)).finish()
    content_object = await get_object(panel)
    try:
        await panel.services.content.operations.transfer_ownership(content_object, form.new_owner, by=panel.principal)
    except UserNotFound:
        return panel.redirect(path_of(content_object), flash=flash(panel, "user-gone", is_bad=True))
    owner = await _find_user(panel, form.new_owner)
    return panel.redirect(path_of(content_object), flash=flash(panel, "owner-changed", name=_display_name(owner)))


# ---- delete ----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/delete", needs=WRITE)
async def confirm_delete(panel: Panel) -> Answer:
    """The confirmation: how many grants and invitations deleting the object ends."""
    content_object = await get_object(panel)
    return panel.show(
        "content/delete.html", **object_values(panel, content_object), **await _count_effects(panel, content_object)
    )


@post(f"{ENTRY}/delete", needs=WRITE)
async def delete_object(panel: Panel) -> Answer:
    """Delete an object permanently, unless it was changed since the page was opened."""
    form = (await panel.read_form(EndForm)).finish()
    content_object = await get_object(panel)
    try:
        await panel.services.content.delete(
            content_object, is_expected=lambda present: str(present.version) == form.shown_version, by=panel.principal
        )
    except ContentChanged:
        return panel.redirect(path_of(content_object, "/details"), flash=flash(panel, "object-changed", is_bad=True))
    return panel.redirect(
        LIST, flash=flash(panel, "object-deleted", name=content_object.title), type=content_object.type
    )


routes = [
    save_access,
    share,
    remove_access,
    confirm_private,
    make_private,
    resend_invitation,
    withdraw_invitation,
    show_owner,
    change_owner,
    confirm_delete,
    delete_object,
]
