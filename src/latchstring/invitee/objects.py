"""Content objects as pages show them: title, type, the right in words, and where they are to be found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from latchstring.content.service import subject_of
from latchstring.domain.access import ContentObject, Level, ObjectWithAccess
from latchstring.domain.errors import ContentNotFound
from latchstring.domain.grant import ContentRole
from latchstring.formats.urls import find_origin
from latchstring.invitations.build import is_allowed_redirect
from latchstring.invitations.results import OfferedObject
from latchstring.invitee.context import InviteePage

LONG = 60  # letters: two lines of a heading
MOST_SHOWN = 20  # as many are looked up for one page


@dataclass(frozen=True, slots=True)
class ObjectListItem:
    """An object and what the person may do with it: VIEWER, EDITOR or MAINTAINER.

    type: the key of its type, kind: that type's name. held: what the visitor may do without the invitation, OWNER too;
    empty for nothing, or when nobody looked. url: where it is, if that is an address of the web. site: the host of an
    address that is not trusted to be gone on to unasked.
    """

    type: str
    key: str
    title: str
    role: str
    kind: str = ""
    url: str | None = None
    site: str = ""
    held: str = ""

    @property
    def is_long(self) -> bool:
        """Whether the title is too long for a large heading or a button."""
        return len(self.title) > LONG

    @property
    def onward(self) -> str | None:
        """Where to go on to unasked. Whoever may edit the object chooses its address: any other site is a link that the
        person sees and follows, or not.
        """
        return None if self.site else self.url

    @property
    def is_held(self) -> bool:
        """Whether the invitation adds nothing to it."""
        return bool(self.held) and Level[self.held] >= Level[self.role]


def offered_item(page: InviteePage, one: OfferedObject) -> ObjectListItem:
    """An object as a link offers it."""
    return _item(page, one, one.role)


async def with_held(page: InviteePage, items: Sequence[ObjectListItem]) -> tuple[ObjectListItem, ...]:
    """The items with what the visitor may do with each already."""
    found = [await _look_up(page, item.type, item.key) for item in items[:MOST_SHOWN]]
    held = [replace(item, held=seen.level.name) if seen else item for item, seen in zip(items, found, strict=False)]
    return (*held, *items[MOST_SHOWN:])


def names_of(content: Iterable[ObjectWithAccess]) -> str:
    """Objects as a query parameter. Neither types nor keys have a comma or a slash."""
    return ",".join(f"{seen.object.type}/{seen.object.key}" for seen in list(content)[:MOST_SHOWN])


async def find_items(page: InviteePage, names: str) -> tuple[ObjectListItem, ...]:
    """What the visitor may do now with the objects of such a parameter, without those they may not view."""
    pairs = [name.partition("/") for name in names.split(",")[:MOST_SHOWN] if name]
    found = [await _look_up(page, type_, key) for type_, _, key in pairs]
    return tuple(
        _item(page, seen.object, ContentRole(min(seen.level, Level.MAINTAINER))) for seen in found if seen is not None
    )


async def _look_up(page: InviteePage, type_: str, key: str) -> ObjectWithAccess | None:
    if page.caller.principal is None:
        return None
    content = page.services.content
    try:
        return await content.look_up(subject_of(page.caller.principal), type_, key, Level.VIEWER)
    except ContentNotFound:
        return None


def _item(page: InviteePage, one: OfferedObject | ContentObject, role: ContentRole) -> ObjectListItem:
    declared = page.services.content_rules.types.get(one.type)
    item = ObjectListItem(one.type, one.key, one.title, role.name, declared.name if declared else "")
    if one.url is None or find_origin(one.url) is None:
        return item
    is_trusted = is_allowed_redirect(one.url, page.services.invitation_rules, page.services.app)
    return replace(item, url=one.url, site="" if is_trusted else urlsplit(one.url).netloc.rpartition("@")[2])
