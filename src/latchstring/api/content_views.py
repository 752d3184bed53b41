"""Views of content objects and access to them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from latchstring.api.invitation_views import CONTENT_ROLES, ContentRoleName, DeliveryView, delivery_view
from latchstring.content.service import AccessDetails
from latchstring.domain.access import Level, ObjectWithAccess, PendingInvitation, UserAccess, Visibility
from latchstring.http.responses import Answer, View, json_answer
from latchstring.rest.preconditions import Tags

VisibilityName = Literal["PRIVATE", "SHARED", "PUBLIC"]
VISIBILITIES: Mapping[Visibility, VisibilityName] = {
    Visibility.PRIVATE: "PRIVATE",
    Visibility.SHARED: "SHARED",
    Visibility.PUBLIC: "PUBLIC",
}


class ObjectAccessView(View):
    """The owner and visibility of an object, and what the caller may do."""

    owner_id: UUID
    visibility: VisibilityName
    can_edit: bool
    can_delete: bool


class ContentView(View):
    """A content object. contentType: the declared key, even if the path used the singular."""

    content_type: str
    key: str
    title: str
    url: str | None
    data: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime
    access: ObjectAccessView


class PersonView(View):
    """A user with access to an object."""

    id: UUID
    name: str
    email: str


class UserAccessView(View):
    """The role of a user on an object."""

    user: PersonView
    role: ContentRoleName


class PendingInvitationView(View):
    """A pending invitation to an object. delivery: null if people without an account cannot be invited."""

    id: UUID
    email: str
    role: ContentRoleName
    issued_at: datetime
    expires_at: datetime
    delivery: DeliveryView | None


class AccessView(View):
    """Users and groups with access to an object besides its owner, and pending invitations. groups: roles by key."""

    owner_id: UUID
    visibility: VisibilityName
    users: list[UserAccessView]
    groups: dict[str, ContentRoleName]
    invitations: list[PendingInvitationView]


class SuccessView(View):
    """The request succeeded."""

    success: bool


class ResultsView(View):
    """The result of each check, in order."""

    results: list[bool]


def content_view(seen: ObjectWithAccess) -> ContentView:
    one = seen.object
    access = ObjectAccessView(
        owner_id=one.owner_id,
        visibility=VISIBILITIES[one.visibility],
        can_edit=seen.level >= Level.EDITOR,
        can_delete=seen.level >= Level.MAINTAINER,
    )
    return ContentView(
        content_type=one.type,
        key=one.key,
        title=one.title,
        url=one.url,
        data=one.data,
        created_at=one.created_at,
        updated_at=one.updated_at,
        access=access,
    )


def etag_of(seen: ObjectWithAccess) -> str:
    """The entity tag of what `content_view` shows, without quotes: `<version>-<digest of who may do what>`.

    The version counts changes of words and data, which `If-Match` is about. The rest makes the tag strong (RFC 9110,
    section 8.8.1): two answers that differ have different tags, also when only access changed.
    """
    one = seen.object
    rest = f"{one.owner_id} {one.visibility.name} {seen.level >= Level.EDITOR} {seen.level >= Level.MAINTAINER}"
    return f"{one.version}-{hashlib.blake2s(rest.encode(), digest_size=4).hexdigest()}"


def is_of_version(tags: Tags, version: int) -> bool:
    """Whether `If-Match` names this version. A weak tag never does."""
    return tags.is_any or any(tag.partition("-")[0] == str(version) for tag in tags.strong)


def object_answer(seen: ObjectWithAccess, status: int = 200, *, location: str | None = None) -> Answer:
    """The object with its ETag."""
    return with_etag(json_answer(content_view(seen), status, location=location), seen)


def with_etag(answer: Answer, seen: ObjectWithAccess) -> Answer:
    """The answer, with the entity tag of the object."""
    answer.headers.append((b"etag", f'"{etag_of(seen)}"'.encode("ascii")))
    return answer


def path_of(seen: ObjectWithAccess) -> str:
    """Where the object is. Keys need no escaping."""
    return f"/api/content/{seen.object.type}/{seen.object.key}"


def access_view(details: AccessDetails) -> AccessView:
    return AccessView(
        owner_id=details.object.owner_id,
        visibility=VISIBILITIES[details.object.visibility],
        users=[_user_view(one) for one in details.holders.users],
        groups={key: CONTENT_ROLES[role] for key, role in details.holders.groups.items()},
        invitations=[_invitation_view(one) for one in details.invitations],
    )


def _user_view(one: UserAccess) -> UserAccessView:
    return UserAccessView(user=PersonView(id=one.user_id, name=one.name, email=one.email), role=CONTENT_ROLES[one.role])


def _invitation_view(one: PendingInvitation) -> PendingInvitationView:
    return PendingInvitationView(
        id=one.id,
        email=one.email,
        role=CONTENT_ROLES[one.role],
        issued_at=one.issued_at,
        expires_at=one.expires_at,
        delivery=delivery_view(one.delivery),
    )
