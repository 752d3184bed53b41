"""The access table as a function, as a check and as a list gives the same result for random cases."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert
from tests.support.clock import FULL

from latchstring.domain.access import ANONYMOUS, Access, ContentObject, Level, Subject, Visibility, compute_level
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id
from latchstring.domain.pagination import SortOrder
from latchstring.storage.content.access import AccessCheck, AccessFilter, check_levels, list_visible
from latchstring.storage.content.objects import find_levels, insert_object
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.tables import content, content_grants, group_members, groups, users

pytestmark = pytest.mark.reads
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
USERS = [new_id(NOW) for _ in range(4)]
GROUPS = [new_id(NOW) for _ in range(3)]
OBJECTS = [new_id(NOW) for _ in range(6)]
ROLES = ("none", "reader", "writer")


@dataclass(frozen=True)
class AccessCase:
    """Owners, visibilities, grants, members and roles, by index in the lists above."""

    owners: tuple[int, ...]
    visibilities: tuple[Visibility, ...]
    grants: dict[tuple[int, int], ContentRole]  # (object, subject); subjects are users, then groups
    members: frozenset[tuple[int, int]]
    roles: tuple[str, ...]
    types: tuple[str, ...] = field(default=())

    def access(self, number: int) -> Access:
        grants = {
            SUBJECTS[subject_index]: role
            for (object_index, subject_index), role in self.stored_grants.items()
            if object_index == number
        }
        return Access(USERS[self.owners[number]], self.visibilities[number], grants)

    @property
    def stored_grants(self) -> dict[tuple[int, int], ContentRole]:
        """The grants without those on PRIVATE objects, which storage never has."""
        return {
            (object_index, user_index): role
            for (object_index, user_index), role in self.grants.items()
            if self.visibilities[object_index] is not Visibility.PRIVATE
        }

    def subject(self, number: int) -> Subject:
        group_ids = frozenset(GROUPS[group] for user, group in self.members if user == number)
        role = self.roles[number]
        return Subject(USERS[number], group_ids, reads_all=role == "reader", writes_all=role == "writer")


SUBJECTS = [*USERS, *GROUPS]
cases = st.builds(
    AccessCase,
    owners=st.tuples(*(st.sampled_from(range(len(USERS))) for _ in OBJECTS)),
    visibilities=st.tuples(*(st.sampled_from(Visibility) for _ in OBJECTS)),
    grants=st.dictionaries(
        st.tuples(st.sampled_from(range(len(OBJECTS))), st.sampled_from(range(len(SUBJECTS)))),
        st.sampled_from(ContentRole),
        max_size=14,
    ),
    members=st.frozensets(st.tuples(st.sampled_from(range(len(USERS))), st.sampled_from(range(len(GROUPS))))),
    roles=st.tuples(*(st.sampled_from(ROLES) for _ in USERS)),
    types=st.tuples(*(st.sampled_from(("articles", "notes")) for _ in OBJECTS)),
)


def user_row(number: int, role: str) -> dict[str, Any]:
    names = {"first_name": "A", "last_name": "B", "search_name": "a b", "search_last_name": "b"}
    address = f"u{number}@people.test"
    flags = {"email_verified": True, "blocked": False, "link_generation": 1}
    return {"id": USERS[number], "email": address, "email_key": address, "role": role, **names, **flags}


def build_inserts(table: Any, *values: dict[str, Any]) -> list[Any]:
    return [insert(table).values(row) for row in values]


def build_case(case: AccessCase) -> Callable[[], Work[None]]:
    """Build the work that replaces all rows with those of the case."""
    statements: list[Any] = [delete(table) for table in (content_grants, content, group_members, groups, users)]
    statements += build_inserts(users, *(user_row(number, role) for number, role in enumerate(case.roles)))
    statements += build_inserts(
        groups, *({"id": id_, "key": f"g{n}", "name": "G", "translations": {}} for n, id_ in enumerate(GROUPS))
    )
    statements += build_inserts(group_members, *({"user_id": USERS[u], "group_id": GROUPS[g]} for u, g in case.members))

    def work() -> Work[None]:
        for statement in statements:
            yield step(statement)
        for number, id_ in enumerate(OBJECTS):
            yield insert_object(build_object(case, number, id_))
        for (object_index, user_index), role in case.stored_grants.items():
            kind = 1 if user_index < len(USERS) else 2
            yield step(
                insert(content_grants).values(
                    content_id=OBJECTS[object_index],
                    subject_id=SUBJECTS[user_index],
                    subject_kind=kind,
                    type=case.types[object_index],
                    role=int(role),
                )
            )

    return work


def build_object(case: AccessCase, number: int, id_: UUID) -> ContentObject:
    owner = USERS[case.owners[number]]
    return ContentObject(
        id_, case.types[number], f"k{number}", owner, case.visibilities[number], "T", None, None, 1, NOW
    )


NAMES = [f"k{number}" for number in range(len(OBJECTS))]


def expected_levels(case: AccessCase) -> dict[tuple[int, int], Level]:
    """Return the level of every user on every object, computed by the function."""
    pairs = product(range(len(USERS)), range(len(OBJECTS)))
    return {
        (user_index, object_index): compute_level(case.subject(user_index), case.access(object_index))
        for user_index, object_index in pairs
    }


NEWEST_FIRST = SortOrder("createdAt", descending=True)


async def list_all_ids(database: Database, case: AccessCase, subject: Subject, type_: str, need: Level) -> set[UUID]:
    """Return the ids of all pages of a list."""
    ids: list[UUID] = []
    cursor = None
    while True:
        filter_ = AccessFilter(subject, type_, need)
        page = await list_visible(database, filter_, order=NEWEST_FIRST, cursor=cursor, limit=2)
        ids += [object_.id for object_, _ in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert page.total == len(ids)
    assert ids == sorted(ids, reverse=True)
    return set(ids)


@settings(
    max_examples=200 if FULL else 250 if FULL else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(case=cases)
async def test_function_check_and_list_agree_on_every_case(database: Database, case: AccessCase) -> None:
    await database.transact(build_case(case))
    levels = expected_levels(case)
    checks = [
        AccessCheck(USERS[user_index], case.types[object_index], NAMES[object_index])
        for user_index, object_index in levels
    ]
    checked_levels = await check_levels(database, checks, writing_roles=["writer"], reading_roles=["reader"])
    assert dict(zip(levels, checked_levels, strict=True)) == levels

    for user_index, type_, need in product(range(len(USERS)), ("articles", "notes"), list(Level)[1:]):
        subject = Subject(
            USERS[user_index],
            reads_all=case.roles[user_index] == "reader",
            writes_all=case.roles[user_index] == "writer",
        )
        expected_ids = {
            OBJECTS[object_index]
            for object_index in range(len(OBJECTS))
            if case.types[object_index] == type_ and levels[user_index, object_index] >= need
        }
        assert await list_all_ids(database, case, subject, type_, need) == expected_ids


@settings(QUIET, max_examples=200 if FULL else 25)
@given(case=cases)
async def test_lists_for_callers_without_a_user_agree_with_the_function(database: Database, case: AccessCase) -> None:
    await database.transact(build_case(case))
    reader, writer = Subject(reads_all=True), Subject(reads_all=True, writes_all=True)
    for subject, type_, need in product((ANONYMOUS, reader, writer), ("articles", "notes"), list(Level)[1:]):
        expected_ids = {
            OBJECTS[object_index]
            for object_index in range(len(OBJECTS))
            if case.types[object_index] == type_ and compute_level(subject, case.access(object_index)) >= need
        }
        assert await list_all_ids(database, case, subject, type_, need) == expected_ids


@settings(QUIET, max_examples=200 if FULL else 25)
@given(case=cases)
async def test_stored_levels_ignore_permissions_and_public_visibility(database: Database, case: AccessCase) -> None:
    await database.transact(build_case(case))
    for user_index, user_id in enumerate(USERS):
        plain = Subject(user_id, case.subject(user_index).group_ids)
        expected = {}
        for object_index, id_ in enumerate(OBJECTS):
            access = case.access(object_index)
            shared = Access(access.owner_id, Visibility.SHARED, access.grants)
            expected[id_] = compute_level(plain, shared if access.visibility is Visibility.PUBLIC else access)
        assert await find_levels(database, user_id, OBJECTS) == expected


async def test_unknown_objects_and_unknown_or_blocked_users_have_no_level(database: Database) -> None:
    case = AccessCase((0,) * 6, (Visibility.PUBLIC,) * 6, {}, frozenset(), ("none",) * 4, ("articles",) * 6)
    await database.transact(build_case(case))
    await database.write(users.update().where(users.c.id == USERS[0]).values(blocked=True))
    checks = [
        AccessCheck(USERS[1], "articles", "k0"),
        AccessCheck(USERS[1], "articles", "unknown"),
        AccessCheck(USERS[1], "unknown", "k0"),
        AccessCheck(new_id(NOW), "articles", "k0"),
        AccessCheck(USERS[0], "articles", "k0"),
    ]
    levels = await check_levels(database, checks, writing_roles=[], reading_roles=[])
    assert levels == [Level.VIEWER, Level.NONE, Level.NONE, Level.NONE, Level.NONE]
    assert await check_levels(database, [], writing_roles=[], reading_roles=[]) == []
