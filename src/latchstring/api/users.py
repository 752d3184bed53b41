"""User accounts, for user administrators."""

from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType

from latchstring.api.pagination import CreatedQuery, answer_page, parse_cursor
from latchstring.api.user_views import UserView, user_view
from latchstring.domain.errors import (
    EmailTaken,
    ExternalIdTaken,
    GrantNotAllowed,
    GroupNotFound,
    OwnsContent,
    UserNotFound,
)
from latchstring.formats.field_types import Email, Id, Key, Line, Locale, Reference, Secret
from latchstring.formats.fields import Body, Query, Reading, sent_fields
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, empty_answer, json_answer, stored_answer
from latchstring.rest.idempotency import Idempotency
from latchstring.rest.pagination import PageView
from latchstring.rest.route import operation
from latchstring.services import Services
from latchstring.users.accounts import NewUser, UserChanges

TAG = "Users"


class NewUserBody(Body):
    """A user to create. By default the address counts as verified and the terms as accepted."""

    email: Email
    first_name: Line | None = None
    last_name: Line | None = None
    role: Key | UnsetType | None = UNSET
    groups: tuple[Key, ...] = ()
    locale: Locale | None = None
    external_id: Reference | None = None
    password: Secret | None = None
    email_verified: bool = True
    accept_terms: bool = True
    blocked: bool = False


class UserPatch(Body):
    """The fields to change. groups: the complete new list."""

    email: Email | UnsetType = UNSET
    first_name: Line | UnsetType = UNSET
    last_name: Line | UnsetType = UNSET
    role: Key | UnsetType | None = UNSET
    groups: tuple[Key, ...] | UnsetType = UNSET
    locale: Locale | UnsetType | None = UNSET
    external_id: Reference | UnsetType | None = UNSET
    password: Secret | UnsetType = UNSET
    email_verified: bool | UnsetType = UNSET
    accept_terms: bool | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET


class UsersQuery(CreatedQuery):
    """Filters of users. q: a prefix of address, first or last name."""

    email: Email | None = None
    role: Key | None = None
    group: Key | None = None
    q: Line | None = None


class ErasureQuery(Query):
    """The new owner of the content of the erased user."""

    new_owner_id: Id | None = None


@operation("GET", "/api/users", "List users", tag=TAG, permission="users:read", answers={200: PageView[UserView]})
async def list_users(services: Services, query: UsersQuery) -> Answer:
    """Newest first by default."""
    list_id = f"users:{query.sort}"
    page = await services.users.list_page(
        order=query.order,
        cursor=parse_cursor(services, list_id, query.cursor),
        limit=query.limit,
        address=query.email,
        role=query.role,
        group=query.group,
        q=query.q,
    )
    return answer_page(services, list_id, page, user_view)


@operation(
    "POST",
    "/api/users",
    "Create a user",
    tag=TAG,
    permission="users:write",
    answers={201: UserView},
    problems=[GrantNotAllowed, GroupNotFound, EmailTaken, ExternalIdTaken],
    sets_location=True,
)
async def create_user(
    services: Services, caller: Caller, reading: Reading[NewUserBody], idempotency: Idempotency
) -> Answer:
    """The caller must be allowed to grant the role and the groups."""
    principal = caller.require()
    new_user = _new_user(services, reading)
    return await idempotency.run(
        lambda once: services.users.create(new_user, once=once, by=principal),
        lambda user: stored_answer(user_view(user), 201, location=f"/api/users/{user.id}"),
    )


def _new_user(services: Services, reading: Reading[NewUserBody]) -> NewUser:
    address, names = reading.get("email"), (reading.get("first_name") or "", reading.get("last_name") or "")
    reading.problems += services.users.find_profile_problems(
        role=reading.get("role") or None,
        password=reading.get("password"),
        email=address.email if address else "",
        names=names,
    )
    body = reading.finish()
    return NewUser(
        address=body.email,
        first_name=names[0],
        last_name=names[1],
        # Without the field the user gets the default role, which no caller needs the right to grant; null means none.
        role=services.account_rules.default_role if isinstance(body.role, UnsetType) else body.role,
        groups=body.groups,
        locale=body.locale,
        external_id=body.external_id,
        password=body.password,
        email_verified=body.email_verified,
        accept_terms=body.accept_terms,
        blocked=body.blocked,
    )


@operation(
    "GET",
    "/api/users/{user_id:uuid}",
    "Show a user",
    tag=TAG,
    permission="users:read",
    answers={200: UserView},
    problems=[UserNotFound],
)
async def get_user(services: Services, user_id: UUID) -> Answer:
    return json_answer(user_view(await services.users.get(user_id)))


@operation(
    "PATCH",
    "/api/users/{user_id:uuid}",
    "Change a user",
    tag=TAG,
    permission="users:write",
    answers={200: UserView},
    problems=[UserNotFound, GrantNotAllowed, GroupNotFound, EmailTaken, ExternalIdTaken],
)
async def change_user(services: Services, caller: Caller, user_id: UUID, reading: Reading[UserPatch]) -> Answer:
    """The caller must be allowed to grant what the account has, and what the change adds.

    Blocking and a new password end all sessions. A new address is unverified by default.
    """
    reading.problems += services.users.find_profile_problems(
        role=reading.get("role") or None, password=reading.get("password") or None
    )
    changes: dict[str, Any] = sent_fields(reading.finish())
    if "email" in changes:
        changes["address"] = changes.pop("email")
    return json_answer(user_view(await services.users.change(user_id, UserChanges(**changes), by=caller.require())))


@operation(
    "DELETE",
    "/api/users/{user_id:uuid}",
    "Erase a user",
    tag=TAG,
    permission="users:write",
    answers={204: None},
    problems=[UserNotFound, GrantNotAllowed, OwnsContent],
)
async def erase_user(services: Services, caller: Caller, user_id: UUID, query: ErasureQuery) -> Answer:
    """Deletes name and address everywhere and revokes pending invitations to the person. Cannot be undone."""
    await services.users.erase(user_id, new_owner_id=query.new_owner_id, by=caller.require())
    return empty_answer()


routes = [list_users, create_user, get_user, change_user, erase_user]
