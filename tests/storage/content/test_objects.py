"""Objects and grants as rows: upserts that never lower, levels, subjects that go away."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from latchstring.domain.access import ContentObject, Level, SubjectKind, Visibility
from latchstring.domain.errors import OwnsContent
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.storage.content.objects import (
    delete_grants_of_subject,
    find_levels,
    find_object,
    find_objects,
    grant_access,
    insert_object,
    load_access,
    lock_objects,
    transfer_objects,
    withdraw_access,
)
from latchstring.storage.engine.database import Database, Work

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def an_object(owner: UUID, key: str = "one", visibility: Visibility = Visibility.PRIVATE) -> ContentObject:
    return ContentObject(new_id(AT), "articles", key, owner, visibility, "One", None, {"a": [1]}, 1, AT)


async def keep(db: Database, *objects: ContentObject) -> None:
    def work() -> Work[None]:
        for one in objects:
            yield insert_object(one)

    await db.transact(work)


async def give(db: Database, one: ContentObject, subject: UUID, role: ContentRole) -> bool:
    def work() -> Work[bool]:
        yield from lock_objects([one.id])
        return (yield from grant_access(db.dialect_name, one.id, one.type, subject, SubjectKind.USER, role))

    return await db.transact(work)


async def visibility(db: Database, one: ContentObject) -> Visibility:
    found = await find_object(db, one.type, one.key)
    assert found is not None
    return found.visibility


async def test_an_object_comes_back_as_it_was_kept(database: Database) -> None:
    one = an_object(new_id(AT))
    await keep(database, one)
    assert await find_object(database, "articles", "one") == one
    assert await find_objects(database, [("articles", "one"), ("articles", "two"), ("x", "one")]) == {
        ("articles", "one"): one
    }


async def test_data_keep_their_order_and_their_numbers(database: Database) -> None:
    data = {"z": 1e300, "a": {"y": -0.5, "b": 2**64, "": None}, "ü": [[], {}, "\u202e😀"]}
    one = replace(an_object(new_id(AT)), data=data)
    await keep(database, one)
    found = await find_object(database, "articles", "one")
    assert found is not None
    assert repr(found.data) == repr(data)


async def test_a_grant_shares_the_object_and_is_raised_but_never_lowered(database: Database) -> None:
    one, somebody = an_object(new_id(AT)), new_id(AT)
    await keep(database, one)
    assert await give(database, one, somebody, ContentRole.EDITOR)
    assert await visibility(database, one) is Visibility.SHARED
    assert not await give(database, one, somebody, ContentRole.VIEWER)
    assert await find_levels(database, somebody, [one.id]) == {one.id: Level.EDITOR}
    assert await give(database, one, somebody, ContentRole.MAINTAINER)
    assert await find_levels(database, somebody, [one.id]) == {one.id: Level.MAINTAINER}


async def test_an_owner_is_given_nothing(database: Database) -> None:
    owner = new_id(AT)
    one = an_object(owner)
    await keep(database, one)
    assert not await give(database, one, owner, ContentRole.MAINTAINER)
    assert await visibility(database, one) is Visibility.PRIVATE
    assert await find_levels(database, owner, [one.id]) == {one.id: Level.OWNER}


async def test_the_last_grant_withdrawn_leaves_a_private_object(database: Database) -> None:
    one, first, second = an_object(new_id(AT)), new_id(AT), new_id(AT)
    await keep(database, one)
    for somebody in (first, second):
        await give(database, one, somebody, ContentRole.VIEWER)
    await database.transact(lambda: withdraw_access(one.id, first))
    assert await visibility(database, one) is Visibility.SHARED
    await database.transact(lambda: withdraw_access(one.id, second))
    assert await visibility(database, one) is Visibility.PRIVATE


async def test_what_a_subject_held_goes_with_it(database: Database) -> None:
    somebody, other = new_id(AT), new_id(AT)
    alone, both, public = (
        an_object(new_id(AT), "a"),
        an_object(new_id(AT), "b"),
        an_object(new_id(AT), "c", Visibility.PUBLIC),
    )
    await keep(database, alone, both, public)
    for one in (alone, both, public):
        await give(database, one, somebody, ContentRole.EDITOR)
    await give(database, both, other, ContentRole.VIEWER)
    await database.transact(lambda: delete_grants_of_subject(somebody))
    found = await database.transact(lambda: load_access([alone.id, both.id, public.id]))
    assert [found[one.id].visibility for one in (alone, both, public)] == [
        Visibility.PRIVATE,
        Visibility.SHARED,
        Visibility.PUBLIC,
    ]
    assert [dict(found[one.id].grants) for one in (alone, both, public)] == [{}, {other: ContentRole.VIEWER}, {}]


async def test_an_owner_lets_go_only_to_another(database: Database) -> None:
    owner, heir = new_id(AT), new_id(AT)
    one, two = an_object(owner, "a"), an_object(heir, "b")
    await keep(database, one, two)
    await give(database, one, heir, ContentRole.VIEWER)
    with pytest.raises(OwnsContent):
        await database.transact(lambda: transfer_objects(owner, None))
    assert await database.transact(lambda: transfer_objects(owner, heir)) == [one.id]
    access = (await database.transact(lambda: load_access([one.id])))[one.id]
    assert (access.owner_id, access.visibility, dict(access.grants)) == (heir, Visibility.PRIVATE, {})
