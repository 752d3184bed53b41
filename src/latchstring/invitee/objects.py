"""Content objects as pages show them: title, type, access and URL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from latchstring.content.service import subject_of
from latchstring.domain.access import ContentObject, Level, ObjectWithAccess
from latchstring.domain.errors import ContentNotFound
from latchstring.domain.grant import ContentRole
from latchstring.formats.urls import find_origin, is_allowed_redirect
from latchstring.invitations.results import OfferedObject
from latchstring.invitee.context import InviteePage

LONG_TITLE_LENGTH = 60  # characters, two lines of a heading
MAX_OBJECTS = 20  # looked up for one page


@dataclass(frozen=True, slots=True)
class ObjectListItem:
    """An object and the role on it: VIEWER, EDITOR or MAINTAINER.

    type: the key of its type; type_name: the name of the type. current_access: the level of the visitor without the
    invitation, with OWNER; empty for none or if unknown. url: its address, if that is an http(s) URL. foreign_host: the
    host of the URL, if it is not one that pages may redirect to.
    """

    type: str
    key: str
    title: str
    role: str
    type_name: str = ""
    url: str | None = None
    foreign_host: str = ""
    current_access: str = ""

    @property
    def has_long_title(self) -> bool:
        """Whether the title is too long for a large heading or a button."""
        return len(self.title) > LONG_TITLE_LENGTH

    @property
    def trusted_url(self) -> str | None:
        """The URL if pages may redirect to it. Editors choose the URL of an object, so a foreign one is only a link."""
        return None if self.foreign_host else self.url

    @property
    def adds_nothing(self) -> bool:
        """Whether the visitor already has at least the access of the invitation."""
        return bool(self.current_access) and Level[self.current_access] >= Level[self.role]


def offered_item(page: InviteePage, offered: OfferedObject) -> ObjectListItem:
    """An object of an invitation."""
    return _build_item(page, offered, offered.role)


async def with_current_access(page: InviteePage, items: Sequence[ObjectListItem]) -> tuple[ObjectListItem, ...]:
    """The items with the current access of the visitor."""
    objects = [await _find_object(page, item.type, item.key) for item in items[:MAX_OBJECTS]]
    updated = [
        replace(item, current_access=content_object.level.name) if content_object else item
        for item, content_object in zip(items, objects, strict=False)
    ]
    return (*updated, *items[MAX_OBJECTS:])


def format_references(content: Iterable[ObjectWithAccess]) -> str:
    """Objects as a query parameter, `type/key,type/key`. Types and keys contain no comma or slash."""
    return ",".join(f"{item.object.type}/{item.object.key}" for item in list(content)[:MAX_OBJECTS])


async def find_items(page: InviteePage, references: str) -> tuple[ObjectListItem, ...]:
    """The objects of such a parameter with the access of the visitor, without those they may not view."""
    pairs = [reference.partition("/") for reference in references.split(",")[:MAX_OBJECTS] if reference]
    objects = [await _find_object(page, type_, key) for type_, _, key in pairs]
    return tuple(
        _build_item(page, content_object.object, ContentRole(min(content_object.level, Level.MAINTAINER)))
        for content_object in objects
        if content_object is not None
    )


async def _find_object(page: InviteePage, type_: str, key: str) -> ObjectWithAccess | None:
    if page.caller.principal is None:
        return None
    content = page.services.content
    try:
        return await content.look_up(subject_of(page.caller.principal), type_, key, Level.VIEWER)
    except ContentNotFound:
        return None


def _build_item(page: InviteePage, source: OfferedObject | ContentObject, role: ContentRole) -> ObjectListItem:
    content_type = page.services.content_rules.types.get(source.type)
    item = ObjectListItem(source.type, source.key, source.title, role.name, content_type.name if content_type else "")
    if source.url is None or find_origin(source.url) is None:
        return item
    if is_allowed_redirect(source.url, page.services.invitation_rules, page.services.app):
        return replace(item, url=source.url)
    return replace(item, url=source.url, foreign_host=urlsplit(source.url).netloc.rpartition("@")[2])
