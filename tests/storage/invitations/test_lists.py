"""Every list equals a naive implementation: read all rows, filter them, sort them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import bindparam, insert
from sqlalchemy.engine import URL
from tests.support.databases import open_database

from latchstring.domain.ids import first_id_at, new_id
from latchstring.domain.invitation import InvitationDetails, State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.postgres import connect_arguments
from latchstring.storage.engine.tables import invitation_grants, invitations, outbox
from latchstring.storage.invitations.lists import NEWEST_FIRST, list_invitations

pytestmark = pytest.mark.reads

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GROUPS = [UUID(int=number) for number in range(1, 5)]
INVITERS = [UUID(int=number) for number in range(11, 14)]
ORDERS = [
    SortOrder(by, desc) for by in ("createdAt", "expiresAt", "acceptedAt", "inviteEmail") for desc in (True, False)
]


def _insert(table: Any) -> Any:
    return insert(table).values({c.name: bindparam(c.name, None, type_=c.type) for c in table.c})


INSERT_INVITATION, INSERT_GRANT, INSERT_MAIL = _insert(invitations), _insert(invitation_grants), _insert(outbox)


@dataclass
class Row:
    """One invitation in the naive implementation."""

    id: UUID
    email: str
    state: State
    role: str | None
    inviter: UUID | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    name: str
    groups: set[UUID] = field(default_factory=set)
    content: tuple[str, str] | None = None
    mails: list[str] = field(default_factory=list)

    @property
    def current_state(self) -> State:
        return State.EXPIRED if self.state is State.PENDING and self.expires_at <= NOW else self.state

    def sorted_by(self, by: str) -> tuple[Any, ...]:
        accepted = self.ended_at if self.state is State.ACCEPTED else None
        never = datetime.fromtimestamp(0, UTC)
        values = {"createdAt": (), "expiresAt": (self.expires_at,), "acceptedAt": (accepted or never,)}
        return (*values.get(by, (self.email,)), str(self.id))


def make_rows(count: int, seed: int = 5) -> Iterator[Row]:
    rng = random.Random(seed)  # noqa: S311  # no secret
    for number in range(count):
        created_at = NOW - rng.choice([0, 1, 6, 8, 20]) * DAY - timedelta(minutes=rng.randrange(3))
        state = rng.choice([State.PENDING, State.PENDING, *State])
        expires_at = created_at + rng.choice([1, 7, 7]) * DAY
        if state is State.EXPIRED and expires_at > NOW:
            state = State.PENDING
        ended_at = None if state is State.PENDING else created_at + timedelta(hours=rng.randrange(3))
        first, last = rng.choice(["ada", "bo", "cleo"]), rng.choice(["adams", "bohm", "lee"])
        yield Row(
            id=new_id(created_at),
            email=f"{first}{number}@people.test",
            state=state,
            role=rng.choice(["team", "customer", None]),
            inviter=rng.choice([*INVITERS, None]),
            created_at=created_at,
            expires_at=expires_at,
            ended_at=ended_at,
            name=f"{first} {last}",
            groups=set(rng.sample(GROUPS, rng.randrange(3))),
            content=rng.choice([None, ("articles", "a"), ("articles", "b"), ("notes", "a")]),
            mails=rng.choice([["SENT"], ["BOUNCED", "SENT"], ["QUEUED"], ["BOUNCED"], ["SUPPRESSED"], ["DEFERRED"]]),
        )


def store(rows: list[Row]) -> Work[None]:
    for row in rows:
        yield step(
            INSERT_INVITATION,
            id=row.id,
            email_key=row.email,
            email=row.email,
            terms_key=row.id,
            state=int(row.state),
            role=row.role,
            inviter_type="ADMIN",
            inviter_id=row.inviter,
            lifetime_seconds=1,
            generation=1,
            link_starts_at=row.created_at,
            expires_at=row.expires_at,
            sponsor_type="ADMIN",
            master_key_id="k",
            ended_at=row.ended_at,
            search_name=row.name,
            search_last_name=row.name.split()[1],
            renewals=0,
        )
        grants: list[tuple[UUID, int, str | None, str]] = [(group, 1, None, "g") for group in row.groups]
        if row.content:
            grants.append((UUID(int=100 + "ab".index(row.content[1])), 2, *row.content))
        for target, kind, type_, key in grants:
            yield step(
                INSERT_GRANT, invitation_id=row.id, target_id=target, kind=kind, target_type=type_, target_key=key
            )
        for later, state in enumerate(row.mails):
            now = row.created_at + timedelta(minutes=later)
            due_at = now if state in {"QUEUED", "DEFERRED"} else None
            yield step(
                INSERT_MAIL,
                id=new_id(now),
                kind="invitation",
                subject_id=row.id,
                generation=1,
                priority=5,
                state=state,
                attempts=0,
                due_at=due_at,
            )


Filter = tuple[InvitationFilter, Callable[[Row], bool]]
SINGLE: list[Filter] = [
    (InvitationFilter(), lambda _: True),
    (InvitationFilter(states=[State.PENDING]), lambda r: r.current_state is State.PENDING),
    (InvitationFilter(states=[State.EXPIRED]), lambda r: r.current_state is State.EXPIRED),
    (
        InvitationFilter(states=[State.EXPIRED, State.REVOKED, State.ACCEPTED]),
        lambda r: r.current_state in {State.EXPIRED, State.REVOKED, State.ACCEPTED},
    ),
    (InvitationFilter(states=list(State)), lambda _: True),
    (InvitationFilter(roles=["team"]), lambda r: r.role == "team"),
    (InvitationFilter(roles=["team", "customer"]), lambda r: r.role is not None),
    (InvitationFilter(group_ids=GROUPS[:1]), lambda r: GROUPS[0] in r.groups),
    (InvitationFilter(group_ids=GROUPS[:2]), lambda r: bool(r.groups & set(GROUPS[:2]))),
    (InvitationFilter(content_type="articles"), lambda r: r.content is not None and r.content[0] == "articles"),
    (InvitationFilter(content_type="articles", content_key="b"), lambda r: r.content == ("articles", "b")),
    (InvitationFilter(inviter_ids=INVITERS[:2]), lambda r: r.inviter in INVITERS[:2]),
    (InvitationFilter(only_inviter_id=INVITERS[2]), lambda r: r.inviter == INVITERS[2]),
    (InvitationFilter(deliveries=["BOUNCED", "QUEUED"]), lambda r: r.mails[-1] in {"BOUNCED", "QUEUED"}),
    (InvitationFilter(deliveries=["SUPPRESSED"]), lambda r: r.mails[-1] == "SUPPRESSED"),
    (InvitationFilter(deliveries=["SENT", "DEFERRED"]), lambda r: r.mails[-1] in {"SENT", "DEFERRED"}),
    (InvitationFilter(created_after=NOW - 7 * DAY), lambda r: r.created_at >= NOW - 7 * DAY),
    (InvitationFilter(created_before=NOW - 7 * DAY), lambda r: r.created_at < NOW - 7 * DAY),
    (InvitationFilter(expires_after=NOW, expires_before=NOW + DAY), lambda r: NOW <= r.expires_at < NOW + DAY),
    (InvitationFilter(expires_before=NOW), lambda r: r.expires_at < NOW),
    (InvitationFilter(q="AD"), lambda r: "ad" in {r.email[:2], r.name[:2], r.name.split()[1][:2]}),
    (InvitationFilter(email_key="ada3@people.test"), lambda r: r.email == "ada3@people.test"),
]


def merge_filters(first: Filter, second: Filter) -> Filter:
    """Combine two filters. Fields of the second win, so only pairs of different fields are useful."""
    default = InvitationFilter()
    names = [name for name in InvitationFilter.__slots__ if getattr(second[0], name) != getattr(default, name)]
    filter_ = replace(first[0], **{name: getattr(second[0], name) for name in names})
    overlap = any(getattr(first[0], name) != getattr(default, name) for name in names)
    return (filter_, second[1]) if overlap else (filter_, lambda row: first[1](row) and second[1](row))


PAIRS = [merge_filters(first, second) for first in SINGLE[1:4] for second in SINGLE[5:]]


async def read_all(
    db: Database, filter_: InvitationFilter, order: SortOrder, limit: int
) -> list[Page[InvitationDetails]]:
    pages, cursor = list[Page[InvitationDetails]](), None
    while not pages or cursor is not None:
        pages.append(await list_invitations(db, filter_, order=order, cursor=cursor, limit=limit, now=NOW))
        cursor = pages[-1].next
    return pages


def ids_of(pages: list[Page[InvitationDetails]]) -> list[str]:
    return [str(item.invitation.id) for page in pages for item in page.items]


async def test_every_filter_in_every_order_equals_the_naive_list(database: Database) -> None:
    rows = list(make_rows(60))
    await database.transact(lambda: store(rows))
    overlapping = [pair for pair in PAIRS if not any(pair[0] == single[0] for single in SINGLE)]
    for filter_, matches in SINGLE + overlapping:
        expected = [row for row in rows if matches(row)]
        for order in ORDERS if (filter_, matches) in SINGLE else ORDERS[:1]:
            expected.sort(key=lambda row, order=order: row.sorted_by(order.by), reverse=order.descending)  # type: ignore[misc]
            pages = await read_all(database, filter_, order, 25)
            assert ids_of(pages) == [str(row.id) for row in expected], (filter_, order)
            assert {page.total for page in pages} == {len(expected)}


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_backward_pages_equal_forward_pages(database: Database, order: SortOrder) -> None:
    await database.transact(lambda: store(list(make_rows(30))))
    for filter_ in (InvitationFilter(), InvitationFilter(states=[State.PENDING, State.ACCEPTED])):
        forward = await read_all(database, filter_, order, 4)
        backward, cursor = [forward[-1]], forward[-1].previous
        while cursor is not None:
            backward.append(await list_invitations(database, filter_, order=order, cursor=cursor, limit=4, now=NOW))
            cursor = backward[-1].previous
        assert ids_of(backward[::-1]) == ids_of(forward)
        assert [page.next for page in backward[::-1]] == [page.next for page in forward]


async def test_a_backward_first_page_is_full(database: Database) -> None:
    rows = sorted(make_rows(10), key=lambda row: row.id, reverse=True)
    await database.transact(lambda: store(rows))
    cursor = Cursor((rows[2].id,), is_backward=True)
    page = await list_invitations(database, InvitationFilter(), order=NEWEST_FIRST, cursor=cursor, limit=4, now=NOW)
    assert ids_of([page]) == [str(row.id) for row in rows[:4]]
    assert page.previous is None


# ---- filters with many candidates ------------------------------------------------------------------------------------

MANY = 24_000
FILL = f"""
INSERT INTO invitations (id, email_key, email, terms_key, state, role, inviter_type, inviter_id, lifetime_seconds,
  generation, link_starts_at, expires_at, sponsor_type, master_key_id, ended_at)
SELECT id, n || '@people.test', '', id, state, CASE WHEN n <= {MANY // 2} THEN 'team' ELSE 'customer' END, 'ADMIN', $2,
  1, 1, $1, $1::timestamptz + n * interval '1 minute', 'ADMIN', 'k', CASE WHEN state = 1 THEN $1::timestamptz END
FROM (
  SELECT n, CASE WHEN n > {MANY // 2} THEN 1 ELSE 0 END AS state,
    (lpad(to_hex({int(NOW.timestamp() * 1000)} + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid AS id
  FROM generate_series(1, {MANY}) n
) numbered
"""  # noqa: S608  # numbers of our own


@pytest.fixture
async def large_database(new_postgres_url: URL) -> Any:
    """The older half is pending with role team, the newer half accepted with role customer."""
    connection = await asyncpg.connect(**connect_arguments(new_postgres_url))
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    await connection.execute(FILL, NOW, INVITERS[0])
    await connection.execute("ANALYZE invitations")
    await connection.close()
    db = await open_database(new_postgres_url)
    yield db
    await db.close()


async def test_a_scan_without_matches_is_partial_until_its_end(large_database: Database) -> None:
    filter_ = InvitationFilter(states=[State.ACCEPTED], roles=["team"], inviter_ids=[INVITERS[0]])
    pages = await read_all(large_database, filter_, NEWEST_FIRST, 25)
    assert ids_of(pages) == []
    assert len(pages) > 1
    assert all(page.is_partial for page in pages[:-1])
    assert not pages[-1].is_partial
    assert {page.total for page in pages} == {None}


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_a_partial_page_is_continued_at_its_end(large_database: Database, order: SortOrder) -> None:
    filter_ = InvitationFilter(states=[State.PENDING, State.DECLINED], inviter_ids=[INVITERS[0]])
    pages = await read_all(large_database, filter_, order, 1000)
    ids = ids_of(pages)
    assert len(ids) == len(set(ids)) == MANY // 2
    if order.by != "inviteEmail":
        assert ids == sorted(ids, reverse=order.descending)


async def test_a_scan_begins_at_the_bound_of_a_filter(large_database: Database) -> None:
    page = await list_invitations(
        large_database,
        InvitationFilter(expires_after=first_expiry(), inviter_ids=[INVITERS[0]]),
        order=SortOrder("expiresAt"),
        limit=25,
        now=NOW,
    )
    assert len(page.items) == 25
    assert page.items[0].invitation.link.expires_at == first_expiry()


def first_expiry() -> datetime:
    return NOW + 5 * DAY


def test_first_ids_of_instants_are_bounds_of_ranges() -> None:
    assert first_id_at(NOW) <= new_id(NOW) < first_id_at(NOW + timedelta(milliseconds=1))
