"""Read objects that a subject has access to, and check levels of access."""

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
from latchstring.storage.content.grants import find_holders
from latchstring.storage.content.objects import find_object_for

CREATE = "content:create"
READ_ACCESS = "access:read"


@dataclass(frozen=True, slots=True)
class AccessDetails:
    """The access to an object as its maintainers see it: users, groups and pending invitations."""

    object: ContentObject
    holders: Holders
    invitations: Sequence[PendingInvitation]


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """Whether a user has this level on the object. user_id: None for the caller."""

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
    """Reads objects that a subject has access to."""

    deps: ContentDependencies

    def find_type(self, word: str) -> str | None:
        """The key of the declared type of this name or singular."""
        declared = self.deps.rules.find_type(word)
        return declared.key if declared else None

    def get_type(self, word: str) -> ContentType:
        """The declared type of this name or singular. Raises ContentNotFound."""
        return self.deps.rules.get_type(word)

    async def look_up(self, subject: Subject, type_: str, key: str, need: Level) -> ObjectWithAccess:
        """An object on which the subject has at least this level.

        Raises ContentNotFound for an unknown type, Unauthenticated for anonymous unless the object is PUBLIC,
        ContentNotFound without any access, NotAllowed for a lower level.
        """
        declared = self.deps.rules.get_type(type_)
        object_and_level = (
            await find_object_for(self.deps.db, subject.user_id, declared.key, key) if is_key(key) else None
        )
        return require_level(subject, object_and_level, need)

    async def list_page(
        self, subject: Subject, type_: str, *, need: Level, order: SortOrder, cursor: Cursor | None = None, limit: int
    ) -> Page[ObjectWithAccess]:
        """A page of the objects on which the subject has at least this level. Order: createdAt."""
        filters = AccessFilter(subject, self.deps.rules.get_type(type_).key, need)
        page = await list_visible(self.deps.db, filters, order=order, cursor=cursor, limit=limit)
        return page.with_items(
            [
                ObjectWithAccess(content, combine_level(subject, content.visibility, level))
                for content, level in page.items
            ]
        )

    async def get_access(self, content: ContentObject) -> AccessDetails:
        """The access to an object. Only for maintainers: call `look_up` first."""
        return AccessDetails(
            content, await find_holders(self.deps.db, content.id), await self.deps.find_pending(content.id)
        )

    async def check(self, questions: Sequence[AccessQuestion], *, by: Principal) -> list[bool]:
        """The answer to each question, in order. False for objects and users that do not exist.

        Raises NotAllowed for questions about other users without `access:read`. An API key must name a user.
        """
        own_id = by.id if by.type is ActorType.USER else None
        allowed_ids = {None, own_id}
        if not by.can(READ_ACCESS) and (own_id is None or any(q.user_id not in allowed_ids for q in questions)):
            raise NotAllowed(READ_ACCESS)
        lookups: list[tuple[int, AccessCheck]] = []
        for index, question in enumerate(questions):
            declared, user_id = self.deps.rules.find_type(question.type), question.user_id or own_id
            if declared is not None and user_id is not None and is_key(question.key):
                lookups.append((index, AccessCheck(user_id, declared.key, question.key)))
        levels = await self._find_levels([lookup for _, lookup in lookups])
        answers = [False] * len(questions)
        for (index, _), level in zip(lookups, levels, strict=True):
            answers[index] = level >= questions[index].need
        return answers

    async def _find_levels(self, questions: Sequence[AccessCheck]) -> list[Level]:
        if not questions:
            return []
        return await check_levels(
            self.deps.db, questions, writing_roles=self.deps.writing_roles, reading_roles=self.deps.reading_roles
        )


def is_key(text: str) -> bool:
    """Whether an object could have this key. Other text is never sent to the database: PostgreSQL refuses NUL."""
    return text.isascii() and text.isprintable()


def require_level(
    subject: Subject, object_and_level: tuple[ContentObject, Level] | None, need: Level
) -> ObjectWithAccess:
    """The object with the subject's level.

    Raises, in the order of the API contract: Unauthenticated, ContentNotFound, NotAllowed.
    """
    level = (
        combine_level(subject, object_and_level[0].visibility, object_and_level[1]) if object_and_level else Level.NONE
    )
    if not subject.is_known and level is Level.NONE:
        raise Unauthenticated("Sign in, or send an API key.")
    if object_and_level is None or level is Level.NONE:
        raise ContentNotFound("There is no such object.")
    if level < need:
        raise NotAllowed
    return ObjectWithAccess(object_and_level[0], level)
