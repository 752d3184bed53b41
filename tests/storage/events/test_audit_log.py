"""The audit log: filters, pages and names."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert

from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.event import Event, new_event
from latchstring.domain.ids import id_instant, new_id
from latchstring.domain.pagination import Page
from latchstring.domain.views.audit_log import AuditEntry, AuditFilter, SubjectType
from latchstring.storage.engine.database import Database, Work
from latchstring.storage.engine.tables import admins, groups
from latchstring.storage.events import audit_log
from latchstring.storage.events.audit_log import find_actors_by_name, find_objects_by_name, list_audit
from latchstring.storage.events.record import insert_event
from latchstring.storage.lists.keyset import KeysetList

pytestmark = pytest.mark.reads

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADMIN, GROUP = new_id(NOW), new_id(NOW)
MIRA = Actor(ActorType.ADMIN, ADMIN)
INSERT_ADMIN = insert(admins).values(
    **{name: bindparam(name) for name in ("email_key", "email", "name", "role")},
    id=bindparam("id", type_=admins.c.id.type),
)
INSERT_GROUP = insert(groups).values(
    id=bindparam("id", type_=groups.c.id.type), key="spring", name="Spring cohort", translations={}
)


async def fill(db: Database) -> list[Event]:
    """Store six events, one per minute: Mira and the operator change groups."""
    await db.write(
        INSERT_ADMIN, id=ADMIN, email_key="mira@panel.test", email="Mira@panel.test", name="Mira", role="manager"
    )
    await db.write(INSERT_GROUP, id=GROUP)
    events = [
        new_event("group.created", GROUP, by=OPERATOR, now=NOW, key="spring"),
        new_event("group.updated", GROUP, by=MIRA, now=NOW + MINUTE),
        new_event("group.created", new_id(NOW), by=MIRA, now=NOW + 2 * MINUTE),
        new_event("group.updated", GROUP, by=MIRA, now=NOW + 3 * MINUTE),
        new_event("group.member_added", GROUP, by=OPERATOR, now=NOW + 4 * MINUTE),
        new_event("group.deleted", GROUP, by=MIRA, now=NOW + 5 * MINUTE),
    ]

    def work() -> Work[None]:
        for event in events:
            yield insert_event(event)

    await db.transact(work)
    return events


@pytest.mark.parametrize(
    ("audit_filter", "expected"),
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
        (AuditFilter(since=NOW + MINUTE, until=NOW + 3 * MINUTE), [2, 1]),
        (AuditFilter(objects=(GROUP,), since=NOW + 4 * MINUTE), [5, 4]),
    ],
)
async def test_filters_choose_entries_newest_first(
    database: Database, audit_filter: AuditFilter, expected: list[int]
) -> None:
    events = await fill(database)
    page = await list_audit(database, audit_filter, limit=10)
    assert [events.index(entry.recorded.event) for entry in page.items] == expected
    assert (page.next, page.previous, page.is_partial) == (None, None, False)


async def test_an_entry_has_the_names_of_its_actor_and_subject(database: Database) -> None:
    await fill(database)
    entry = (await list_audit(database, AuditFilter(action="group.deleted"), limit=1)).items[0]
    assert entry.recorded.actor_name == "Mira"
    assert entry.about is not None
    assert (entry.about.type, entry.about.label, entry.about.key) == (SubjectType.GROUP, "Spring cohort", "spring")


async def test_a_deleted_subject_has_no_name(database: Database) -> None:
    await fill(database)
    entry = (await list_audit(database, AuditFilter(action="group.created"), limit=1)).items[0]
    assert entry.about is None


async def test_pages_can_be_read_forward_and_back(database: Database) -> None:
    events = await fill(database)

    def indexes(page: Page[AuditEntry]) -> list[int]:
        return [events.index(entry.recorded.event) for entry in page.items]

    first = await list_audit(database, AuditFilter(), limit=2)
    second = await list_audit(database, AuditFilter(), cursor=first.next, limit=2)
    third = await list_audit(database, AuditFilter(), cursor=second.next, limit=2)
    assert [indexes(page) for page in (first, second, third)] == [[5, 4], [3, 2], [1, 0]]
    assert (first.previous, third.next) == (None, None)
    previous_page = await list_audit(database, AuditFilter(), cursor=third.previous, limit=2)
    assert indexes(previous_page) == [3, 2]
    assert previous_page.next == second.next
    start = await list_audit(database, AuditFilter(), cursor=previous_page.previous, limit=2)
    assert (indexes(start), start.previous) == ([5, 4], None)


async def test_a_truncated_search_is_partial_and_continues(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    events = await fill(database)
    monkeypatch.setattr(audit_log, "_LIST", KeysetList(replace(audit_log._LIST.declaration, scan_limit=3)))
    audit_filter = AuditFilter(actor_type=ActorType.OPERATOR)
    page = await list_audit(database, audit_filter, limit=2)
    assert [events.index(entry.recorded.event) for entry in page.items] == [4]
    assert page.is_partial
    assert page.next is not None
    assert id_instant(UUID(str(page.next.key[-1]))) == NOW + 3 * MINUTE
    page = await list_audit(database, audit_filter, cursor=page.next, limit=2)
    assert [events.index(entry.recorded.event) for entry in page.items] == [0]


async def test_actors_and_objects_are_found_by_address_key_or_name(database: Database) -> None:
    await fill(database)
    assert await find_actors_by_name(database, "mira@panel.test", "mira@panel.test") == (ADMIN,)
    assert await find_actors_by_name(database, "nobody@panel.test", "x") == ()
    object_ids: dict[str, tuple[UUID, ...]] = {
        text: await find_objects_by_name(database, text, text) for text in ("spring", "mira@panel.test", "pages/none")
    }
    assert object_ids == {"spring": (GROUP,), "mira@panel.test": (ADMIN,), "pages/none": ()}
