"""The decision table as a function, as a check and as a list say the same of random worlds."""

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

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
USERS = [new_id(AT) for _ in range(4)]
GROUPS = [new_id(AT) for _ in range(3)]
OBJECTS = [new_id(AT) for _ in range(6)]
ROLES = ("none", "reader", "writer")


@dataclass(frozen=True)
class AccessCase:
    """Owners, visibilities, grants, members, roles and blocked users, by place in the lists above."""

    owners: tuple[int, ...]
    visibilities: tuple[Visibility, ...]
    grants: dict[tuple[int, int], ContentRole]  # (object, subject); subjects are users, then groups
    members: frozenset[tuple[int, int]]
    roles: tuple[str, ...]
    types: tuple[str, ...] = field(default=())

    def access(self, number: int) -> Access:
        held = {SUBJECTS[who]: role for (what, who), role in self.kept.items() if what == number}
        return Access(USERS[self.owners[number]], self.visibilities[number], held)

    @property
    def kept(self) -> dict[tuple[int, int], ContentRole]:
        """No PRIVATE object has grants: storage sees to that."""
        return {
            (what, who): role
            for (what, who), role in self.grants.items()
            if self.visibilities[what] is not Visibility.PRIVATE
        }

    def subject(self, number: int) -> Subject:
        mine = frozenset(GROUPS[group] for user, group in self.members if user == number)
        role = self.roles[number]
        return Subject(USERS[number], mine, reads_all=role == "reader", writes_all=role == "writer")


SUBJECTS = [*USERS, *GROUPS]
worlds = st.builds(
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


def rows(table: Any, *values: dict[str, Any]) -> list[Any]:
    return [insert(table).values(one) for one in values]


def build(case: AccessCase) -> Callable[[], Work[None]]:
    """The case as rows, in place of what was there."""
    statements: list[Any] = [delete(table) for table in (content_grants, content, group_members, groups, users)]
    statements += rows(users, *(user_row(number, role) for number, role in enumerate(case.roles)))
    statements += rows(
        groups, *({"id": id_, "key": f"g{n}", "name": "G", "translations": {}} for n, id_ in enumerate(GROUPS))
    )
    statements += rows(group_members, *({"user_id": USERS[u], "group_id": GROUPS[g]} for u, g in case.members))

    def work() -> Work[None]:
        for statement in statements:
            yield step(statement)
        for number, id_ in enumerate(OBJECTS):
            yield insert_object(an_object(case, number, id_))
        for (what, who), role in case.kept.items():
            kind = 1 if who < len(USERS) else 2
            yield step(
                insert(content_grants).values(
                    content_id=OBJECTS[what],
                    subject_id=SUBJECTS[who],
                    subject_kind=kind,
                    type=case.types[what],
                    role=int(role),
                )
            )

    return work


def an_object(case: AccessCase, number: int, id_: UUID) -> ContentObject:
    owner = USERS[case.owners[number]]
    return ContentObject(
        id_, case.types[number], f"k{number}", owner, case.visibilities[number], "T", None, None, 1, AT
    )


NAMES = [f"k{number}" for number in range(len(OBJECTS))]


def expected(case: AccessCase) -> dict[tuple[int, int], Level]:
    """What the function says of every user and object."""
    pairs = product(range(len(USERS)), range(len(OBJECTS)))
    return {(who, what): compute_level(case.subject(who), case.access(what)) for who, what in pairs}


NEWEST_FIRST = SortOrder("createdAt", descending=True)


async def everything(database: Database, case: AccessCase, subject: Subject, type_: str, need: Level) -> set[UUID]:
    """All a list shows, page by page."""
    found: list[UUID] = []
    cursor = None
    while True:
        wanted = AccessFilter(subject, type_, need)
        page = await list_visible(database, wanted, order=NEWEST_FIRST, cursor=cursor, limit=2)
        found += [one.id for one, _ in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert page.total == len(found)
    assert found == sorted(found, reverse=True)
    return set(found)


@settings(
    max_examples=200 if FULL else 250 if FULL else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(case=worlds)
async def test_function_check_and_list_agree_in_every_world(database: Database, case: AccessCase) -> None:
    await database.transact(build(case))
    wanted = expected(case)
    questions = [AccessCheck(USERS[who], case.types[what], NAMES[what]) for who, what in wanted]
    found = await check_levels(database, questions, writing_roles=["writer"], reading_roles=["reader"])
    assert dict(zip(wanted, found, strict=True)) == wanted

    for who, type_, need in product(range(len(USERS)), ("articles", "notes"), list(Level)[1:]):
        subject = Subject(USERS[who], reads_all=case.roles[who] == "reader", writes_all=case.roles[who] == "writer")
        right = {
            OBJECTS[what] for what in range(len(OBJECTS)) if case.types[what] == type_ and wanted[who, what] >= need
        }
        assert await everything(database, case, subject, type_, need) == right


@settings(QUIET, max_examples=200 if FULL else 25)
@given(case=worlds)
async def test_those_who_are_no_users_see_what_the_function_says(database: Database, case: AccessCase) -> None:
    await database.transact(build(case))
    reader, writer = Subject(reads_all=True), Subject(reads_all=True, writes_all=True)
    for subject, type_, need in product((ANONYMOUS, reader, writer), ("articles", "notes"), list(Level)[1:]):
        right = {
            OBJECTS[what]
            for what in range(len(OBJECTS))
            if case.types[what] == type_ and compute_level(subject, case.access(what)) >= need
        }
        assert await everything(database, case, subject, type_, need) == right


@settings(QUIET, max_examples=200 if FULL else 25)
@given(case=worlds)
async def test_what_is_held_leaves_out_permissions_and_the_public(database: Database, case: AccessCase) -> None:
    await database.transact(build(case))
    for who, user_id in enumerate(USERS):
        plain = Subject(user_id, case.subject(who).group_ids)
        right = {}
        for what, id_ in enumerate(OBJECTS):
            access = case.access(what)
            shut = Access(access.owner_id, Visibility.SHARED, access.grants)
            right[id_] = compute_level(plain, shut if access.visibility is Visibility.PUBLIC else access)
        assert await find_levels(database, user_id, OBJECTS) == right


async def test_nobody_has_a_level_on_what_is_unknown_nor_has_an_unknown_or_blocked_user(database: Database) -> None:
    case = AccessCase((0,) * 6, (Visibility.PUBLIC,) * 6, {}, frozenset(), ("none",) * 4, ("articles",) * 6)
    await database.transact(build(case))
    await database.write(users.update().where(users.c.id == USERS[0]).values(blocked=True))
    questions = [
        AccessCheck(USERS[1], "articles", "k0"),
        AccessCheck(USERS[1], "articles", "unknown"),
        AccessCheck(USERS[1], "unknown", "k0"),
        AccessCheck(new_id(AT), "articles", "k0"),
        AccessCheck(USERS[0], "articles", "k0"),
    ]
    found = await check_levels(database, questions, writing_roles=[], reading_roles=[])
    assert found == [Level.VIEWER, Level.NONE, Level.NONE, Level.NONE, Level.NONE]
    assert await check_levels(database, [], writing_roles=[], reading_roles=[]) == []
