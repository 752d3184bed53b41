"""Groups and their members."""

from uuid import UUID

from msgspec import UNSET, UnsetType

from latchstring.api.pagination import CreatedQuery, answer_page, parse_cursor
from latchstring.domain.account import User
from latchstring.domain.errors import FieldProblem, GroupKeyTaken, GroupNotFound, UserNotFound
from latchstring.domain.group import Group, GroupText
from latchstring.formats.field_types import Key, Line, Message, ValueRefused, read_locale
from latchstring.formats.fields import Body, Reading
from latchstring.groups.service import GroupTexts
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, View, empty_answer, json_answer, stored_answer
from latchstring.rest.idempotency import Idempotency
from latchstring.rest.pagination import PageView
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Groups"
WRITE = "groups:write"


class GroupTextBody(Body):
    """Name and description of a group in one language."""

    name: Line
    description: Message | None = None


class NewGroupBody(Body):
    """A group to create. translations: by BCP 47 tag."""

    key: Key
    name: Line
    description: Message | None = None
    translations: dict[str, GroupTextBody] | None = None


class GroupBody(Body):
    """The new name, description and translations of a group. key: as in the path; it cannot be changed."""

    name: Line
    key: Key | UnsetType = UNSET
    description: Message | None = None
    translations: dict[str, GroupTextBody] | None = None


class GroupTextView(View):
    """Name and description of a group in one language."""

    name: str
    description: str | None


class GroupView(View):
    """A named set of users."""

    key: str
    name: str
    description: str | None
    translations: dict[str, GroupTextView]


class MemberView(View):
    """A member. email: null unless the caller may read users."""

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


def _read_texts(reading: Reading[NewGroupBody] | Reading[GroupBody]) -> GroupTexts:
    texts: dict[str, GroupText] = {}
    for tag, text in (reading.get("translations") or {}).items():
        try:
            texts[read_locale(tag)] = GroupText(text.name, text.description)
        except ValueRefused as refused:
            pointer = "/translations/" + tag.replace("~", "~0").replace("/", "~1")
            reading.problems.append(FieldProblem(pointer, refused.code, refused.detail))
    body = reading.finish()
    return GroupTexts(name=body.name, description=body.description or None, translations=texts)


@operation("GET", "/api/groups", "List groups", tag=TAG, answers={200: PageView[GroupView]})
async def list_groups(services: Services, caller: Caller, query: CreatedQuery) -> Answer:
    """Lists all groups with the permission `groups:read`, otherwise the groups of the user."""
    list_id = f"groups:{query.sort}"
    cursor = parse_cursor(services, list_id, query.cursor)
    page = await services.groups.list_page(order=query.order, cursor=cursor, limit=query.limit, by=caller.require())
    return answer_page(services, list_id, page, group_view)


@operation(
    "POST",
    "/api/groups",
    "Create a group",
    tag=TAG,
    permission=WRITE,
    answers={201: GroupView},
    problems=[GroupKeyTaken],
    sets_location=True,
)
async def create_group(
    services: Services, caller: Caller, reading: Reading[NewGroupBody], idempotency: Idempotency
) -> Answer:
    """The key cannot be changed. A group created with the key of a deleted group has no members and no grants."""
    principal, texts = caller.require(), _read_texts(reading)
    key = reading.finish().key
    return await idempotency.run(
        lambda once: services.groups.create(key, texts, once=once, by=principal),
        lambda group: stored_answer(group_view(group), 201, location=f"/api/groups/{group.key}"),
    )


@operation("GET", "/api/groups/{key}", "Show a group", tag=TAG, answers={200: GroupView}, problems=[GroupNotFound])
async def get_group(services: Services, caller: Caller, key: str) -> Answer:
    """With the permission `groups:read`, or as a member."""
    return json_answer(group_view(await services.groups.get(key, by=caller.require())))


@operation(
    "PUT",
    "/api/groups/{key}",
    "Replace a group",
    tag=TAG,
    answers={200: GroupView},
    problems=[GroupNotFound],
)
async def replace_group(services: Services, caller: Caller, key: str, reading: Reading[GroupBody]) -> Answer:
    """Replaces name, description and translations. Members and grants stay. Requires `groups:write`."""
    await services.groups.require_write(key, by=caller.require())
    if reading.values.get("key", key) != key:
        reading.problems.append(FieldProblem("/key", "unchangeable", "The key of a group cannot be changed."))
    texts = _read_texts(reading)
    return json_answer(group_view(await services.groups.replace(key, texts, by=caller.require())))


@operation(
    "DELETE",
    "/api/groups/{key}",
    "Delete a group",
    tag=TAG,
    answers={204: None},
    problems=[GroupNotFound],
)
async def delete_group(services: Services, caller: Caller, key: str) -> Answer:
    """Memberships end. Its grants in open invitations become void. An invitation without other grants is revoked.

    Requires `groups:write`.
    """
    await services.groups.delete(key, by=caller.require())
    return empty_answer()


@operation(
    "GET",
    "/api/groups/{key}/members",
    "List the members of a group",
    tag=TAG,
    answers={200: PageView[MemberView]},
    problems=[GroupNotFound],
)
async def list_members(services: Services, caller: Caller, key: str, query: CreatedQuery) -> Answer:
    """With the permission `groups:read`, or as a member. Addresses are shown to callers who may read users."""
    list_id = f"members/{key}:{query.sort}"
    page = await services.groups.list_members(
        key,
        order=query.order,
        cursor=parse_cursor(services, list_id, query.cursor),
        limit=query.limit,
        by=caller.require(),
    )
    shows_email = caller.can("users:read")

    def view(user: User) -> MemberView:
        email = user.email if shows_email else None
        return MemberView(id=user.id, first_name=user.first_name, last_name=user.last_name, email=email)

    return answer_page(services, list_id, page, view)


@operation(
    "POST",
    "/api/groups/{key}/members/{user_id:uuid}",
    "Add a user to a group",
    tag=TAG,
    answers={204: None},
    problems=[GroupNotFound, UserNotFound],
)
async def add_member(services: Services, caller: Caller, key: str, user_id: UUID) -> Answer:
    """Has no effect if the user is a member. Requires `groups:write`."""
    await services.groups.add_member(key, user_id, by=caller.require())
    return empty_answer()


@operation(
    "DELETE",
    "/api/groups/{key}/members/{user_id:uuid}",
    "Remove a user from a group",
    tag=TAG,
    answers={204: None},
    problems=[GroupNotFound],
)
async def remove_member(services: Services, caller: Caller, key: str, user_id: UUID) -> Answer:
    """Has no effect if the user is not a member. Requires `groups:write`."""
    await services.groups.remove_member(key, user_id, by=caller.require())
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
