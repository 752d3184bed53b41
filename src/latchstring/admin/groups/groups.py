"""Groups: found, made, named, with their members, what they may see, and their end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote
from uuid import UUID

from latchstring.admin.choices import match_users
from latchstring.admin.context import Panel
from latchstring.admin.flash import fingerprint, flash
from latchstring.admin.pagination import (
    LONGEST_SEARCH,
    PAGE_SIZE,
    address,
    cursor_of,
    page_links,
    searched,
    sort_order_of,
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
    """How a group is called. Languages come as three lists of the same length; one without a name is left out."""

    repeated: ClassVar[frozenset[str]] = frozenset({"language", "textName", "textDescription"})
    most_fields: ClassVar[int] = 256

    name: Line | None = None
    description: Message | None = None
    seen: str = ""  # which words the form was opened with
    language: tuple[str, ...] = ()
    text_name: tuple[str, ...] = ()
    text_description: tuple[str, ...] = ()


class NewGroupForm(GroupTextsForm, kw_only=True):
    """A group to make."""

    key: Key


class MemberForm(PageForm, kw_only=True):
    """A user to bring in or to take out."""

    user: Id


@dataclass(frozen=True, slots=True)
class Language:
    """A translation as the form shows it."""

    language: str = ""
    name: str = ""
    description: str = ""


def path_of(key: str, rest: str = "") -> str:
    return f"{LIST}/{quote(key, safe='')}{rest}"


# ---- the list --------------------------------------------------------------------------------------------------------


@get(LIST, needs=READ)
async def show_groups(panel: Panel) -> Answer:
    """Groups by name, with their members counted; `q` searches."""
    q, order = searched(panel), sort_order_of(panel, ORDERS, "name")
    within = f"groups:{order}"
    found = await panel.services.groups.search(
        q, order=order, cursor=cursor_of(panel, within), limit=PAGE_SIZE, by=panel.principal
    )
    return panel.show(
        "groups/list.html",
        found=found,
        q=q,
        sorting=order,
        address=lambda **changes: address(panel, **changes),
        links=page_links(panel, within, found),
        path_of=path_of,
    )


# ---- one group -------------------------------------------------------------------------------------------------------


@get(NEW, needs=WRITE)
async def show_new_group(panel: Panel) -> Answer:
    return panel.show("groups/new.html", languages=[Language()], offered=available_locales())


@post(NEW, needs=WRITE)
async def make_group(panel: Panel) -> Answer:
    """Make a group and go to it."""
    sent = await panel.read_form(NewGroupForm)
    try:
        words = _read_words(sent)
        made = await panel.services.groups.create(sent.finish().key, words, by=panel.principal)
    except InvalidFields as error:
        return _show_new(panel, sent.refused(error), 422, error.code, sent)
    except GroupKeyTaken as error:
        return _show_new(panel, sent.with_problem("key", error.code), 409, error.code, sent)
    return panel.redirect(path_of(made.key), flash=flash(panel, "group-created", name=made.name))


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
    """A group's words, and what is around it in numbers."""
    return await _show_entry(panel, await _group(panel))


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
    history = await _history(panel, group)
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
        on_the_way=await panel.services.groups.count_pending_invitations(group, by=panel.principal),
        granted=await _count_granted(panel, group),
        seen=_fingerprint(texts_of(group)),
        history=history,
    )


@post(ENTRY, needs=WRITE)
async def save_group(panel: Panel) -> Answer:
    """Give a group other words, unless somebody else has just done so."""
    sent = await panel.read_form(GroupTextsForm)
    group = await _group(panel)
    try:
        sent.finish()
        words = _read_words(sent)
        _check_unchanged(sent, group)
        await panel.services.groups.replace(group.key, words, before=texts_of(group), by=panel.principal)
    except InvalidFields as error:
        return await _show_entry(
            panel, group, form=sent.refused(error), status=422, code=error.code, typed=_typed_languages(sent)
        )
    except ChangedMeanwhile as error:
        form = sent.with_problem("name", error.code)
        return await _show_entry(
            panel, await _group(panel), form=form, status=409, code=error.code, typed=_typed_languages(sent)
        )
    return panel.redirect(path_of(group.key), flash=flash(panel, "group-saved", name=words.name))


def _check_unchanged(sent: SentForm[GroupTextsForm], group: Group) -> None:
    if sent.typed.get("seen") != _fingerprint(texts_of(group)):
        raise ChangedMeanwhile("The group was changed by somebody else.")


def _fingerprint(words: GroupTexts) -> str:
    """Which words a form was opened with. Not a secret: it only has to differ when they do."""
    texts = sorted((tag, text.name, text.description) for tag, text in words.translations.items())
    return fingerprint(words.name, words.description, texts)


def _typed_languages(sent: SentForm[GroupTextsForm] | SentForm[NewGroupForm]) -> list[Language]:
    columns = (sent.ticked.get(name, ()) for name in ("language", "textName", "textDescription"))
    typed = [Language(*row) for row in zip(*columns, strict=False)]
    return [one for one in typed if one.language or one.name or one.description]


def _read_words(sent: SentForm[GroupTextsForm] | SentForm[NewGroupForm]) -> GroupTexts:
    """The words of a group. Raises InvalidFields with everything that is wrong with them."""
    problems = list(sent.reading.problems)
    if not sent.typed.get("name", "").strip():
        problems.append(FieldProblem("/name", "required", "Give the group a name."))
    texts: dict[str, GroupText] = {}
    for place, one in enumerate(_typed_languages(sent)):
        if not one.name.strip() and not one.description.strip():
            continue  # a language whose words were cleared is left out
        try:
            tag = read_locale(one.language)
            texts[tag] = GroupText(read_line(one.name), read_message(one.description) or None)
        except ValueRefused as refused:
            problems.append(FieldProblem(f"/language-{place}", refused.code, refused.detail))
    if problems:
        raise InvalidFields(problems)
    return GroupTexts(name=sent.get("name"), description=sent.get("description"), translations=texts)


# ---- members ---------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/members", needs=READ)
async def show_members(panel: Panel) -> Answer:
    """Who is in a group, and, for those who may, a search for somebody to bring in."""
    group = await _group(panel)
    found = await panel.services.users.operations.search(
        UserSearch(group_id=group.id),
        order=SortOrder("email"),
        cursor=cursor_of(panel, "members"),
        limit=PAGE_SIZE,
        by=panel.principal,
    )
    find = searched(panel, "find")
    matches = await match_users(panel, find) if find and panel.can(WRITE) else ()
    return panel.show(
        "groups/members.html",
        group=group,
        key_path=path_of(group.key),
        found=found,
        find=find,
        matches=matches,
        members=await panel.services.groups.count_members(group, by=panel.principal),
        links=page_links(panel, "members", found),
        longest=LONGEST_SEARCH,
    )


@post(f"{ENTRY}/members", needs=WRITE)
async def add_member(panel: Panel) -> Answer:
    """Bring somebody into a group."""
    sent = await panel.read_form(MemberForm)
    user_id: UUID = sent.finish().user
    group = await _group(panel)
    back = path_of(group.key, "/members")
    try:
        user = await panel.services.users.get(user_id)
        await panel.services.groups.add_member(group.key, user_id, by=panel.principal)
    except UserNotFound:
        return panel.redirect(back, flash=flash(panel, "user-gone", is_bad=True))
    return panel.redirect(back, flash=flash(panel, "member-added", name=user.name or user.email, group=group.name))


@post(f"{ENTRY}/members/remove", needs=WRITE)
async def remove_member(panel: Panel) -> Answer:
    """Take somebody out of a group."""
    sent = await panel.read_form(MemberForm)
    user_id: UUID = sent.finish().user
    group = await _group(panel)
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
    """What the members of a group may view, edit or maintain."""
    group = await _group(panel)
    granted = await panel.services.content.operations.list_granted(
        group.id, cursor=cursor_of(panel, "held"), by=panel.principal
    )
    return panel.show(
        "groups/content.html",
        group=group,
        key_path=path_of(group.key),
        held=granted.items,
        granted=await _count_granted(panel, group),
        links=page_links(panel, "held", granted),
        content_types=panel.services.content_rules.types,
    )


# ---- the end ---------------------------------------------------------------------------------------------------------


@get(f"{ENTRY}/delete", needs=WRITE)
async def confirm_delete_group(panel: Panel) -> Answer:
    """What deleting would do, in numbers."""
    group = await _group(panel)
    return panel.show(
        "groups/delete.html",
        group=group,
        key_path=path_of(group.key),
        members=await panel.services.groups.count_members(group, by=panel.principal),
        on_the_way=await panel.services.groups.count_pending_invitations(group, by=panel.principal),
        granted=await _count_granted(panel, group),
    )


@post(f"{ENTRY}/delete", needs=WRITE)
async def delete_group(panel: Panel) -> Answer:
    """Remove a group for good."""
    await panel.read_form(PageForm)
    group = await _group(panel)
    await panel.services.groups.delete(group.key, by=panel.principal)
    return panel.redirect(LIST, flash=flash(panel, "group-deleted", name=group.name))


async def _group(panel: Panel) -> Group:
    """The group in the address. Raises GroupNotFound."""
    return await panel.services.groups.get(panel.parameter("key"), by=panel.principal)


async def _count_granted(panel: Panel, group: Group) -> object:
    """How many objects it may see; nothing for who may not ask."""
    if not panel.can("access:read"):
        return None
    return await panel.services.content.operations.count_granted(group.id, by=panel.principal)


async def _history(panel: Panel, group: Group) -> object:
    if not panel.can("audit:read"):
        return ()
    return (await panel.services.users.operations.list_history(group.id, by=panel.principal)).items


routes = [
    show_groups,
    show_new_group,
    make_group,
    show_group,
    save_group,
    show_members,
    add_member,
    remove_member,
    show_group_content,
    confirm_delete_group,
    delete_group,
]
