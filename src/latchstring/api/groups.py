"""Groups and their members."""

from uuid import UUID

from msgspec import UNSET, UnsetType

from latchstring.api.pagination import CreatedQuery, answer_page, cursor_of
from latchstring.domain.account import User
from latchstring.domain.errors import FieldProblem, GroupKeyTaken, GroupNotFound, UserNotFound
from latchstring.domain.group import Group, GroupText
from latchstring.formats.field_types import Key, Line, Message, ValueRefused, read_locale
from latchstring.formats.fields import Body, Reading
from latchstring.groups.service import GroupWords
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, View, empty_answer, json_answer, stored_answer
from latchstring.rest.idempotency import Idempotency
from latchstring.rest.pagination import PageView
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Groups"
WRITE = "groups:write"


class GroupTextBody(Body):
    """How a group is called in one language."""

    name: Line
    description: Message | None = None


class NewGroupBody(Body):
    """A group to make. translations: by BCP 47 tag."""

    key: Key
    name: Line
    description: Message | None = None
    translations: dict[str, GroupTextBody] | None = None


class GroupBody(Body):
    """What a group is called from now on. key: as in the path; it never changes."""

    name: Line
    key: Key | UnsetType = UNSET
    description: Message | None = None
    translations: dict[str, GroupTextBody] | None = None


class GroupTextView(View):
    """How a group is called in one language."""

    name: str
    description: str | None


class GroupView(View):
    """A named set of users."""

    key: str
    name: str
    description: str | None
    translations: dict[str, GroupTextView]


class MemberView(View):
    """A member. email: for those who may read users, else null."""

    id: UUID
    first_name: str
    last_name: str
    email: str | None


def group_view(group: Group) -> GroupView:
    texts = {
        locale: GroupTextView(name=text.name, description=text.description)
        for locale, text in group.translations.items()
    }
    return GroupView(key=group.key, name=group.name, description=group.description, translations=texts)


def _words(reading: Reading[NewGroupBody] | Reading[GroupBody]) -> GroupWords:
    texts: dict[str, GroupText] = {}
    for tag, text in (reading.get("translations") or {}).items():
        try:
            texts[read_locale(tag)] = GroupText(text.name, text.description)
        except ValueRefused as refused:
            pointer = "/translations/" + tag.replace("~", "~0").replace("/", "~1")
            reading.problems.append(FieldProblem(pointer, refused.code, refused.detail))
    body = reading.finish()
    return GroupWords(name=body.name, description=body.description or None, translations=texts)


@operation("GET", "/api/groups", "List groups", tag=TAG, answers={200: PageView[GroupView]})
async def list_groups(services: Services, caller: Caller, query: CreatedQuery) -> Answer:
    """All groups with the permission `groups:read`, else the user's own."""
    within = f"groups:{query.sort}"
    cursor = cursor_of(services, within, query.cursor)
    page = await services.groups.list_groups(caller.require(), order=query.order, cursor=cursor, limit=query.limit)
    return answer_page(services, within, page, group_view)


@operation(
    "POST",
    "/api/groups",
    "Make a group",
    tag=TAG,
    permission=WRITE,
    answers={201: GroupView},
    problems=[GroupKeyTaken],
    sets_location=True,
)
async def create_group(
    services: Services, caller: Caller, reading: Reading[NewGroupBody], idempotency: Idempotency
) -> Answer:
    """The key stays for good. One made again under an old key starts without members and grants."""
    principal, words = caller.require(), _words(reading)
    key = reading.finish().key
    return await idempotency.run(
        lambda once: services.groups.create_group(principal, key, words, once=once),
        lambda group: stored_answer(group_view(group), 201, location=f"/api/groups/{group.key}"),
    )


@operation("GET", "/api/groups/{key}", "Show a group", tag=TAG, answers={200: GroupView}, problems=[GroupNotFound])
async def get_group(services: Services, caller: Caller, key: str) -> Answer:
    """With the permission `groups:read`, or as a member."""
    return json_answer(group_view(await services.groups.get_group(caller.require(), key)))


@operation(
    "PUT",
    "/api/groups/{key}",
    "Name a group anew",
    tag=TAG,
    answers={200: GroupView},
    problems=[GroupNotFound],
)
async def replace_group(services: Services, caller: Caller, key: str, reading: Reading[GroupBody]) -> Answer:
    """Replaces name, description and translations. Members and grants stay. Needs `groups:write`."""
    await services.groups.require_write(caller.require(), key)
    if reading.values.get("key", key) != key:
        reading.problems.append(FieldProblem("/key", "unchangeable", "The key of a group never changes."))
    words = _words(reading)
    return json_answer(group_view(await services.groups.replace_group(caller.require(), key, words)))


@operation(
    "DELETE",
    "/api/groups/{key}",
    "Remove a group",
    tag=TAG,
    answers={204: None},
    problems=[GroupNotFound],
)
async def delete_group(services: Services, caller: Caller, key: str) -> Answer:
    """Memberships end. Its grants in open invitations are void; one with nothing else in it is revoked.

    Needs `groups:write`.
    """
    await services.groups.delete_group(caller.require(), key)
    return empty_answer()


@operation(
    "GET",
    "/api/groups/{key}/members",
    "List a group's members",
    tag=TAG,
    answers={200: PageView[MemberView]},
    problems=[GroupNotFound],
)
async def list_members(services: Services, caller: Caller, key: str, query: CreatedQuery) -> Answer:
    """With the permission `groups:read`, or as a member. Addresses are for those who may read users."""
    within = f"members/{key}:{query.sort}"
    page = await services.groups.list_members(
        caller.require(),
        key,
        order=query.order,
        cursor=cursor_of(services, within, query.cursor),
        limit=query.limit,
    )
    shows_email = caller.can("users:read")

    def view(user: User) -> MemberView:
        email = user.email if shows_email else None
        return MemberView(id=user.id, first_name=user.first_name, last_name=user.last_name, email=email)

    return answer_page(services, within, page, view)


@operation(
    "POST",
    "/api/groups/{key}/members/{user_id:uuid}",
    "Bring a user into a group",
    tag=TAG,
    answers={204: None},
    problems=[GroupNotFound, UserNotFound],
)
async def add_member(services: Services, caller: Caller, key: str, user_id: UUID) -> Answer:
    """Nothing happens to somebody who is in it. Needs `groups:write`."""
    await services.groups.add_member(caller.require(), key, user_id)
    return empty_answer()


@operation(
    "DELETE",
    "/api/groups/{key}/members/{user_id:uuid}",
    "Take a user out of a group",
    tag=TAG,
    answers={204: None},
    problems=[GroupNotFound],
)
async def remove_member(services: Services, caller: Caller, key: str, user_id: UUID) -> Answer:
    """Nothing happens to somebody who is not in it. Needs `groups:write`."""
    await services.groups.remove_member(caller.require(), key, user_id)
    return empty_answer()


routes = [
    list_groups,
    create_group,
    get_group,
    replace_group,
    delete_group,
    list_members,
    add_member,
    remove_member,
]
