"""Finding objects within what somebody may see, and answering who may do what."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from latchstring.content.dependencies import READ, WRITE, ContentDependencies
from latchstring.domain.access import (
    ANONYMOUS,
    ContentObject,
    Holders,
    Level,
    ObjectWithAccess,
    PendingInvitation,
    Subject,
    combine_level,
)
from latchstring.domain.actor import ActorType
from latchstring.domain.errors import ContentNotFound, NotAllowed, Unauthenticated
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.principal import Principal
from latchstring.domain.settings import ContentType
from latchstring.storage.content.access import AccessCheck, AccessFilter, check_levels, list_visible
from latchstring.storage.content.objects import find_holders, find_object_for

CREATE = "content:create"
READ_ACCESS = "access:read"


@dataclass(frozen=True, slots=True)
class AccessDetails:
    """All a maintainer sees of who has access to an object, and who will have."""

    object: ContentObject
    holders: Holders
    invitations: Sequence[PendingInvitation]


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """May this user, or the one who asks, do this much with the object?"""

    type: str
    key: str
    need: Level
    user_id: UUID | None = None


def subject_of(principal: Principal | None) -> Subject:
    """The caller as the subject of access rules."""
    if principal is None:
        return ANONYMOUS
    user_id = principal.id if principal.type is ActorType.USER else None
    return Subject(user_id, reads_all=principal.can(READ), writes_all=principal.can(WRITE))


@dataclass(frozen=True)
class ContentReader:
    """Objects within what somebody may see."""

    deps: ContentDependencies

    def find_type(self, word: str) -> str | None:
        """The key of the declared type of this name or singular."""
        declared = self.deps.find_type(word)
        return declared.key if declared else None

    def get_type(self, word: str) -> ContentType:
        """The declared type of this name or singular. Raises ContentNotFound."""
        return self.deps.get_type(word)

    async def look_up(self, subject: Subject, type_: str, key: str, need: Level) -> ObjectWithAccess:
        """An object that the subject may do this much with.

        Raises ContentNotFound for an unknown type, Unauthenticated for anonymous unless the object is PUBLIC,
        ContentNotFound for who may not even view, NotAllowed for who may only do less.
        """
        declared = self.deps.get_type(type_)
        found = await find_object_for(self.deps.db, subject.user_id, declared.key, key) if is_key(key) else None
        return admit(subject, found, need)

    async def list_page(
        self, subject: Subject, type_: str, *, need: Level, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[ObjectWithAccess]:
        """A page of what the subject may do at least this much with. Order: createdAt."""
        wanted = AccessFilter(subject, self.deps.get_type(type_).key, need)
        page = await list_visible(self.deps.db, wanted, order=order, cursor=cursor, limit=limit)
        return page.with_items(
            [ObjectWithAccess(one, combine_level(subject, one.visibility, held)) for one, held in page.items]
        )

    async def get_access(self, one: ContentObject) -> AccessDetails:
        """Who has access to an object. For maintainers: `look_up` first."""
        return AccessDetails(one, await find_holders(self.deps.db, one.id), await self.deps.find_pending(one.id))

    async def check(self, questions: Sequence[AccessQuestion], *, by: Principal) -> list[bool]:
        """The answer to each question, in order. False about what or who does not exist.

        Raises NotAllowed for questions about others without `access:read`. A key, which is no user, has to name one.
        """
        asker = by.id if by.type is ActorType.USER else None
        if not by.can(READ_ACCESS) and (asker is None or any(one.user_id not in {None, asker} for one in questions)):
            raise NotAllowed(READ_ACCESS)
        asked: list[tuple[int, AccessCheck]] = []
        for place, one in enumerate(questions):
            declared, user_id = self.deps.find_type(one.type), one.user_id or asker
            if declared is not None and user_id is not None and is_key(one.key):
                asked.append((place, AccessCheck(user_id, declared.key, one.key)))
        levels = await self._find_levels([question for _, question in asked])
        answers = [False] * len(questions)
        for (place, _), level in zip(asked, levels, strict=True):
            answers[place] = level >= questions[place].need
        return answers

    async def _find_levels(self, questions: Sequence[AccessCheck]) -> list[Level]:
        if not questions:
            return []
        return await check_levels(
            self.deps.db, questions, writing_roles=self.deps.writing_roles, reading_roles=self.deps.reading_roles
        )


def is_key(text: str) -> bool:
    """Whether an object could have this key. What could not is never looked for: PostgreSQL refuses NUL."""
    return text.isascii() and text.isprintable()


def admit(subject: Subject, found: tuple[ContentObject, Level] | None, need: Level) -> ObjectWithAccess:
    """Refuse in the contract's order, or say what the subject may do with the object."""
    level = combine_level(subject, found[0].visibility, found[1]) if found else Level.NONE
    if not subject.is_known and level is Level.NONE:
        raise Unauthenticated("Sign in, or send an API key.")
    if found is None or level is Level.NONE:
        raise ContentNotFound("There is no such object.")
    if level < need:
        raise NotAllowed
    return ObjectWithAccess(found[0], level)
