from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert

from latchstring.domain.ids import new_id
from latchstring.domain.views.saved_view import SavedView
from latchstring.storage.admins.saved_views import MAX_VIEWS, delete_view, list_views, rename_view, save_view
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import admins

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PAGE = "invitations"
INSERT = insert(admins).values(
    {name: bindparam(name, type_=admins.c[name].type) for name in ("id", "email_key", "email", "name", "role")}
)


async def insert_admin(db: Database, name: str) -> UUID:
    id_ = new_id(NOW)
    await db.write(INSERT, id=id_, email_key=f"{name}@a.test", email=f"{name}@a.test", name=name, role="manager")
    return id_


async def save(db: Database, admin_id: UUID, name: str, query: str = "q=a") -> bool:
    return await save_view(db, SavedView(new_id(NOW), name, query), admin_id=admin_id, page=PAGE)


@pytest.fixture
async def mira(database: Database) -> UUID:
    return await insert_admin(database, "mira")


async def test_views_are_listed_in_order_for_their_owner_only(database: Database, mira: UUID) -> None:
    other = await insert_admin(database, "jonas")
    assert await save(database, mira, "Failing", "delivery=BOUNCED")
    assert await save(database, mira, "Mine")
    views = await list_views(database, mira, PAGE)
    assert [(view.name, view.query) for view in views] == [("Failing", "delivery=BOUNCED"), ("Mine", "q=a")]
    assert await list_views(database, other, PAGE) == []
    assert await delete_view(database, views[0].id, admin_id=other, page=PAGE) is None
    assert not await rename_view(database, views[0].id, "Taken over", admin_id=other, page=PAGE)


async def test_a_view_replaces_the_one_of_the_same_name(database: Database, mira: UUID) -> None:
    for query in ("q=a", "q=b"):
        assert await save(database, mira, "Mine", query)
    assert [view.query for view in await list_views(database, mira, PAGE)] == ["q=b"]


async def test_the_number_of_views_is_limited(database: Database, mira: UUID) -> None:
    saved = [await save(database, mira, f"View {number}") for number in range(MAX_VIEWS + 1)]
    assert saved == [True] * MAX_VIEWS + [False]
    assert await save(database, mira, "View 0", "q=changed")


async def test_renaming_and_deleting(database: Database, mira: UUID) -> None:
    for name in ("One", "Two"):
        await save(database, mira, name)
    first, second = await list_views(database, mira, PAGE)
    assert not await rename_view(database, first.id, "Two", admin_id=mira, page=PAGE)
    assert await rename_view(database, first.id, "Three", admin_id=mira, page=PAGE)
    assert await delete_view(database, second.id, admin_id=mira, page=PAGE) == "Two"
    assert [view.name for view in await list_views(database, mira, PAGE)] == ["Three"]
