"""Content objects, access to them, and access checks.

Anonymous callers may call these. Errors are checked in this order: malformed request, unknown type, missing credential
(unless the object is PUBLIC), object not visible, role on the object too low, invalid fields.
"""

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request

from latchstring.api.content_views import (
    AccessView,
    ContentView,
    ResultsView,
    SuccessView,
    access_view,
    content_view,
    has_version,
    make_etag,
    make_path,
    object_answer,
    with_etag,
)
from latchstring.api.pagination import CreatedQuery, answer_page, parse_cursor
from latchstring.content.service import AccessQuestion, NewAccess, NewObject, subject_of
from latchstring.content.slugs import RESERVED
from latchstring.domain.access import ContentObject, Level, ObjectWithAccess, Visibility
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import (
    ContentChanged,
    ContentKeyTaken,
    ContentNotFound,
    FieldProblem,
    GroupNotFound,
    NotAllowed,
    Unauthenticated,
    UserNotFound,
)
from latchstring.domain.grant import ContentRole
from latchstring.domain.idempotency import Once
from latchstring.domain.ids import NIL_ID
from latchstring.domain.principal import Principal
from latchstring.formats.field_types import Data, Id, Key, Title, Url, ValueRefused, check_size, read_uuid
from latchstring.formats.fields import Body, Reading, escape, sent_fields
from latchstring.http.authentication import Caller, RouteAccess
from latchstring.http.responses import Answer, empty_answer, json_answer, stored_answer
from latchstring.rest.idempotency import Idempotency
from latchstring.rest.pagination import PageView
from latchstring.rest.preconditions import read_tags
from latchstring.rest.route import operation
from latchstring.services import Services

TAG = "Content"
CREATE = "content:create"
READ_ACCESS = "access:read"
COMMON_PROBLEMS = [Unauthenticated, ContentNotFound, NotAllowed]
LevelName = Literal["VIEWER", "EDITOR", "MAINTAINER", "OWNER"]


class NewContentBody(Body):
    """An object to create. key: derived from the title if missing. ownerId: required for API keys."""

    title: Title
    key: Key | None = None
    url: Url | None = None
    data: Data | None = None
    owner_id: Id | None = None


class ContentPatch(Body):
    """The fields to change. Missing fields stay unchanged."""

    title: Title | UnsetType = UNSET
    url: Url | UnsetType | None = UNSET
    data: Data | UnsetType | None = UNSET


class AccessBody(Body):
    """The complete access to an object. sharedUsers: roles by id. sharedGroups: roles by key."""

    access_type: Visibility
    shared_users: dict[str, ContentRole] | None = None
    shared_groups: dict[str, ContentRole] | None = None


class OwnerBody(Body):
    """The new owner of an object."""

    new_owner_id: Id


class CheckBody(Body):
    """A check whether a user has at least this role on an object. userId: the caller if missing."""

    content_type: str
    key: str
    role: LevelName
    user_id: Id | None = None


class ChecksBody(Body):
    """Up to 1000 access checks."""

    checks: tuple[CheckBody, ...]


class ContentQuery(CreatedQuery):
    """Filters of objects. role: only objects on which the caller has at least this role."""

    role: LevelName = "VIEWER"


async def find_content(
    services: Services, caller: Caller, content_type: str, key: str, need: Level
) -> ObjectWithAccess:
    """Return the object of the path. Raises an error unless the caller has this level of access."""
    subject = subject_of(caller.principal)
    return await services.content.look_up(subject, content_type, key, need)


def _check_data(reading: Reading[Any], services: Services) -> None:
    data = reading.get("data")
    if isinstance(data, dict):
        try:
            check_size(data, services.content_rules.data_limit)
        except ValueRefused as refused:
            reading.problems.append(FieldProblem("/data", refused.code, refused.detail))


@operation(
    "POST",
    "/api/content/{content_type}",
    "Create an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={201: ContentView},
    problems=[*COMMON_PROBLEMS, ContentKeyTaken, UserNotFound],
    sets_location=True,
    sets_etag=True,
)
async def create_content(
    services: Services,
    caller: Caller,
    content_type: str,
    reading: Reading[NewContentBody],
    idempotency: Idempotency,
) -> Answer:
    """The caller becomes the owner, and the object is PRIVATE. Requires `content:create`."""
    services.content.get_type(content_type)
    principal = caller.require(CREATE)
    owner_id = _find_owner(principal, reading)
    _check_data(reading, services)
    if reading.get("key") in RESERVED:
        reading.problems.append(FieldProblem("/key", "reserved", "This key is reserved. Choose another key."))
    body = reading.finish()
    new_object = NewObject(title=body.title, owner_id=owner_id, key=body.key, url=body.url, data=body.data)
    created: list[ObjectWithAccess] = []

    async def create_object(once: Once | None) -> ObjectWithAccess:
        created.append(await services.content.create(content_type, new_object, once=once, by=principal))
        return created[-1]

    answer = await idempotency.run(
        create_object, lambda content: stored_answer(content_view(content), 201, location=make_path(content))
    )
    return with_etag(answer, created[-1]) if created else answer


def _find_owner(principal: Principal, reading: Reading[NewContentBody]) -> UUID:
    """Find the owner of a new object: the user who creates it, or the one that an API key names."""
    owner_id: UUID | None = reading.get("owner_id")
    if principal.type is ActorType.USER and principal.id is not None:
        if owner_id not in {None, principal.id}:
            detail = "Only API keys can create objects for others. Transfer ownership with PUT …/owner."
            reading.problems.append(FieldProblem("/ownerId", "not-yours", detail))
        return principal.id
    if owner_id is None and not any(problem.pointer == "/ownerId" for problem in reading.problems):
        reading.problems.append(FieldProblem("/ownerId", "required", "An API key cannot own objects. Name the owner."))
    return owner_id or NIL_ID


@operation(
    "GET",
    "/api/content/{content_type}",
    "List objects",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: PageView[ContentView]},
    problems=[ContentNotFound],
)
async def list_content(services: Services, caller: Caller, content_type: str, query: ContentQuery) -> Answer:
    """Lists the objects the caller may view, or has a role on. Without a credential, lists PUBLIC objects."""
    type_ = services.content.get_type(content_type)
    list_id = f"content/{type_.key}/{query.role}:{query.sort}"
    page = await services.content.list_page(
        subject_of(caller.principal),
        type_.key,
        need=Level[query.role],
        order=query.order,
        cursor=parse_cursor(services, list_id, query.cursor),
        limit=query.limit,
    )
    return answer_page(services, list_id, page, content_view)


@operation(
    "GET",
    "/api/content/{content_type}/{key}",
    "Show an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: ContentView, 304: None},
    problems=COMMON_PROBLEMS,
    sets_etag=True,
)
async def get_content(services: Services, caller: Caller, content_type: str, key: str, request: Request) -> Answer:
    """For callers who may view it. Supports `If-None-Match`."""
    content = await find_content(services, caller, content_type, key, Level.VIEWER)
    tags = read_tags(request.scope, b"if-none-match")
    if tags is not None and (tags.is_any or make_etag(content) in tags.strong | tags.weak):
        return with_etag(empty_answer(304), content)
    return object_answer(content)


@operation(
    "PATCH",
    "/api/content/{content_type}/{key}",
    "Change an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: ContentView},
    problems=[*COMMON_PROBLEMS, ContentChanged],
    sets_etag=True,
    takes_if_match=True,
)
async def change_content(  # noqa: PLR0917  # parameters are injected by name
    services: Services, caller: Caller, content_type: str, key: str, request: Request, reading: Reading[ContentPatch]
) -> Answer:
    """For editors. Missing fields stay unchanged, even if somebody else changes them at the same time."""
    content = await find_content(services, caller, content_type, key, Level.EDITOR)
    _check_data(reading, services)
    changes = sent_fields(reading.finish())
    expected = read_expected(request)
    return object_answer(
        await services.content.change(content.object, changes, is_expected=expected, by=caller.require())
    )


@operation(
    "DELETE",
    "/api/content/{content_type}/{key}",
    "Delete an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: SuccessView},
    problems=[*COMMON_PROBLEMS, ContentChanged],
    takes_if_match=True,
)
async def delete_content(services: Services, caller: Caller, content_type: str, key: str, request: Request) -> Answer:
    """For maintainers. All grants on it are deleted, and its grants in pending invitations become void."""
    content = await find_content(services, caller, content_type, key, Level.MAINTAINER)
    await services.content.delete(content.object, is_expected=read_expected(request), by=caller.require())
    return json_answer(SuccessView(success=True))


def read_expected(request: Request) -> Callable[[ContentObject], bool]:
    """Make a predicate that checks a version against `If-Match`. Without the header, every version matches."""
    tags = read_tags(request.scope, b"if-match")
    return lambda content_object: tags is None or has_version(tags, content_object.version)


# ---- access ----------------------------------------------------------------------------------------------------------


@operation(
    "GET",
    "/api/content/{content_type}/{key}/access",
    "Show access to an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: AccessView},
    problems=COMMON_PROBLEMS,
)
async def get_access(services: Services, caller: Caller, content_type: str, key: str) -> Answer:
    """For maintainers. Returns users, groups and pending invitations."""
    content = await find_content(services, caller, content_type, key, Level.MAINTAINER)
    return json_answer(access_view(await services.content.get_access(content.object)))


@operation(
    "PUT",
    "/api/content/{content_type}/{key}/access",
    "Replace access to an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: ContentView},
    problems=[*COMMON_PROBLEMS, UserNotFound, GroupNotFound],
)
async def replace_access(
    services: Services, caller: Caller, content_type: str, key: str, reading: Reading[AccessBody]
) -> Answer:
    """For maintainers. Replaces all grants: users and groups that are not named lose access, except the owner.

    PRIVATE also voids the grants of pending invitations. SHARED with nobody becomes PRIVATE and voids nothing.
    """
    content = await find_content(services, caller, content_type, key, Level.MAINTAINER)
    body = reading.finish()
    users = {_read_user_id(text): role for text, role in (body.shared_users or {}).items()}
    new_access = NewAccess(visibility=body.access_type, users=users, groups=body.shared_groups or {})
    return json_answer(
        content_view(await services.content.replace_access(content.object, new_access, by=caller.require()))
    )


def _read_user_id(text: str) -> UUID:
    """Read the user id in the key of a map."""
    try:
        return read_uuid(text)
    except ValueRefused:
        raise UserNotFound(f"There is no user {escape(text)}.") from None


@operation(
    "PUT",
    "/api/content/{content_type}/{key}/owner",
    "Transfer ownership of an object",
    tag=TAG,
    access=RouteAccess.OPTIONAL,
    answers={200: ContentView},
    problems=[*COMMON_PROBLEMS, UserNotFound],
)
async def change_owner(
    services: Services, caller: Caller, content_type: str, key: str, reading: Reading[OwnerBody]
) -> Answer:
    """Only for the owner. The previous owner becomes a maintainer, and PRIVATE becomes SHARED."""
    content = await find_content(services, caller, content_type, key, Level.OWNER)
    new_owner_id = reading.finish().new_owner_id
    changed = await services.content.change_owner(content.object, new_owner_id, by=caller.require())
    return json_answer(content_view(changed))


# ---- access checks ---------------------------------------------------------------------------------------------------


@operation(
    "POST",
    "/api/access/check",
    "Check access",
    tag=TAG,
    answers={200: ResultsView},
)
async def check_access(services: Services, caller: Caller, reading: Reading[ChecksBody]) -> Answer:
    """One result for each check, in order, for the caller or, with `access:read`, for any user.

    The result is false for objects and users that do not exist, and for blocked users.
    """
    principal = caller.require()
    if principal.type is not ActorType.USER:
        principal.require(READ_ACCESS)
        for index, body in enumerate(reading.get("checks") or ()):
            if body.user_id is None:
                detail = "An API key is not a user. Name the user to check."
                reading.problems.append(FieldProblem(f"/checks/{index}/userId", "required", detail))
    questions = [
        AccessQuestion(body.content_type, body.key, Level[body.role], body.user_id) for body in reading.finish().checks
    ]
    return json_answer(ResultsView(results=await services.content.check(questions, by=principal)))


routes = [
    create_content,
    list_content,
    get_content,
    change_content,
    delete_content,
    get_access,
    replace_access,
    change_owner,
    check_access,
]
