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


def content_view(content: ObjectWithAccess) -> ContentView:
    object_ = content.object
    access = ObjectAccessView(
        owner_id=object_.owner_id,
        visibility=VISIBILITIES[object_.visibility],
        can_edit=content.level >= Level.EDITOR,
        can_delete=content.level >= Level.MAINTAINER,
    )
    return ContentView(
        content_type=object_.type,
        key=object_.key,
        title=object_.title,
        url=object_.url,
        data=object_.data,
        created_at=object_.created_at,
        updated_at=object_.updated_at,
        access=access,
    )


def make_etag(content: ObjectWithAccess) -> str:
    """Return the entity tag of `content_view` without quotes: `<version>-<digest of the access>`.

    The version counts changes of title, URL and data, which `If-Match` protects. The digest makes the tag strong
    (RFC 9110, section 8.8.1): two responses that differ have different tags, even if only the access changed.
    """
    object_, level = content.object, content.level
    access = f"{object_.owner_id} {object_.visibility.name} {level >= Level.EDITOR} {level >= Level.MAINTAINER}"
    return f"{object_.version}-{hashlib.blake2s(access.encode(), digest_size=4).hexdigest()}"


def has_version(tags: Tags, version: int) -> bool:
    """Whether `If-Match` names this version. A weak tag never does."""
    return tags.is_any or any(tag.partition("-")[0] == str(version) for tag in tags.strong)


def object_answer(content: ObjectWithAccess, status: int = 200, *, location: str | None = None) -> Answer:
    """Make the response with the object and its ETag."""
    return with_etag(json_answer(content_view(content), status, location=location), content)


def with_etag(answer: Answer, content: ObjectWithAccess) -> Answer:
    """Add the entity tag of the object to a response."""
    answer.headers.append((b"etag", f'"{make_etag(content)}"'.encode("ascii")))
    return answer


def make_path(content: ObjectWithAccess) -> str:
    """Return the path of the object. Keys need no escaping."""
    return f"/api/content/{content.object.type}/{content.object.key}"


def access_view(details: AccessDetails) -> AccessView:
    return AccessView(
        owner_id=details.object.owner_id,
        visibility=VISIBILITIES[details.object.visibility],
        users=[_user_view(item) for item in details.holders.users],
        groups={key: CONTENT_ROLES[role] for key, role in details.holders.groups.items()},
        invitations=[_invitation_view(item) for item in details.invitations],
    )


def _user_view(access: UserAccess) -> UserAccessView:
    return UserAccessView(
        user=PersonView(id=access.user_id, name=access.name, email=access.email), role=CONTENT_ROLES[access.role]
    )


def _invitation_view(invitation: PendingInvitation) -> PendingInvitationView:
    return PendingInvitationView(
        id=invitation.id,
        email=invitation.email,
        role=CONTENT_ROLES[invitation.role],
        issued_at=invitation.issued_at,
        expires_at=invitation.expires_at,
        delivery=delivery_view(invitation.delivery),
    )
