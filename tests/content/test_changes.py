"""Content as a service: history, and what holds when two act at once."""

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
from latchstring.storage.content.objects import grant_access, load_access, lock_objects
from latchstring.storage.engine.database import Work
from latchstring.storage.engine.tables import content, content_grants, events, group_members, groups, users

ROUNDS = 12
RULES = ContentRules(types={"articles": ContentType("articles", "Articles", "article")})


def anything(_one: ContentObject) -> bool:
    return True


@dataclass
class ContentEnv:
    service_env: ServiceEnv
    content: Content
    owner: User

    def as_(self, user: User) -> Principal:
        return self.service_env.users.principal_of(user)

    async def make(self, **fields: Any) -> ContentObject:
        new = NewObject(**{"title": "One", "owner_id": self.owner.id, **fields})
        return (await self.content.create("articles", new, by=OPERATOR_PRINCIPAL)).object

    async def share(self, one: ContentObject, by: User | None = None, **access: Any) -> ObjectWithAccess:
        new = NewAccess(**{"visibility": Visibility.SHARED, **access})
        return await self.content.replace_access(one, new, by=self.as_(by or self.owner))

    async def give(self, one: ContentObject, user: User, role: ContentRole) -> None:
        """What accepting an invitation does."""

        def work() -> Work[None]:
            if one.id not in (yield from lock_objects([one.id])):
                raise ContentNotFound
            dialect = self.service_env.db.dialect_name
            yield from grant_access(dialect, one.id, one.type, user.id, SubjectKind.USER, role)

        await self.service_env.db.transact(work)

    async def access(self, one: ContentObject) -> Access:
        return (await self.service_env.db.transact(lambda: load_access([one.id])))[one.id]

    async def level(self, user: User, one: ContentObject) -> Level:
        try:
            return (await self.content.look_up(self.subject(user), one.type, one.key, Level.VIEWER)).level
        except ContentNotFound:
            return Level.NONE

    def subject(self, user: User) -> Any:
        return subject_of(self.as_(user))

    async def history(self, one: ContentObject) -> list[tuple[str, Mapping[str, Any]]]:
        chosen = select(events.c.type, events.c.data).where(events.c.subject_id == one.id).order_by(events.c.id)
        return [(row.type, row.data) for row in await self.service_env.db.fetch(chosen)]

    async def nothing_dangles(self) -> None:
        """Every owner and every holder of a grant exists; PRIVATE and SHARED say whether there is a grant."""
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
    room = Content.build(ContentDependencies(db=service_env.db, clock=service_env.clock, rules=RULES, roles={}))
    return ContentEnv(service_env, room, await service_env.user(None))


async def settle(*calls: Awaitable[Any]) -> list[LatchstringError | None]:
    """How each ended when all ran at once. Anything but a refusal of ours is a bug."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException) and not isinstance(one, LatchstringError):
            raise one
    return [one if isinstance(one, LatchstringError) else None for one in ended]


# ---- history ---------------------------------------------------------------------------------------------------------


async def test_history_tells_what_became_of_an_object(content_env: ContentEnv) -> None:
    one, friend = await content_env.make(), await content_env.service_env.user(None)
    team = await content_env.service_env.group("team")
    owner = content_env.as_(content_env.owner)
    await content_env.content.change(one, {"title": "Two", "data": None}, is_expected=anything, by=owner)
    await content_env.share(one, users={friend.id: ContentRole.EDITOR}, groups={"team": ContentRole.VIEWER})
    await content_env.share(one, users={friend.id: ContentRole.VIEWER})
    await content_env.content.change_owner(one, friend.id, by=owner)
    await content_env.content.delete(one, is_expected=anything, by=content_env.as_(friend))
    granted = {str(friend.id): "EDITOR", str(team.id): "VIEWER"}
    assert await content_env.history(one) == [
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


async def test_who_is_erased_leaves_a_trace_of_the_handing_over(content_env: ContentEnv) -> None:
    one, heir = await content_env.make(), await content_env.service_env.user(None)
    with pytest.raises(OwnsContent):
        await content_env.service_env.users.erase(content_env.owner.id, by=OPERATOR_PRINCIPAL)
    assert len(await content_env.history(one)) == 1
    await content_env.service_env.users.erase(content_env.owner.id, new_owner_id=heir.id, by=OPERATOR_PRINCIPAL)
    facts = {"from": str(content_env.owner.id), "to": str(heir.id), "cause": "person-erased"}
    assert (await content_env.history(one))[-1] == ("content.owner_changed", facts)
    assert await content_env.level(heir, one) is Level.OWNER


# ---- two at once -----------------------------------------------------------------------------------------------------


async def test_changes_of_different_fields_at_once_lose_nothing(content_env: ContentEnv) -> None:
    owner = content_env.as_(content_env.owner)
    for round_ in range(ROUNDS):
        one = await content_env.make()
        changes: list[dict[str, Any]] = [{"title": f"T{round_}"}, {"url": "https://a.test/x"}, {"data": {"n": round_}}]
        await asyncio.gather(
            *(content_env.content.change(one, change, is_expected=anything, by=owner) for change in changes)
        )
        seen = await content_env.content.look_up(
            content_env.subject(content_env.owner), "articles", one.key, Level.VIEWER
        )
        found = seen.object
        assert (found.title, found.url, found.data) == (f"T{round_}", "https://a.test/x", {"n": round_})
        assert found.version == 4


async def test_of_two_who_change_one_version_one_is_told(content_env: ContentEnv) -> None:
    owner = content_env.as_(content_env.owner)
    for _ in range(ROUNDS):
        one = await content_env.make()
        calls = (
            content_env.content.change(one, {"title": title}, is_expected=lambda found: found.version == 1, by=owner)
            for title in ("a", "b", "c")
        )
        ended = await settle(*calls)
        assert [type(error) for error in ended if error] == [ContentChanged] * 2


async def test_two_replacements_of_access_at_once_leave_one_of_both(content_env: ContentEnv) -> None:
    first, second = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        one = await content_env.make()
        await asyncio.gather(
            content_env.share(one, users={first.id: ContentRole.EDITOR}),
            content_env.share(one, users={second.id: ContentRole.VIEWER}),
        )
        grants = dict((await content_env.access(one)).grants)
        assert grants in ({first.id: ContentRole.EDITOR}, {second.id: ContentRole.VIEWER})
    await content_env.nothing_dangles()


async def test_accepting_and_closing_at_once_end_in_one_order_or_the_other(content_env: ContentEnv) -> None:
    friend = await content_env.service_env.user(None)
    for _ in range(ROUNDS * 2):
        one = await content_env.make()
        await asyncio.gather(
            content_env.give(one, friend, ContentRole.EDITOR), content_env.share(one, visibility=Visibility.PRIVATE)
        )
        access = await content_env.access(one)
        closed_last = (access.visibility, dict(access.grants)) == (Visibility.PRIVATE, {})
        given_last = (access.visibility, dict(access.grants)) == (Visibility.SHARED, {friend.id: ContentRole.EDITOR})
        assert closed_last or given_last


async def test_accepting_and_replacing_at_once_end_in_one_order_or_the_other(content_env: ContentEnv) -> None:
    friend, other = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        one = await content_env.make()
        await asyncio.gather(
            content_env.give(one, friend, ContentRole.EDITOR),
            content_env.share(one, users={other.id: ContentRole.VIEWER}),
        )
        grants = dict((await content_env.access(one)).grants)
        assert grants in (
            {other.id: ContentRole.VIEWER},
            {other.id: ContentRole.VIEWER, friend.id: ContentRole.EDITOR},
        )


async def test_many_who_accept_at_once_all_get_in(content_env: ContentEnv) -> None:
    friends = [await content_env.service_env.user(None) for _ in range(6)]
    for _ in range(4):
        one = await content_env.make()
        await asyncio.gather(*(content_env.give(one, friend, ContentRole.VIEWER) for friend in friends))
        access = await content_env.access(one)
        assert access.grants.keys() == {friend.id for friend in friends}
        assert access.visibility is Visibility.SHARED


async def test_handing_over_and_sharing_at_once_lose_nothing(content_env: ContentEnv) -> None:
    heir, friend = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        one = await content_env.make()
        ended = await settle(
            content_env.content.change_owner(one, heir.id, by=content_env.as_(content_env.owner)),
            content_env.share(one, users={friend.id: ContentRole.EDITOR}),
        )
        assert ended == [None, None]
        access = await content_env.access(one)
        assert access.owner_id == heir.id
        # shared before: the old owner was added. shared after, by the old owner as maintainer: he left himself out
        assert dict(access.grants) in (
            {friend.id: ContentRole.EDITOR, content_env.owner.id: ContentRole.MAINTAINER},
            {friend.id: ContentRole.EDITOR},
        )
    await content_env.nothing_dangles()


async def test_of_two_heirs_at_once_one_inherits(content_env: ContentEnv) -> None:
    first, second = await content_env.service_env.user(None), await content_env.service_env.user(None)
    for _ in range(ROUNDS):
        one = await content_env.make()
        owner = content_env.as_(content_env.owner)
        ended = await settle(*(content_env.content.change_owner(one, heir.id, by=owner) for heir in (first, second)))
        assert [type(error) for error in ended if error] == [NotAllowed]
        heir = first if ended[0] is None else second
        access = await content_env.access(one)
        assert (access.owner_id, dict(access.grants)) == (heir.id, {content_env.owner.id: ContentRole.MAINTAINER})


async def test_removing_and_changing_at_once_leave_nothing_behind(content_env: ContentEnv) -> None:
    friend = await content_env.service_env.user(None)
    owner = content_env.as_(content_env.owner)
    for _ in range(ROUNDS):
        one = await content_env.make()
        ended = await settle(
            content_env.content.delete(one, is_expected=anything, by=owner),
            content_env.give(one, friend, ContentRole.EDITOR),
            content_env.share(one, users={friend.id: ContentRole.VIEWER}),
            content_env.content.change(one, {"title": "x"}, is_expected=anything, by=owner),
        )
        assert ended[0] is None
        assert all(error is None or isinstance(error, ContentNotFound) for error in ended[1:])
        assert not await content_env.service_env.db.fetch(select(content.c.id).where(content.c.id == one.id))
    await content_env.nothing_dangles()


async def test_who_is_erased_while_something_is_shared_with_him_keeps_nothing(content_env: ContentEnv) -> None:
    for _ in range(ROUNDS):
        one, friend = await content_env.make(), await content_env.service_env.user(None)
        ended = await settle(
            content_env.share(one, users={friend.id: ContentRole.EDITOR}),
            content_env.service_env.users.erase(friend.id, by=OPERATOR_PRINCIPAL),
        )
        assert ended[0] is None or isinstance(ended[0], UserNotFound)
        assert ended[1] is None
        await content_env.nothing_dangles()


async def test_who_is_erased_while_he_is_given_an_object_owns_nothing(content_env: ContentEnv) -> None:
    for _ in range(ROUNDS):
        one, friend = await content_env.make(), await content_env.service_env.user(None)
        ended = await settle(
            content_env.content.change_owner(one, friend.id, by=content_env.as_(content_env.owner)),
            content_env.make(owner_id=friend.id),
            content_env.service_env.users.erase(friend.id, by=OPERATOR_PRINCIPAL),
        )
        gone = ended[2] is None
        assert gone or isinstance(ended[2], OwnsContent)
        assert [isinstance(error, UserNotFound) for error in ended[:2]] == [gone, gone] or not gone
        await content_env.nothing_dangles()


async def test_a_group_that_goes_while_something_is_shared_with_it_keeps_nothing(content_env: ContentEnv) -> None:
    for round_ in range(ROUNDS):
        one = await content_env.make()
        await content_env.service_env.group(f"team{round_}")
        ended = await settle(
            content_env.share(one, groups={f"team{round_}": ContentRole.EDITOR}),
            content_env.service_env.groups.delete(f"team{round_}", by=OPERATOR_PRINCIPAL),
        )
        assert ended[0] is None or isinstance(ended[0], GroupNotFound)
        assert ended[1] is None
        await content_env.nothing_dangles()
    assert not await content_env.service_env.db.fetch(select(group_members.c.user_id))


async def test_two_who_erase_each_other_s_heirs_do_not_block(content_env: ContentEnv) -> None:
    for _ in range(6):
        first, second = await content_env.service_env.user(None), await content_env.service_env.user(None)
        for owner in (first, second):
            await content_env.make(owner_id=owner.id)
        ended = await settle(
            content_env.service_env.users.erase(first.id, new_owner_id=second.id, by=OPERATOR_PRINCIPAL),
            content_env.service_env.users.erase(second.id, new_owner_id=first.id, by=OPERATOR_PRINCIPAL),
        )
        assert [error for error in ended if error is None] == [None]
        await content_env.nothing_dangles()


async def test_one_title_many_times_at_once_makes_as_many_keys(content_env: ContentEnv) -> None:
    made = await asyncio.gather(*(content_env.make(title="Schöne Grüße") for _ in range(10)))
    assert len({one.key for one in made}) == 10
    assert all(one.key.startswith("schone-grusse") for one in made)
