"""Storage of objects and grants: upserts, levels, deletion of subjects."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from latchstring.domain.access import ContentObject, Level, SubjectKind, Visibility
from latchstring.domain.errors import OwnsContent
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.storage.content.grants import (
    delete_grants_of_subject,
    grant_access,
    load_access,
    transfer_objects,
    withdraw_access,
)
from latchstring.storage.content.objects import find_levels, find_object, find_objects, insert_object, lock_objects
from latchstring.storage.engine.database import Database, Work

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def create_object(owner: UUID, key: str = "one", visibility: Visibility = Visibility.PRIVATE) -> ContentObject:
    return ContentObject(new_id(NOW), "articles", key, owner, visibility, "One", None, {"a": [1]}, 1, NOW)


async def store_objects(db: Database, *objects: ContentObject) -> None:
    def work() -> Work[None]:
        for object_ in objects:
            yield insert_object(object_)

    await db.transact(work)


async def grant_role(db: Database, object_: ContentObject, subject: UUID, role: ContentRole) -> bool:
    def work() -> Work[bool]:
        yield from lock_objects([object_.id])
        return (yield from grant_access(db.dialect_name, object_.id, object_.type, subject, SubjectKind.USER, role))

    return await db.transact(work)


async def get_visibility(db: Database, object_: ContentObject) -> Visibility:
    stored = await find_object(db, object_.type, object_.key)
    assert stored is not None
    return stored.visibility


async def test_a_stored_object_is_read_back_unchanged(database: Database) -> None:
    object_ = create_object(new_id(NOW))
    await store_objects(database, object_)
    assert await find_object(database, "articles", "one") == object_
    assert await find_objects(database, [("articles", "one"), ("articles", "two"), ("x", "one")]) == {
        ("articles", "one"): object_
    }


async def test_data_keeps_key_order_and_numbers(database: Database) -> None:
    data = {"z": 1e300, "a": {"y": -0.5, "b": 2**64, "": None}, "ü": [[], {}, "\u202e😀"]}
    object_ = replace(create_object(new_id(NOW)), data=data)
    await store_objects(database, object_)
    stored = await find_object(database, "articles", "one")
    assert stored is not None
    assert repr(stored.data) == repr(data)


async def test_a_grant_shares_the_object_and_its_role_is_only_raised(database: Database) -> None:
    object_, user_id = create_object(new_id(NOW)), new_id(NOW)
    await store_objects(database, object_)
    assert await grant_role(database, object_, user_id, ContentRole.EDITOR)
    assert await get_visibility(database, object_) is Visibility.SHARED
    assert not await grant_role(database, object_, user_id, ContentRole.VIEWER)
    assert await find_levels(database, user_id, [object_.id]) == {object_.id: Level.EDITOR}
    assert await grant_role(database, object_, user_id, ContentRole.MAINTAINER)
    assert await find_levels(database, user_id, [object_.id]) == {object_.id: Level.MAINTAINER}


async def test_an_owner_gets_no_grant(database: Database) -> None:
    owner = new_id(NOW)
    object_ = create_object(owner)
    await store_objects(database, object_)
    assert not await grant_role(database, object_, owner, ContentRole.MAINTAINER)
    assert await get_visibility(database, object_) is Visibility.PRIVATE
    assert await find_levels(database, owner, [object_.id]) == {object_.id: Level.OWNER}


async def test_withdrawing_the_last_grant_makes_the_object_private(database: Database) -> None:
    object_, first, second = create_object(new_id(NOW)), new_id(NOW), new_id(NOW)
    await store_objects(database, object_)
    for user_id in (first, second):
        await grant_role(database, object_, user_id, ContentRole.VIEWER)
    await database.transact(lambda: withdraw_access(object_.id, first))
    assert await get_visibility(database, object_) is Visibility.SHARED
    await database.transact(lambda: withdraw_access(object_.id, second))
    assert await get_visibility(database, object_) is Visibility.PRIVATE


async def test_grants_of_a_deleted_subject_are_deleted(database: Database) -> None:
    user_id, other_user_id = new_id(NOW), new_id(NOW)
    private, shared, public = (
        create_object(new_id(NOW), "a"),
        create_object(new_id(NOW), "b"),
        create_object(new_id(NOW), "c", Visibility.PUBLIC),
    )
    await store_objects(database, private, shared, public)
    for object_ in (private, shared, public):
        await grant_role(database, object_, user_id, ContentRole.EDITOR)
    await grant_role(database, shared, other_user_id, ContentRole.VIEWER)
    await database.transact(lambda: delete_grants_of_subject(user_id))
    access = await database.transact(lambda: load_access([private.id, shared.id, public.id]))
    assert [access[object_.id].visibility for object_ in (private, shared, public)] == [
        Visibility.PRIVATE,
        Visibility.SHARED,
        Visibility.PUBLIC,
    ]
    assert [dict(access[object_.id].grants) for object_ in (private, shared, public)] == [
        {},
        {other_user_id: ContentRole.VIEWER},
        {},
    ]


async def test_objects_are_transferred_only_to_another_user(database: Database) -> None:
    owner, new_owner = new_id(NOW), new_id(NOW)
    object_, other_object = create_object(owner, "a"), create_object(new_owner, "b")
    await store_objects(database, object_, other_object)
    await grant_role(database, object_, new_owner, ContentRole.VIEWER)
    with pytest.raises(OwnsContent):
        await database.transact(lambda: transfer_objects(owner, None))
    assert await database.transact(lambda: transfer_objects(owner, new_owner)) == [object_.id]
    access = (await database.transact(lambda: load_access([object_.id])))[object_.id]
    assert (access.owner_id, access.visibility, dict(access.grants)) == (new_owner, Visibility.PRIVATE, {})
