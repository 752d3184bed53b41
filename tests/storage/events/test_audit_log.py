"""History with filters, in pages, with the names of those in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert

from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.event import Event, happened
from latchstring.domain.ids import id_instant, new_id
from latchstring.domain.pagination import Page
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter, SubjectType
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.tables import admins, groups
from latchstring.storage.events import audit_log
from latchstring.storage.events.audit_log import find_actors_called, find_objects_called, list_audit
from latchstring.storage.events.record import insert_event
from latchstring.storage.lists.keyset import KeysetList

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
        happened("group.created", GROUP, by=OPERATOR, now=AT, key="spring"),
        happened("group.updated", GROUP, by=MIRA, now=AT + MINUTE),
        happened("group.created", new_id(AT), by=MIRA, now=AT + 2 * MINUTE),
        happened("group.updated", GROUP, by=MIRA, now=AT + 3 * MINUTE),
        happened("group.member_added", GROUP, by=OPERATOR, now=AT + 4 * MINUTE),
        happened("group.deleted", GROUP, by=MIRA, now=AT + 5 * MINUTE),
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
    assert [made.index(entry.recorded.event) for entry in page.items] == found
    assert (page.next, page.previous, page.is_partial) == (None, None, False)


async def test_an_entry_names_who_acted_and_what_it_is_about(database: Database) -> None:
    await fill(database)
    entry = (await list_audit(database, AuditFilter(action="group.deleted"), limit=1)).items[0]
    assert entry.recorded.actor_name == "Mira"
    assert entry.about is not None
    assert (entry.about.noun, entry.about.label, entry.about.key) == (SubjectType.GROUP, "Spring cohort", "spring")


async def test_what_is_gone_has_no_name(database: Database) -> None:
    await fill(database)
    entry = (await list_audit(database, AuditFilter(action="group.created"), limit=1)).items[0]
    assert entry.about is None


async def test_pages_lead_on_and_back(database: Database) -> None:
    made = await fill(database)

    def places(page: Page[AuditEntry]) -> list[int]:
        return [made.index(entry.recorded.event) for entry in page.items]

    first = await list_audit(database, AuditFilter(), limit=2)
    second = await list_audit(database, AuditFilter(), cursor=first.next, limit=2)
    third = await list_audit(database, AuditFilter(), cursor=second.next, limit=2)
    assert [places(page) for page in (first, second, third)] == [[5, 4], [3, 2], [1, 0]]
    assert (first.previous, third.next) == (None, None)
    back = await list_audit(database, AuditFilter(), cursor=third.previous, limit=2)
    assert places(back) == [3, 2]
    assert back.next == second.next
    start = await list_audit(database, AuditFilter(), cursor=back.previous, limit=2)
    assert (places(start), start.previous) == ([5, 4], None)


async def test_a_search_that_looked_at_many_says_so_and_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await fill(database)
    monkeypatch.setattr(audit_log, "_LIST", KeysetList(replace(audit_log._LIST.declaration, scanned=3)))
    wanted = AuditFilter(actor_type=ActorType.OPERATOR)
    page = await list_audit(database, wanted, limit=2)
    assert [made.index(entry.recorded.event) for entry in page.items] == [4]
    assert page.is_partial
    assert page.next is not None
    assert id_instant(UUID(str(page.next.key[-1]))) == AT + 3 * MINUTE
    page = await list_audit(database, wanted, cursor=page.next, limit=2)
    assert [made.index(entry.recorded.event) for entry in page.items] == [0]


async def test_people_and_things_are_found_by_what_they_are_called(database: Database) -> None:
    await fill(database)
    assert await find_actors_called(database, "mira@panel.test", "mira@panel.test") == (ADMIN,)
    assert await find_actors_called(database, "nobody@panel.test", "x") == ()
    found: dict[str, tuple[UUID, ...]] = {
        text: await find_objects_called(database, text, text) for text in ("spring", "mira@panel.test", "pages/none")
    }
    assert found == {"spring": (GROUP,), "mira@panel.test": (ADMIN,), "pages/none": ()}
