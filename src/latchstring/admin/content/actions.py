"""What is done to objects: access given, changed and taken, invitations sent again and withdrawn, owner and end."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from uuid import UUID

from latchstring.admin.choices import match_users
from latchstring.admin.content.objects import ENTRY, LIST, WRITE, common, object_of, owner_of, path_of
from latchstring.admin.context import Panel
from latchstring.admin.flash import flash
from latchstring.admin.pagination import NOBODY, id_in, searched
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
from latchstring.formats.field_types import Id, Key
from latchstring.http.responses import Answer
from latchstring.pages.forms import PageForm

SUBJECTS_AT_ONCE = 1024
RoleName = Literal["VIEWER", "EDITOR", "MAINTAINER"]


class AccessForm(PageForm, kw_only=True):
    """Who may see an object. user and group: `id:ROLE` and `key:ROLE` as chosen; was…: as the page showed them."""

    repeated: ClassVar[frozenset[str]] = frozenset({"user", "wasUser", "group", "wasGroup"})
    most_fields: ClassVar[int] = SUBJECTS_AT_ONCE
    largest: ClassVar[int] = SUBJECTS_AT_ONCE * 256

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
    """A user or a group that loses what it has."""

    subject: Id


class PendingInvitationForm(PageForm, kw_only=True):
    """A pending invitation."""

    invitation: Id


class OwnerForm(PageForm, kw_only=True):
    """Who owns the object next."""

    new_owner: Id


class EndForm(PageForm):
    """The end of an object. seen: which version of it the page showed."""

    seen: str = ""


# ---- access ----------------------------------------------------------------------------------------------------------


@post(ENTRY, needs=WRITE)
async def save_access(panel: Panel) -> Answer:
    """Change visibility and roles, on top of what others changed meanwhile. PRIVATE is asked for once more."""
    form = (await panel.read_form(AccessForm)).finish()
    one = await object_of(panel)
    is_moved = form.visibility != form.was_visibility
    if is_moved and form.visibility == Visibility.PRIVATE.name:
        return panel.redirect(path_of(one, "/private"))
    changes = AccessChanges(
        visibility=Visibility[form.visibility] if is_moved else None,
        users={id_in(id_): role for id_, role in _changed(form.was_user, form.user).items()},
        groups=_changed(form.was_group, form.group),
    )
    return await _change(panel, one, changes, "access-saved")


def _changed(was: Sequence[str], now: Sequence[str]) -> Mapping[str, ContentRole]:
    """The roles that were chosen anew."""
    before = set(was)
    chosen = (text.rpartition(":") for text in now if text not in before)
    return {name: ContentRole[role] for name, _, role in chosen if role in ContentRole.__members__}


async def _change(panel: Panel, one: ContentObject, changes: AccessChanges, message: str, name: str = "") -> Answer:
    """Change access and say so. Somebody or something that has gone is told; then nothing was changed."""
    try:
        done = await panel.services.content.operations.change_access(one, changes, by=panel.principal)
    except UserNotFound:
        return panel.redirect(path_of(one), flash=flash(panel, "user-gone", is_bad=True))
    except GroupNotFound:
        return panel.redirect(path_of(one), flash=flash(panel, "group-gone", is_bad=True))
    if done.missing:
        return panel.redirect(path_of(one), flash=flash(panel, "access-gone", is_bad=True))
    if changes.visibility is Visibility.SHARED and done.visibility is Visibility.PRIVATE:
        return panel.redirect(path_of(one), flash=flash(panel, "access-shared-with-nobody", is_bad=True))
    return panel.redirect(path_of(one), flash=flash(panel, message, name=name))


@post(f"{ENTRY}/share", needs=WRITE)
async def share(panel: Panel) -> Answer:
    """Give one user or one group a role."""
    form = (await panel.read_form(ShareForm)).finish()
    one = await object_of(panel)
    role = ContentRole[form.role]
    if form.user is not None and form.user == one.owner_id:
        owner = await owner_of(panel, one)
        return panel.redirect(path_of(one), flash=flash(panel, "access-of-owner", name=_called(owner), is_bad=True))
    changes = AccessChanges(
        users={form.user: role} if form.user else {}, groups={form.group: role} if form.group else {}
    )
    return await _change(panel, one, changes, "access-shared", name=await _name_of(panel, form.user, form.group))


async def _name_of(panel: Panel, user_id: UUID | None, group: str | None) -> str:
    if group is not None:
        found = await panel.services.groups.find_by_keys([group])
        return found[group].name if group in found else group
    return _called(await _find_user(panel, user_id or NOBODY))


def _called(user: User | None) -> str:
    return "" if user is None else user.name or user.email


async def _find_user(panel: Panel, user_id: UUID) -> User | None:
    try:
        return await panel.services.users.get(user_id)
    except UserNotFound:
        return None


@post(f"{ENTRY}/remove", needs=WRITE)
async def take_away(panel: Panel) -> Answer:
    """Take away what a user or a group was given."""
    form = (await panel.read_form(SubjectForm)).finish()
    one = await object_of(panel)
    return await _change(panel, one, AccessChanges(withdrawn=frozenset({form.subject})), "access-saved")


@get(f"{ENTRY}/private", needs=WRITE)
async def confirm_private(panel: Panel) -> Answer:
    """What making an object private would end, in numbers."""
    one = await object_of(panel)
    return panel.show("content/private.html", **common(panel, one), **await _numbers(panel, one))


async def _numbers(panel: Panel, one: ContentObject) -> dict[str, Any]:
    return {
        "holders": await panel.services.content.operations.count_holders(one, by=panel.principal),
        "on_the_way": await panel.services.content.operations.count_pending_invitations(one, by=panel.principal),
    }


@post(f"{ENTRY}/private", needs=WRITE)
async def make_private(panel: Panel) -> Answer:
    """Leave an object to its owner alone."""
    await panel.read_form(PageForm)
    one = await object_of(panel)
    return await _change(panel, one, AccessChanges(visibility=Visibility.PRIVATE), "access-private")


# ---- invitations -----------------------------------------------------------------------------------------------------


@post(f"{ENTRY}/invitations/resend", needs="invitations:write")
async def resend_invitation(panel: Panel) -> Answer:
    """Mail a pending invitation to the object once more, with a new link."""
    form = (await panel.read_form(PendingInvitationForm)).finish()
    one = await object_of(panel)
    try:
        resent = await panel.services.invitations.resend(form.invitation, by=panel.principal)
    except (InvitationNotFound, InvitationNotPending, AlreadyInvited, GrantNotAllowed):
        return panel.redirect(path_of(one), flash=flash(panel, "invitation-ended", is_bad=True))
    except MailDisabled:
        return panel.redirect(path_of(one), flash=flash(panel, "mail-off", is_bad=True))
    except TooManyRequests:
        return panel.redirect(path_of(one), flash=flash(panel, "too-many-mails", is_bad=True))
    return panel.redirect(path_of(one), flash=flash(panel, "invitation-resent-to", email=resent.invitation.email))


@post(f"{ENTRY}/invitations/withdraw", needs=WRITE)
async def withdraw_invitation(panel: Panel) -> Answer:
    """End what a pending invitation gives on the object."""
    form = (await panel.read_form(PendingInvitationForm)).finish()
    one = await object_of(panel)
    is_ended = await panel.services.content.operations.withdraw_invitation(one, form.invitation, by=panel.principal)
    message = "object-invitation-withdrawn" if is_ended else "invitation-ended"
    return panel.redirect(path_of(one), flash=flash(panel, message, is_bad=not is_ended))


# ---- owner -----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/owner", needs=WRITE)
async def show_owner(panel: Panel) -> Answer:
    """Somebody to hand the object over to: searched, then confirmed."""
    one = await object_of(panel)
    find, chosen = searched(panel, "find"), searched(panel, "to")
    found = await match_users(panel, find) if find and panel.can("users:read") else ()
    next_owner = await _find_user(panel, id_in(chosen)) if chosen else None
    return panel.show(
        "content/owner.html",
        **common(panel, one),
        owner=await owner_of(panel, one),
        find=find,
        matches=[user for user in found if user.id != one.owner_id],
        heir=next_owner,
    )


@post(f"{ENTRY}/owner", needs=WRITE)
async def hand_over(panel: Panel) -> Answer:
    """Give an object a new owner; the one before stays as maintainer."""
    form = (await panel.read_form(OwnerForm)).finish()
    one = await object_of(panel)
    try:
        await panel.services.content.operations.hand_over(one, form.new_owner, by=panel.principal)
    except UserNotFound:
        return panel.redirect(path_of(one), flash=flash(panel, "user-gone", is_bad=True))
    owner = await _find_user(panel, form.new_owner)
    return panel.redirect(path_of(one), flash=flash(panel, "owner-changed", name=_called(owner)))


# ---- the end ---------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/delete", needs=WRITE)
async def confirm_delete(panel: Panel) -> Answer:
    """What deleting an object would end, in numbers."""
    one = await object_of(panel)
    return panel.show("content/delete.html", **common(panel, one), **await _numbers(panel, one))


@post(f"{ENTRY}/delete", needs=WRITE)
async def delete_object(panel: Panel) -> Answer:
    """Remove an object for good, unless it was changed since the page was opened."""
    form = (await panel.read_form(EndForm)).finish()
    one = await object_of(panel)
    try:
        await panel.services.content.delete(
            one, is_expected=lambda present: str(present.version) == form.seen, by=panel.principal
        )
    except ContentChanged:
        return panel.redirect(path_of(one, "/details"), flash=flash(panel, "object-changed", is_bad=True))
    return panel.redirect(LIST, flash=flash(panel, "object-deleted", name=one.title), type=one.type)


routes = [
    save_access,
    share,
    take_away,
    confirm_private,
    make_private,
    resend_invitation,
    withdraw_invitation,
    show_owner,
    hand_over,
    confirm_delete,
    delete_object,
]
