"""Content as a service: history, and what holds when two act at once."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.service_env import World

from latchstring.content.service import Content, NewAccess, NewObject
from latchstring.domain.access import Access, ContentObject, Level, Seen, SubjectKind, Visibility
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
class Stage:
    world: World
    content: Content
    owner: User

    def as_(self, user: User) -> Principal:
        return self.world.users.principal_of(user)

    async def make(self, **fields: Any) -> ContentObject:
        new = NewObject(**{"title": "One", "owner_id": self.owner.id, **fields})
        return (await self.content.create_object(OPERATOR_PRINCIPAL, "articles", new)).object

    async def share(self, one: ContentObject, by: User | None = None, **access: Any) -> Seen:
        new = NewAccess(**{"visibility": Visibility.SHARED, **access})
        return await self.content.replace_access(self.as_(by or self.owner), one, new)

    async def give(self, one: ContentObject, user: User, role: ContentRole) -> None:
        """What accepting an invitation does."""

        def work() -> Work[None]:
            if one.id not in (yield from lock_objects([one.id])):
                raise ContentNotFound
            dialect = self.world.db.dialect_name
            yield from grant_access(dialect, one.id, one.type, user.id, SubjectKind.USER, role)

        await self.world.db.transact(work)

    async def access(self, one: ContentObject) -> Access:
        return (await self.world.db.transact(lambda: load_access([one.id])))[one.id]

    async def level(self, user: User, one: ContentObject) -> Level:
        try:
            return (await self.content.look_up(self.subject(user), one.type, one.key, Level.VIEWER)).level
        except ContentNotFound:
            return Level.NONE

    def subject(self, user: User) -> Any:
        return self.content.subject_of(self.as_(user))

    async def history(self, one: ContentObject) -> list[tuple[str, Mapping[str, Any]]]:
        chosen = select(events.c.type, events.c.data).where(events.c.subject_id == one.id).order_by(events.c.id)
        return [(row.type, row.data) for row in await self.world.db.fetch(chosen)]

    async def nothing_dangles(self) -> None:
        """Every owner and every holder of a grant exists; PRIVATE and SHARED say whether there is a grant."""
        known = {row.id for row in await self.world.db.fetch(select(users.c.id))}
        teams = {row.id for row in await self.world.db.fetch(select(groups.c.id))}
        given = await self.world.db.fetch(select(content_grants.c.content_id, content_grants.c.subject_id))
        assert {row.subject_id for row in given} <= known | teams
        for row in await self.world.db.fetch(select(content.c.id, content.c.owner_id, content.c.visibility)):
            assert row.owner_id in known
            has_grant = row.id in {grant.content_id for grant in given}
            if row.visibility != Visibility.PUBLIC:
                assert (row.visibility == Visibility.SHARED) == has_grant


@pytest.fixture
async def stage(world: World) -> Stage:
    room = Content(db=world.db, clock=world.clock, rules=RULES, roles={})
    return Stage(world, room, await world.user(None))


async def settle(*calls: Awaitable[Any]) -> list[LatchstringError | None]:
    """How each ended when all ran at once. Anything but a refusal of ours is a bug."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException) and not isinstance(one, LatchstringError):
            raise one
    return [one if isinstance(one, LatchstringError) else None for one in ended]


# ---- history ---------------------------------------------------------------------------------------------------------


async def test_history_tells_what_became_of_an_object(stage: Stage) -> None:
    one, friend = await stage.make(), await stage.world.user(None)
    team = await stage.world.group("team")
    owner = stage.as_(stage.owner)
    await stage.content.change_object(owner, one, {"title": "Two", "data": None}, is_expected=anything)
    await stage.share(one, users={friend.id: ContentRole.EDITOR}, groups={"team": ContentRole.VIEWER})
    await stage.share(one, users={friend.id: ContentRole.VIEWER})
    await stage.content.change_owner(owner, one, friend.id)
    await stage.content.delete_object(stage.as_(friend), one, is_expected=anything)
    granted = {str(friend.id): "EDITOR", str(team.id): "VIEWER"}
    assert await stage.history(one) == [
        ("content.created", {"type": "articles", "key": "one", "ownerId": str(stage.owner.id)}),
        ("content.updated", {"fields": ["title"]}),
        ("content.access_changed", {"visibility": "SHARED", "granted": granted, "withdrawn": []}),
        (
            "content.access_changed",
            {"visibility": "SHARED", "granted": {str(friend.id): "VIEWER"}, "withdrawn": [str(team.id)]},
        ),
        ("content.owner_changed", {"from": str(stage.owner.id), "to": str(friend.id)}),
        ("content.deleted", {"type": "articles", "key": "one"}),
    ]


async def test_who_is_erased_leaves_a_trace_of_the_handing_over(stage: Stage) -> None:
    one, heir = await stage.make(), await stage.world.user(None)
    with pytest.raises(OwnsContent):
        await stage.world.users.erase_user(OPERATOR_PRINCIPAL, stage.owner.id)
    assert len(await stage.history(one)) == 1
    await stage.world.users.erase_user(OPERATOR_PRINCIPAL, stage.owner.id, new_owner_id=heir.id)
    facts = {"from": str(stage.owner.id), "to": str(heir.id), "cause": "person-erased"}
    assert (await stage.history(one))[-1] == ("content.owner_changed", facts)
    assert await stage.level(heir, one) is Level.OWNER


# ---- two at once -----------------------------------------------------------------------------------------------------


async def test_changes_of_different_fields_at_once_lose_nothing(stage: Stage) -> None:
    owner = stage.as_(stage.owner)
    for round_ in range(ROUNDS):
        one = await stage.make()
        changes: list[dict[str, Any]] = [{"title": f"T{round_}"}, {"url": "https://a.test/x"}, {"data": {"n": round_}}]
        await asyncio.gather(
            *(stage.content.change_object(owner, one, change, is_expected=anything) for change in changes)
        )
        seen = await stage.content.look_up(stage.subject(stage.owner), "articles", one.key, Level.VIEWER)
        found = seen.object
        assert (found.title, found.url, found.data) == (f"T{round_}", "https://a.test/x", {"n": round_})
        assert found.version == 4


async def test_of_two_who_change_one_version_one_is_told(stage: Stage) -> None:
    owner = stage.as_(stage.owner)
    for _ in range(ROUNDS):
        one = await stage.make()
        calls = (
            stage.content.change_object(owner, one, {"title": title}, is_expected=lambda found: found.version == 1)
            for title in ("a", "b", "c")
        )
        ended = await settle(*calls)
        assert [type(error) for error in ended if error] == [ContentChanged] * 2


async def test_two_replacements_of_access_at_once_leave_one_of_both(stage: Stage) -> None:
    first, second = await stage.world.user(None), await stage.world.user(None)
    for _ in range(ROUNDS):
        one = await stage.make()
        await asyncio.gather(
            stage.share(one, users={first.id: ContentRole.EDITOR}),
            stage.share(one, users={second.id: ContentRole.VIEWER}),
        )
        grants = dict((await stage.access(one)).grants)
        assert grants in ({first.id: ContentRole.EDITOR}, {second.id: ContentRole.VIEWER})
    await stage.nothing_dangles()


async def test_accepting_and_closing_at_once_end_in_one_order_or_the_other(stage: Stage) -> None:
    friend = await stage.world.user(None)
    for _ in range(ROUNDS * 2):
        one = await stage.make()
        await asyncio.gather(
            stage.give(one, friend, ContentRole.EDITOR), stage.share(one, visibility=Visibility.PRIVATE)
        )
        access = await stage.access(one)
        closed_last = (access.visibility, dict(access.grants)) == (Visibility.PRIVATE, {})
        given_last = (access.visibility, dict(access.grants)) == (Visibility.SHARED, {friend.id: ContentRole.EDITOR})
        assert closed_last or given_last


async def test_accepting_and_replacing_at_once_end_in_one_order_or_the_other(stage: Stage) -> None:
    friend, other = await stage.world.user(None), await stage.world.user(None)
    for _ in range(ROUNDS):
        one = await stage.make()
        await asyncio.gather(
            stage.give(one, friend, ContentRole.EDITOR), stage.share(one, users={other.id: ContentRole.VIEWER})
        )
        grants = dict((await stage.access(one)).grants)
        assert grants in (
            {other.id: ContentRole.VIEWER},
            {other.id: ContentRole.VIEWER, friend.id: ContentRole.EDITOR},
        )


async def test_many_who_accept_at_once_all_get_in(stage: Stage) -> None:
    friends = [await stage.world.user(None) for _ in range(6)]
    for _ in range(4):
        one = await stage.make()
        await asyncio.gather(*(stage.give(one, friend, ContentRole.VIEWER) for friend in friends))
        access = await stage.access(one)
        assert access.grants.keys() == {friend.id for friend in friends}
        assert access.visibility is Visibility.SHARED


async def test_handing_over_and_sharing_at_once_lose_nothing(stage: Stage) -> None:
    heir, friend = await stage.world.user(None), await stage.world.user(None)
    for _ in range(ROUNDS):
        one = await stage.make()
        ended = await settle(
            stage.content.change_owner(stage.as_(stage.owner), one, heir.id),
            stage.share(one, users={friend.id: ContentRole.EDITOR}),
        )
        assert ended == [None, None]
        access = await stage.access(one)
        assert access.owner_id == heir.id
        # shared before: the old owner was added. shared after, by the old owner as maintainer: he left himself out
        assert dict(access.grants) in (
            {friend.id: ContentRole.EDITOR, stage.owner.id: ContentRole.MAINTAINER},
            {friend.id: ContentRole.EDITOR},
        )
    await stage.nothing_dangles()


async def test_of_two_heirs_at_once_one_inherits(stage: Stage) -> None:
    first, second = await stage.world.user(None), await stage.world.user(None)
    for _ in range(ROUNDS):
        one = await stage.make()
        owner = stage.as_(stage.owner)
        ended = await settle(*(stage.content.change_owner(owner, one, heir.id) for heir in (first, second)))
        assert [type(error) for error in ended if error] == [NotAllowed]
        heir = first if ended[0] is None else second
        access = await stage.access(one)
        assert (access.owner_id, dict(access.grants)) == (heir.id, {stage.owner.id: ContentRole.MAINTAINER})


async def test_removing_and_changing_at_once_leave_nothing_behind(stage: Stage) -> None:
    friend = await stage.world.user(None)
    owner = stage.as_(stage.owner)
    for _ in range(ROUNDS):
        one = await stage.make()
        ended = await settle(
            stage.content.delete_object(owner, one, is_expected=anything),
            stage.give(one, friend, ContentRole.EDITOR),
            stage.share(one, users={friend.id: ContentRole.VIEWER}),
            stage.content.change_object(owner, one, {"title": "x"}, is_expected=anything),
        )
        assert ended[0] is None
        assert all(error is None or isinstance(error, ContentNotFound) for error in ended[1:])
        assert not await stage.world.db.fetch(select(content.c.id).where(content.c.id == one.id))
    await stage.nothing_dangles()


async def test_who_is_erased_while_something_is_shared_with_him_keeps_nothing(stage: Stage) -> None:
    for _ in range(ROUNDS):
        one, friend = await stage.make(), await stage.world.user(None)
        ended = await settle(
            stage.share(one, users={friend.id: ContentRole.EDITOR}),
            stage.world.users.erase_user(OPERATOR_PRINCIPAL, friend.id),
        )
        assert ended[0] is None or isinstance(ended[0], UserNotFound)
        assert ended[1] is None
        await stage.nothing_dangles()


async def test_who_is_erased_while_he_is_given_an_object_owns_nothing(stage: Stage) -> None:
    for _ in range(ROUNDS):
        one, friend = await stage.make(), await stage.world.user(None)
        ended = await settle(
            stage.content.change_owner(stage.as_(stage.owner), one, friend.id),
            stage.make(owner_id=friend.id),
            stage.world.users.erase_user(OPERATOR_PRINCIPAL, friend.id),
        )
        gone = ended[2] is None
        assert gone or isinstance(ended[2], OwnsContent)
        assert [isinstance(error, UserNotFound) for error in ended[:2]] == [gone, gone] or not gone
        await stage.nothing_dangles()


async def test_a_group_that_goes_while_something_is_shared_with_it_keeps_nothing(stage: Stage) -> None:
    for round_ in range(ROUNDS):
        one = await stage.make()
        await stage.world.group(f"team{round_}")
        ended = await settle(
            stage.share(one, groups={f"team{round_}": ContentRole.EDITOR}),
            stage.world.groups.delete_group(OPERATOR_PRINCIPAL, f"team{round_}"),
        )
        assert ended[0] is None or isinstance(ended[0], GroupNotFound)
        assert ended[1] is None
        await stage.nothing_dangles()
    assert not await stage.world.db.fetch(select(group_members.c.user_id))


async def test_two_who_erase_each_other_s_heirs_do_not_block(stage: Stage) -> None:
    for _ in range(6):
        first, second = await stage.world.user(None), await stage.world.user(None)
        for owner in (first, second):
            await stage.make(owner_id=owner.id)
        ended = await settle(
            stage.world.users.erase_user(OPERATOR_PRINCIPAL, first.id, new_owner_id=second.id),
            stage.world.users.erase_user(OPERATOR_PRINCIPAL, second.id, new_owner_id=first.id),
        )
        assert [error for error in ended if error is None] == [None]
        await stage.nothing_dangles()


async def test_one_title_many_times_at_once_makes_as_many_keys(stage: Stage) -> None:
    made = await asyncio.gather(*(stage.make(title="Schöne Grüße") for _ in range(10)))
    assert len({one.key for one in made}) == 10
    assert all(one.key.startswith("schone-grusse") for one in made)
