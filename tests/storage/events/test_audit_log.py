"""History with filters, in pages, with the names of those in it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert

from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.event import Event, happened
from latchstring.domain.ids import new_id
from latchstring.domain.views.audit_log import AuditFilter, AuditPage, Noun
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.tables import admins, groups
from latchstring.storage.events import audit_log as room
from latchstring.storage.events.audit_log import find_actors_called, find_objects_called, list_audit
from latchstring.storage.events.record import insert_event

pytestmark = pytest.mark.reads

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADMIN, GROUP = new_id(AT), new_id(AT)
MIRA = Actor(ActorType.ADMIN, ADMIN)
INSERT_ADMIN = insert(admins).values(
    **{name: bindparam(name) for name in ("email_key", "email", "name", "role")},
    id=bindparam("id", type_=admins.c.id.type),
)
INSERT_GROUP = insert(groups).values(
    id=bindparam("id", type_=groups.c.id.type), key="spring", name="Spring cohort", translations={}
)


async def fill(db: Database) -> list[Event]:
    """Six entries: Mira and the operator change a group and make others, minute by minute."""
    await db.write(
        INSERT_ADMIN, id=ADMIN, email_key="mira@panel.test", email="Mira@panel.test", name="Mira", role="manager"
    )
    await db.write(INSERT_GROUP, id=GROUP)
    made = [
        happened("group.created", GROUP, by=OPERATOR, at=AT, key="spring"),
        happened("group.updated", GROUP, by=MIRA, at=AT + MINUTE),
        happened("group.created", new_id(AT), by=MIRA, at=AT + 2 * MINUTE),
        happened("group.updated", GROUP, by=MIRA, at=AT + 3 * MINUTE),
        happened("group.member_added", GROUP, by=OPERATOR, at=AT + 4 * MINUTE),
        happened("group.deleted", GROUP, by=MIRA, at=AT + 5 * MINUTE),
    ]

    def work() -> Work[None]:
        for event in made:
            yield insert_event(event)

    await db.transact(work)
    return made


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (AuditFilter(), [5, 4, 3, 2, 1, 0]),
        (AuditFilter(actors=(ADMIN,)), [5, 3, 2, 1]),
        (AuditFilter(actors=(ADMIN, GROUP)), [5, 3, 2, 1]),
        (AuditFilter(actors=()), []),
        (AuditFilter(actor_type=ActorType.OPERATOR), [4, 0]),
        (AuditFilter(objects=(GROUP,)), [5, 4, 3, 1, 0]),
        (AuditFilter(objects=()), []),
        (AuditFilter(action="group.updated"), [3, 1]),
        (AuditFilter(actors=(ADMIN,), action="group.created"), [2]),
        (AuditFilter(actors=(ADMIN,), objects=(GROUP,), action="group.updated"), [3, 1]),
        (AuditFilter(since=AT + MINUTE, until=AT + 3 * MINUTE), [2, 1]),
        (AuditFilter(objects=(GROUP,), since=AT + 4 * MINUTE), [5, 4]),
    ],
)
async def test_filters_choose_entries_newest_first(database: Database, wanted: AuditFilter, found: list[int]) -> None:
    made = await fill(database)
    page = await list_audit(database, wanted, limit=10)
    assert [made.index(entry.recorded.event) for entry in page.entries] == found
    assert (page.older, page.newer, page.looked_until) == (None, None, None)


async def test_an_entry_names_who_acted_and_what_it_is_about(database: Database) -> None:
    await fill(database)
    entry = (await list_audit(database, AuditFilter(action="group.deleted"), limit=1)).entries[0]
    assert entry.recorded.actor_name == "Mira"
    assert entry.about is not None
    assert (entry.about.noun, entry.about.label, entry.about.key) == (Noun.GROUP, "Spring cohort", "spring")


async def test_what_is_gone_has_no_name(database: Database) -> None:
    await fill(database)
    entry = (await list_audit(database, AuditFilter(action="group.created"), limit=1)).entries[0]
    assert entry.about is None


async def test_pages_lead_on_and_back(database: Database) -> None:
    made = await fill(database)

    def places(page: AuditPage) -> list[int]:
        return [made.index(entry.recorded.event) for entry in page.entries]

    first = await list_audit(database, AuditFilter(), limit=2)
    second = await list_audit(database, AuditFilter(), before=first.older, limit=2)
    third = await list_audit(database, AuditFilter(), before=second.older, limit=2)
    assert [places(page) for page in (first, second, third)] == [[5, 4], [3, 2], [1, 0]]
    assert (first.newer, third.older) == (None, None)
    back = await list_audit(database, AuditFilter(), after=third.newer, limit=2)
    assert places(back) == [3, 2]
    assert back.older == second.older
    start = await list_audit(database, AuditFilter(), after=back.newer, limit=2)
    assert (places(start), start.newer) == ([5, 4], None)


async def test_a_search_that_looked_at_many_says_so_and_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await fill(database)
    monkeypatch.setattr(room, "WALK", 3)
    for statement in (room._page, room._last_walked):  # made for the real length
        statement.cache_clear()
    try:
        wanted = AuditFilter(actor_type=ActorType.OPERATOR)
        page = await list_audit(database, wanted, limit=2)
        assert [made.index(entry.recorded.event) for entry in page.entries] == [4]
        assert page.looked_until == AT + 3 * MINUTE
        page = await list_audit(database, wanted, before=page.older, limit=2)
        assert [made.index(entry.recorded.event) for entry in page.entries] == [0]
    finally:
        for statement in (room._page, room._last_walked):
            statement.cache_clear()


async def test_people_and_things_are_found_by_what_they_are_called(database: Database) -> None:
    await fill(database)
    assert await find_actors_called(database, "mira@panel.test", "mira@panel.test") == (ADMIN,)
    assert await find_actors_called(database, "nobody@panel.test", "x") == ()
    found: dict[str, tuple[UUID, ...]] = {
        text: await find_objects_called(database, text, text) for text in ("spring", "mira@panel.test", "pages/none")
    }
    assert found == {"spring": (GROUP,), "mira@panel.test": (ADMIN,), "pages/none": ()}
