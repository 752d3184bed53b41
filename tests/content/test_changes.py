"""Changes of content objects: events and concurrency."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.service_env import ServiceEnv

from latchstring.content.dependencies import ContentDependencies
from latchstring.content.service import Content, NewAccess, NewObject, subject_of
from latchstring.domain.access import Access, ContentObject, Level, ObjectWithAccess, SubjectKind, Visibility
from latchstring.domain.account import User
from latchstring.domain.errors import (
    ContentChanged,
    ContentNotFound,
    GroupNotFound,
    LatchstringError,
    NotAllowed,
    OwnsContent,
    UserNotFound,
)
from latchstring.domain.grant import ContentRole
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal
from latchstring.domain.settings import ContentRules, ContentType
from latchstring.storage.content.grants import grant_access, load_access
from latchstring.storage.content.objects import lock_objects
from latchstring.storage.engine.database import Work
from latchstring.storage.engine.tables import content, content_grants, events, group_members, groups, users

ROUNDS = 12
RULES = ContentRules(types={"articles": ContentType("articles", "Articles", "article")})


def any_version(_content: ContentObject) -> bool:
    return True


@dataclass
class ContentEnv:
    service_env: ServiceEnv
    content: Content
    owner: User

    def as_(self, user: User) -> Principal:
        return self.service_env.users.principal_of(user)

    async def create(self, **fields: Any) -> ContentObject:
        new = NewObject(**{"title": "One", "owner_id": self.owner.id, **fields})
        return (await self.content.create("articles", new, by=OPERATOR_PRINCIPAL)).object

    async def share(self, article: ContentObject, by: User | None = None, **access: Any) -> ObjectWithAccess:
        new = NewAccess(**{"visibility": Visibility.SHARED, **access})
        return await self.content.replace_access(article, new, by=self.as_(by or self.owner))

    async def grant(self, article: ContentObject, user: User, role: ContentRole) -> None:
        """Grant a role like an acceptance does."""

        def work() -> Work[None]:
            if article.id not in (yield from lock_objects([article.id])):
                raise ContentNotFound
            dialect = self.service_env.db.dialect_name
            yield from grant_access(dialect, article.id, article.type, user.id, SubjectKind.USER, role)

        await self.service_env.db.transact(work)

    async def access(self, article: ContentObject) -> Access:
        return (await self.service_env.db.transact(lambda: load_access([article.id])))[article.id]

    async def level(self, user: User, article: ContentObject) -> Level:
        try:
            return (await self.content.look_up(self.subject(user), article.type, article.key, Level.VIEWER)).level
        except ContentNotFound:
            return Level.NONE

    def subject(self, user: User) -> Any:
        return subject_of(self.as_(user))

    async def history(self, article: ContentObject) -> list[tuple[str, Mapping[str, Any]]]:
        chosen = select(events.c.type, events.c.data).where(events.c.subject_id == article.id).order_by(events.c.id)
        return [(row.type, row.data) for row in await self.service_env.db.fetch(chosen)]

    async def assert_consistent(self) -> None:
        """Every owner and every subject of a grant exists; SHARED objects have grants and PRIVATE ones do not."""
        known = {row.id for row in await self.service_env.db.fetch(select(users.c.id))}
        teams = {row.id for row in await self.service_env.db.fetch(select(groups.c.id))}
        given = await self.service_env.db.fetch(select(content_grants.c.content_id, content_grants.c.subject_id))
        assert {row.subject_id for row in given} <= known | teams
        for row in await self.service_env.db.fetch(select(content.c.id, content.c.owner_id, content.c.visibility)):
            assert row.owner_id in known
            has_grant = row.id in {grant.content_id for grant in given}
            if row.visibility != Visibility.PUBLIC:
                assert (row.visibility == Visibility.SHARED) == has_grant


@pytest.fixture
async def content_env(service_env: ServiceEnv) -> ContentEnv:
    content_service = Content.build(
        ContentDependencies(db=service_env.db, clock=service_env.clock, rules=RULES, roles={})
    )
    return ContentEnv(service_env, content_service, await service_env.user(None))


async def run_at_once(*calls: Awaitable[Any]) -> list[LatchstringError | None]:
    """Run all calls at once; returns the error of each. Raises anything but a domain error."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for article in results:
        if isinstance(article, BaseException) and not isinstance(article, LatchstringError):
            raise article
    return [article if isinstance(article, LatchstringError) else None for article in results]


# ---- events ----------------------------------------------------------------------------------------------------------


async def test_every_change_of_an_object_is_recorded(content_env: ContentEnv) -> None:
    article, friend = await content_env.create(), await content_env.service_env.user(None)
    team = await content_env.service_env.group("team")
    owner = content_env.as_(content_env.owner)
    await content_env.content.change(article, {"title": "Two", "data": None}, is_expected=any_version, by=owner)
    await content_env.share(article, users={friend.id: ContentRole.EDITOR}, groups={"team": ContentRole.VIEWER})
    await content_env.share(article, users={friend.id: ContentRole.VIEWER})
    await content_env.content.change_owner(article, friend.id, by=owner)
    await content_env.content.delete(article, is_expected=any_version, by=content_env.as_(friend))
    granted = {str(friend.id): "EDITOR", str(team.id): "VIEWER"}
    assert await content_env.history(article) == [
        ("content.created", {"type": "articles", "key": "one", "ownerId": str(content_env.owner.id)}),
        ("content.updated", {"fields": ["title"]}),
        ("content.access_changed", {"visibility": "SHARED", "granted": granted, "withdrawn": []}),
        (
            "content.access_changed",
            {"visibility": "SHARED", "granted": {str(friend.id): "VIEWER"}, "withdrawn": [str(team.id)]},
        ),
        ("content.owner_changed", {"from": str(content_env.owner.id), "to": str(friend.id)}),
        ("content.deleted", {"type": "articles", "key": "one"}),
    ]


async def test_the_transfer_at_an_erasure_is_recorded(content_env: ContentEnv) -> None:
    article, new_owner = await content_env.create(), await content_env.service_env.user(None)
    with pytest.raises(OwnsContent):
        await content_env.service_env.users.erase(content_env.owner.id, by=OPERATOR_PRINCIPAL)
    assert len(await content_env.history(article)) == 1
    await content_env.service_env.users.erase(content_env.owner.id, new_owner_id=new_owner.id, by=OPERATOR_PRINCIPAL)
    facts = {"from": str(content_env.owner.id), "to": str(new_owner.id), "cause": "person-erased"}
    assert (await content_env.history(article))[-1] == ("content.owner_changed", facts)
    assert await content_env.level(new_owner, article) is Level.OWNER


# ---- concurrency -----------------------------------------------------------------------------------------------------


async def test_changes_of_different_fields_at_once_lose_nothing(content_env: ContentEnv) -> None:
    owner = content_env.as_(content_env.owner)
    for round_ in range(ROUNDS):
        article = await content_env.create()
        changes: list[dict[str, Any]] = [{"title": f"T{round_}"}, {"url": "https://a.test/x"}, {"data": {"n": round_}}]
        await asyncio.gather(
            *(content_env.content.change(article, change, is_expected=any_version, by=owner) for change in changes)
        )
        seen = await content_env.content.look_up(
            content_env.subject(content_env.owner), "articles", article.key, Level.VIEWER
        )
        current = seen.object
        assert (current.title, current.url, current.data) == (f"T{round_}", "https://a.test/x", {"n": round_})
        assert current.version == 4


async def test_of_changes_of_one_version_at_once_one_succeeds(content_env: ContentEnv) -> None:
    owner = content_env.as_(content_env.owner)
    for _ in range(ROUNDS):
        article = await content_env.create()
        calls = (
            content_env.content.change(
                article, {"title": title}, is_expected=lambda current: current.version == 1, by=owner
            )
            for title in ("a", "b", "c")
        )
        results = await run_at_once(*calls)
        assert [type(error) for error in results if error] == [ContentChanged] * 2


async def test_of_two_replacements_of_access_at_once_one_remains(content_env: ContentEnv) -> None:
    first, second = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        article = await content_env.create()
        await asyncio.gather(
            content_env.share(article, users={first.id: ContentRole.EDITOR}),
            content_env.share(article, users={second.id: ContentRole.VIEWER}),
        )
        grants = dict((await content_env.access(article)).grants)
        assert grants in ({first.id: ContentRole.EDITOR}, {second.id: ContentRole.VIEWER})
    await content_env.assert_consistent()


async def test_accept_and_private_at_once_are_consistent(content_env: ContentEnv) -> None:
    friend = await content_env.service_env.user(None)
    for _ in range(ROUNDS * 2):
        article = await content_env.create()
        await asyncio.gather(
            content_env.grant(article, friend, ContentRole.EDITOR),
            content_env.share(article, visibility=Visibility.PRIVATE),
        )
        access = await content_env.access(article)
        closed_last = (access.visibility, dict(access.grants)) == (Visibility.PRIVATE, {})
        given_last = (access.visibility, dict(access.grants)) == (Visibility.SHARED, {friend.id: ContentRole.EDITOR})
        assert closed_last or given_last


async def test_accept_and_replacement_at_once_are_consistent(content_env: ContentEnv) -> None:
    friend, other = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        article = await content_env.create()
        await asyncio.gather(
            content_env.grant(article, friend, ContentRole.EDITOR),
            content_env.share(article, users={other.id: ContentRole.VIEWER}),
        )
        grants = dict((await content_env.access(article)).grants)
        assert grants in (
            {other.id: ContentRole.VIEWER},
            {other.id: ContentRole.VIEWER, friend.id: ContentRole.EDITOR},
        )


async def test_many_accepts_at_once_all_succeed(content_env: ContentEnv) -> None:
    friends = [await content_env.service_env.user(None) for _ in range(6)]
    for _ in range(4):
        article = await content_env.create()
        await asyncio.gather(*(content_env.grant(article, friend, ContentRole.VIEWER) for friend in friends))
        access = await content_env.access(article)
        assert access.grants.keys() == {friend.id for friend in friends}
        assert access.visibility is Visibility.SHARED


async def test_transfer_and_share_at_once_lose_nothing(content_env: ContentEnv) -> None:
    new_owner, friend = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        article = await content_env.create()
        results = await run_at_once(
            content_env.content.change_owner(article, new_owner.id, by=content_env.as_(content_env.owner)),
            content_env.share(article, users={friend.id: ContentRole.EDITOR}),
        )
        assert results == [None, None]
        access = await content_env.access(article)
        assert access.owner_id == new_owner.id
        # shared first: the previous owner was added. Shared later, by the previous owner as maintainer: not in the list
        assert dict(access.grants) in (
            {friend.id: ContentRole.EDITOR, content_env.owner.id: ContentRole.MAINTAINER},
            {friend.id: ContentRole.EDITOR},
        )
    await content_env.assert_consistent()


async def test_of_two_transfers_at_once_one_succeeds(content_env: ContentEnv) -> None:
    first, second = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        article = await content_env.create()
        owner = content_env.as_(content_env.owner)
        results = await run_at_once(
            *(content_env.content.change_owner(article, new_owner.id, by=owner) for new_owner in (first, second))
        )
        assert [type(error) for error in results if error] == [NotAllowed]
        new_owner = first if results[0] is None else second
        access = await content_env.access(article)
        assert (access.owner_id, dict(access.grants)) == (new_owner.id, {content_env.owner.id: ContentRole.MAINTAINER})


async def test_delete_and_changes_at_once_leave_nothing_behind(content_env: ContentEnv) -> None:
    friend = await content_env.service_env.user(None)
    owner = content_env.as_(content_env.owner)
    for _ in range(ROUNDS):
        article = await content_env.create()
        results = await run_at_once(
            content_env.content.delete(article, is_expected=any_version, by=owner),
            content_env.grant(article, friend, ContentRole.EDITOR),
            content_env.share(article, users={friend.id: ContentRole.VIEWER}),
            content_env.content.change(article, {"title": "x"}, is_expected=any_version, by=owner),
        )
        assert results[0] is None
        assert all(error is None or isinstance(error, ContentNotFound) for error in results[1:])
        assert not await content_env.service_env.db.fetch(select(content.c.id).where(content.c.id == article.id))
    await content_env.assert_consistent()


async def test_erasure_and_share_at_once_leave_no_grant(content_env: ContentEnv) -> None:
    for _ in range(ROUNDS):
        article, friend = await content_env.create(), await content_env.service_env.user(None)
        results = await run_at_once(
            content_env.share(article, users={friend.id: ContentRole.EDITOR}),
            content_env.service_env.users.erase(friend.id, by=OPERATOR_PRINCIPAL),
        )
        assert results[0] is None or isinstance(results[0], UserNotFound)
        assert results[1] is None
        await content_env.assert_consistent()


async def test_erasure_and_transfer_at_once_leave_no_owner_missing(content_env: ContentEnv) -> None:
    for _ in range(ROUNDS):
        article, friend = await content_env.create(), await content_env.service_env.user(None)
        results = await run_at_once(
            content_env.content.change_owner(article, friend.id, by=content_env.as_(content_env.owner)),
            content_env.create(owner_id=friend.id),
            content_env.service_env.users.erase(friend.id, by=OPERATOR_PRINCIPAL),
        )
        gone = results[2] is None
        assert gone or isinstance(results[2], OwnsContent)
        assert [isinstance(error, UserNotFound) for error in results[:2]] == [gone, gone] or not gone
        await content_env.assert_consistent()


async def test_group_deletion_and_share_at_once_leave_no_grant(content_env: ContentEnv) -> None:
    for round_ in range(ROUNDS):
        article = await content_env.create()
        await content_env.service_env.group(f"team{round_}")
        results = await run_at_once(
            content_env.share(article, groups={f"team{round_}": ContentRole.EDITOR}),
            content_env.service_env.groups.delete(f"team{round_}", by=OPERATOR_PRINCIPAL),
        )
        assert results[0] is None or isinstance(results[0], GroupNotFound)
        assert results[1] is None
        await content_env.assert_consistent()
    assert not await content_env.service_env.db.fetch(select(group_members.c.user_id))


async def test_erasures_with_each_other_as_new_owner_do_not_deadlock(content_env: ContentEnv) -> None:
    for _ in range(6):
        first, second = await content_env.service_env.user(None), await content_env.service_env.user(None)
        for owner in (first, second):
            await content_env.create(owner_id=owner.id)
        results = await run_at_once(
            content_env.service_env.users.erase(first.id, new_owner_id=second.id, by=OPERATOR_PRINCIPAL),
            content_env.service_env.users.erase(second.id, new_owner_id=first.id, by=OPERATOR_PRINCIPAL),
        )
        assert [error for error in results if error is None] == [None]
        await content_env.assert_consistent()


async def test_equal_titles_at_once_get_different_keys(content_env: ContentEnv) -> None:
    created = await asyncio.gather(*(content_env.create(title="Schöne Grüße") for _ in range(10)))
    assert len({article.key for article in created}) == 10
    assert all(article.key.startswith("schone-grusse") for article in created)
