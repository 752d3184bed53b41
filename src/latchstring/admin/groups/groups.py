"""Groups: list, create, edit, members, content, delete."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote
from uuid import UUID

from latchstring.admin.choices import match_users
from latchstring.admin.context import Panel
from latchstring.admin.flash import fingerprint, flash
from latchstring.admin.pagination import (
    MAX_SEARCH_LENGTH,
    PAGE_SIZE,
    address,
    build_page_links,
    cursor_of,
    read_search,
    read_sort_order,
)
from latchstring.admin.routing import get, post
from latchstring.domain.errors import ChangedMeanwhile, FieldProblem, GroupKeyTaken, InvalidFields, UserNotFound
from latchstring.domain.group import Group, GroupText
from latchstring.domain.pagination import SortOrder
from latchstring.domain.views.users import UserSearch
from latchstring.formats.field_types import Id, Key, Line, Message, ValueRefused, read_line, read_locale, read_message
from latchstring.groups.service import GroupTexts, texts_of
from latchstring.http.responses import Answer
from latchstring.i18n.negotiation import available_locales
from latchstring.pages.forms import FormState, PageForm, SentForm

READ, WRITE = "groups:read", "groups:write"
LIST = "/admin/groups"
NEW = f"{LIST}/~new"  # no key begins with ~
ENTRY = f"{LIST}/{{key:str}}"
ORDERS = {"name": False, "createdAt": True}


class GroupTextsForm(PageForm):
    """The names of a group. Translations are three lists of the same length; one without a name is dropped."""

    repeated: ClassVar[frozenset[str]] = frozenset({"language", "textName", "textDescription"})
    max_fields: ClassVar[int] = 256

    name: Line | None = None
    description: Message | None = None
    shown_fingerprint: str = ""  # of the texts that the form showed
    language: tuple[str, ...] = ()
    text_name: tuple[str, ...] = ()
    text_description: tuple[str, ...] = ()


class NewGroupForm(GroupTextsForm, kw_only=True):
    """A new group."""

    key: Key


class MemberForm(PageForm, kw_only=True):
    """The user to add or to remove."""

    user: Id


@dataclass(frozen=True, slots=True)
class Language:
    """A translation in the form."""

    language: str = ""
    name: str = ""
    description: str = ""


def path_of(key: str, rest: str = "") -> str:
    return f"{LIST}/{quote(key, safe='')}{rest}"


# ---- the list --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_groups(panel: Panel) -> Answer:
    """Groups by name, with the number of their members; `q` searches."""
    q, order = read_search(panel), read_sort_order(panel, ORDERS, "name")
    within = f"groups:{order}"
    page = await panel.services.groups.search(
        q, order=order, cursor=cursor_of(panel, within), limit=PAGE_SIZE, by=panel.principal
    )
    return panel.show(
        "groups/list.html",
        page=page,
        q=q,
        sort_order=order,
        address=lambda **changes: address(panel, **changes),
        links=build_page_links(panel, within, page),
        path_of=path_of,
    )


# ---- one group -------------------------------------------------------------------------------------------------------


@get(NEW, needs=WRITE)
async def show_new_group(panel: Panel) -> Answer:
    return panel.show("groups/new.html", languages=[Language()], offered=available_locales())


@post(NEW, needs=WRITE)
async def create_group(panel: Panel) -> Answer:
    """Create a group and redirect to it."""
    sent = await panel.read_form(NewGroupForm)
    try:
        texts = _read_texts(sent)
        group = await panel.services.groups.create(sent.finish().key, texts, by=panel.principal)
    except InvalidFields as error:
        return _show_new(panel, sent.refused(error), 422, error.code, sent)
    except GroupKeyTaken as error:
        return _show_new(panel, sent.with_problem("key", error.code), 409, error.code, sent)
    return panel.redirect(path_of(group.key), flash=flash(panel, "group-created", name=group.name))


def _show_new(panel: Panel, form: FormState, status: int, code: str, sent: SentForm[NewGroupForm]) -> Answer:
    typed = _typed_languages(sent)
    return panel.show(
        "groups/new.html",
        status=status,
        code=code,
        form=form,
        languages=[*typed, Language()],
        offered=available_locales(),
    )


@get(ENTRY, needs=READ)
async def show_group(panel: Panel) -> Answer:
    """The texts of a group, and the numbers of its members, invitations and objects."""
    return await _show_entry(panel, await _get_group(panel))


async def _show_entry(
    panel: Panel,
    group: Group,
    *,
    form: FormState | None = None,
    status: int = 200,
    code: str = "",
    typed: Sequence[Language] | None = None,
) -> Answer:
    languages = [Language(tag, text.name, text.description or "") for tag, text in sorted(group.translations.items())]
    history = await _list_history(panel, group)
    return panel.show(
        "groups/entry.html",
        status=status,
        code=code,
        form=form,
        group=group,
        key_path=path_of(group.key),
        languages=[*(languages if typed is None else typed), Language()],
        offered=available_locales(),
        members=await panel.services.groups.count_members(group, by=panel.principal),
        pending_count=await panel.services.groups.count_pending_invitations(group, by=panel.principal),
        granted=await _count_granted(panel, group),
        shown_fingerprint=_fingerprint(texts_of(group)),
        history=history,
    )


@post(ENTRY, needs=WRITE)
async def save_group(panel: Panel) -> Answer:
    """Change the texts of a group, unless they were changed since the form was opened."""
    sent = await panel.read_form(GroupTextsForm)
    group = await _get_group(panel)
    try:
        sent.finish()
        texts = _read_texts(sent)
        _check_unchanged(sent, group)
        await panel.services.groups.replace(group.key, texts, before=texts_of(group), by=panel.principal)
    except InvalidFields as error:
        return await _show_entry(
            panel, group, form=sent.refused(error), status=422, code=error.code, typed=_typed_languages(sent)
        )
    except ChangedMeanwhile as error:
        form = sent.with_problem("name", error.code)
        return await _show_entry(
            panel, await _get_group(panel), form=form, status=409, code=error.code, typed=_typed_languages(sent)
        )
    return panel.redirect(path_of(group.key), flash=flash(panel, "group-saved", name=texts.name))


def _check_unchanged(sent: SentForm[GroupTextsForm], group: Group) -> None:
    if sent.typed.get("shownFingerprint") != _fingerprint(texts_of(group)):
        raise ChangedMeanwhile("The group was changed by somebody else.")


def _fingerprint(texts: GroupTexts) -> str:
    """A digest of the texts that a form shows, to detect changes by others."""
    sorted_texts = sorted((tag, text.name, text.description) for tag, text in texts.translations.items())
    return fingerprint(texts.name, texts.description, sorted_texts)


def _typed_languages(sent: SentForm[GroupTextsForm] | SentForm[NewGroupForm]) -> list[Language]:
    columns = (sent.ticked.get(name, ()) for name in ("language", "textName", "textDescription"))
    typed = [Language(*row) for row in zip(*columns, strict=False)]
    return [translation for translation in typed if translation.language or translation.name or translation.description]


def _read_texts(sent: SentForm[GroupTextsForm] | SentForm[NewGroupForm]) -> GroupTexts:
    """The texts of a group. Raises InvalidFields with all problems."""
    problems = list(sent.reading.problems)
    if not sent.typed.get("name", "").strip():
        problems.append(FieldProblem("/name", "required", "Give the group a name."))
    texts: dict[str, GroupText] = {}
    for index, translation in enumerate(_typed_languages(sent)):
        if not translation.name.strip() and not translation.description.strip():
            continue  # a cleared translation is removed
        try:
            tag = read_locale(translation.language)
            texts[tag] = GroupText(read_line(translation.name), read_message(translation.description) or None)
        except ValueRefused as refused:
            problems.append(FieldProblem(f"/language-{index}", refused.code, refused.detail))
    if problems:
        raise InvalidFields(problems)
    return GroupTexts(name=sent.get("name"), description=sent.get("description"), translations=texts)


# ---- members ---------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/members", needs=READ)
async def show_members(panel: Panel) -> Answer:
    """The members of a group, and a search for users to add."""
    group = await _get_group(panel)
    page = await panel.services.users.operations.search(
        UserSearch(group_id=group.id),
        order=SortOrder("email"),
        cursor=cursor_of(panel, "members"),
        limit=PAGE_SIZE,
        by=panel.principal,
    )
    find = read_search(panel, "find")
    matches = await match_users(panel, find) if find and panel.can(WRITE) else ()
    return panel.show(
        "groups/members.html",
        group=group,
        key_path=path_of(group.key),
        page=page,
        find=find,
        matches=matches,
        members=await panel.services.groups.count_members(group, by=panel.principal),
        links=build_page_links(panel, "members", page),
        longest=MAX_SEARCH_LENGTH,
    )


@post(f"{ENTRY}/members", needs=WRITE)
async def add_member(panel: Panel) -> Answer:
    """Add a user to a group."""
    sent = await panel.read_form(MemberForm)
    user_id: UUID = sent.finish().user
    group = await _get_group(panel)
    back = path_of(group.key, "/members")
    try:
        user = await panel.services.users.get(user_id)
        await panel.services.groups.add_member(group.key, user_id, by=panel.principal)
    except UserNotFound:
        return panel.redirect(back, flash=flash(panel, "user-gone", is_bad=True))
    return panel.redirect(back, flash=flash(panel, "member-added", name=user.name or user.email, group=group.name))


@post(f"{ENTRY}/members/remove", needs=WRITE)
async def remove_member(panel: Panel) -> Answer:
    """Remove a user from a group."""
    sent = await panel.read_form(MemberForm)
    user_id: UUID = sent.finish().user
    group = await _get_group(panel)
    back = path_of(group.key, "/members")
    try:
        user = await panel.services.users.get(user_id)
    except UserNotFound:
        return panel.redirect(back, flash=flash(panel, "user-gone", is_bad=True))
    if group.key not in user.groups:
        message = flash(panel, "member-gone", name=user.name or user.email, group=group.name, is_bad=True)
        return panel.redirect(back, flash=message)
    await panel.services.groups.remove_member(group.key, user_id, by=panel.principal)
    return panel.redirect(back, flash=flash(panel, "member-removed", name=user.name or user.email, group=group.name))


# ---- content ---------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/content", needs="access:read")
async def show_group_content(panel: Panel) -> Answer:
    """The objects that the members of a group can view, edit or maintain."""
    group = await _get_group(panel)
    granted = await panel.services.content.operations.list_granted(
        group.id, cursor=cursor_of(panel, "held"), by=panel.principal
    )
    return panel.show(
        "groups/content.html",
        group=group,
        key_path=path_of(group.key),
        objects=granted.items,
        granted=await _count_granted(panel, group),
        links=build_page_links(panel, "held", granted),
        content_types=panel.services.content_rules.types,
    )


# ---- delete ----------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/delete", needs=WRITE)
async def confirm_delete_group(panel: Panel) -> Answer:
    """The confirmation, with the numbers of members, invitations and objects."""
    group = await _get_group(panel)
    return panel.show(
        "groups/delete.html",
        group=group,
        key_path=path_of(group.key),
        members=await panel.services.groups.count_members(group, by=panel.principal),
        pending_count=await panel.services.groups.count_pending_invitations(group, by=panel.principal),
        granted=await _count_granted(panel, group),
    )


@post(f"{ENTRY}/delete", needs=WRITE)
async def delete_group(panel: Panel) -> Answer:
    """Delete a group permanently."""
    await panel.read_form(PageForm)
    group = await _get_group(panel)
    await panel.services.groups.delete(group.key, by=panel.principal)
    return panel.redirect(LIST, flash=flash(panel, "group-deleted", name=group.name))


async def _get_group(panel: Panel) -> Group:
    """The group of the path. Raises GroupNotFound."""
    return await panel.services.groups.get(panel.parameter("key"), by=panel.principal)


async def _count_granted(panel: Panel, group: Group) -> object:
    """The number of objects that the group can see; None without the permission to read access."""
    if not panel.can("access:read"):
        return None
    return await panel.services.content.operations.count_granted(group.id, by=panel.principal)


async def _list_history(panel: Panel, group: Group) -> object:
    if not panel.can("audit:read"):
        return ()
    return (await panel.services.users.operations.list_history(group.id, by=panel.principal)).items


routes = [
    show_groups,
    show_new_group,
    create_group,
    show_group,
    save_group,
    show_members,
    add_member,
    remove_member,
    show_group_content,
    confirm_delete_group,
    delete_group,
]
