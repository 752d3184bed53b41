from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert

from latchstring.domain.ids import new_id
from latchstring.domain.views.saved_view import SavedView
from latchstring.storage.admins.saved_views import MOST, delete_view, list_views, rename_view, save_view
from latchstring.storage.engine.database import Database
from latchstring.storage.engine.tables import admins

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PAGE = "invitations"
INSERT = insert(admins).values(
    {name: bindparam(name, type_=admins.c[name].type) for name in ("id", "email_key", "email", "name", "role")}
)


async def make_admin(db: Database, name: str) -> UUID:
    id_ = new_id(AT)
    await db.write(INSERT, id=id_, email_key=f"{name}@a.test", email=f"{name}@a.test", name=name, role="manager")
    return id_


async def keep(db: Database, admin_id: UUID, name: str, query: str = "q=a") -> bool:
    return await save_view(db, SavedView(new_id(AT), name, query), admin_id=admin_id, page=PAGE)


@pytest.fixture
async def mira(database: Database) -> UUID:
    return await make_admin(database, "mira")


async def test_views_are_kept_in_order_for_their_owner_only(database: Database, mira: UUID) -> None:
    other = await make_admin(database, "jonas")
    assert await keep(database, mira, "Failing", "delivery=BOUNCED")
    assert await keep(database, mira, "Mine")
    found = await list_views(database, mira, PAGE)
    assert [(view.name, view.query) for view in found] == [("Failing", "delivery=BOUNCED"), ("Mine", "q=a")]
    assert await list_views(database, other, PAGE) == []
    assert await delete_view(database, found[0].id, admin_id=other, page=PAGE) is None
    assert not await rename_view(database, found[0].id, "Taken over", admin_id=other, page=PAGE)


async def test_the_same_name_means_the_newer_view(database: Database, mira: UUID) -> None:
    for query in ("q=a", "q=b"):
        assert await keep(database, mira, "Mine", query)
    assert [view.query for view in await list_views(database, mira, PAGE)] == ["q=b"]


async def test_nobody_keeps_views_without_end(database: Database, mira: UUID) -> None:
    kept = [await keep(database, mira, f"View {number}") for number in range(MOST + 1)]
    assert kept == [True] * MOST + [False]
    assert await keep(database, mira, "View 0", "q=changed")


async def test_renaming_and_deleting(database: Database, mira: UUID) -> None:
    for name in ("One", "Two"):
        await keep(database, mira, name)
    one, two = await list_views(database, mira, PAGE)
    assert not await rename_view(database, one.id, "Two", admin_id=mira, page=PAGE)
    assert await rename_view(database, one.id, "Three", admin_id=mira, page=PAGE)
    assert await delete_view(database, two.id, admin_id=mira, page=PAGE) == "Two"
    assert [view.name for view in await list_views(database, mira, PAGE)] == ["Three"]
