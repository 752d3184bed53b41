"""Every list compared with a simple implementation: read all rows, filter in Python, sort and slice.

Data, filters, orders and page sizes are random. Each list is read to its end and back again with every plan of the
engine: with its real limits, as if every filter had many or too many candidates, and with scans that end after a few
rows.
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert
from tests.storage.invitations.test_lists import NOW, SINGLE, make_rows, store
from tests.storage.invitations.test_lists import Row as InvitationModel

from latchstring.domain.access import Access, Level, Subject, Visibility, compute_level
from latchstring.domain.account import User
from latchstring.domain.actor import OPERATOR, Actor, ActorType
from latchstring.domain.event import Event, new_event
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import id_instant, new_id
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.job import JobRow, RowFilter
from latchstring.domain.mail import DeliveryState
from latchstring.domain.pagination import Cursor, Page, SortOrder
from latchstring.domain.views.audit_log import AuditFilter
from latchstring.domain.views.users import UserSearch
from latchstring.storage.content import access
from latchstring.storage.content import lists as content_lists
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.tables import (
    api_keys,
    content,
    content_grants,
    groups,
    jobs,
    outbox,
)
from latchstring.storage.events import audit_log, subject_history
from latchstring.storage.events.record import insert_event
from latchstring.storage.groups import lists as group_lists
from latchstring.storage.invitations import lists as invitation_lists
from latchstring.storage.jobs import jobs as job_lists
from latchstring.storage.jobs import rows as job_rows
from latchstring.storage.lists import keyset
from latchstring.storage.lists.keyset import KeysetList
from latchstring.storage.outbox import mail_queue
from latchstring.storage.users import api_keys as key_lists
from latchstring.storage.users import lists as user_lists
from latchstring.storage.users.users import insert_user, join_groups

READ_LIST = Callable[[Cursor | None], Awaitable[Page[Any]]]
DESCENDING, ASCENDING = SortOrder("createdAt", descending=True), SortOrder("createdAt")
MAX_PAGES = 400


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Any:
    """Both databases; the isolation level does not matter for single statements."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture(params=["real limits", "many candidates", "no candidates", "short scans"])
def plan(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def limits(plan: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the limits of the lists of a module. Small limits lead to other plans."""

    def set_limits(module: ModuleType, *names: str) -> None:
        if plan == "real limits":
            return
        monkeypatch.setattr(keyset, "FEW_CANDIDATES", 0)
        if plan != "many candidates":
            monkeypatch.setattr(keyset, "MAX_CANDIDATES", 0)
        if plan == "short scans":
            for name in names:
                declaration = getattr(module, name).declaration
                shorter_limit = declaration.scan_limit and 7
                monkeypatch.setattr(module, name, KeysetList(replace(declaration, scan_limit=shorter_limit)))

    return set_limits


@pytest.fixture
def rng(plan: str) -> random.Random:
    return random.Random(plan)  # noqa: S311  # no secret


def reading(list_: Callable[..., Awaitable[Page[Any]]], *arguments: Any, **options: Any) -> READ_LIST:
    """Return a function that reads the page of a list at a cursor."""

    async def read(cursor: Cursor | None) -> Page[Any]:
        return await list_(*arguments, cursor=cursor, **options)

    return read


async def read_forward(read: READ_LIST) -> list[Page[Any]]:
    pages = [await read(None)]
    while (cursor := pages[-1].next) is not None:
        assert len(pages) < MAX_PAGES
        pages.append(await read(cursor))
    return pages


async def read_back(read: READ_LIST, last: Page[Any]) -> list[Page[Any]]:
    """Return the pages before the last, in order."""
    pages = [last]
    while (cursor := pages[0].previous) is not None:
        assert len(pages) < MAX_PAGES
        pages.insert(0, await read(cursor))
    return pages[:-1]


async def check(read: READ_LIST, id_of: Callable[[Any], Any], expected: Sequence[Any], *, counted: bool = True) -> None:
    """Check that a list has exactly the expected ids in this order, forward and back, and a correct total if any."""
    pages = await read_forward(read)
    ids = [id_of(item) for page in pages for item in page.items]
    assert ids == list(expected)
    assert {page.total for page in pages} <= ({len(expected), None} if counted else {None})
    if counted and keyset.MAX_CANDIDATES:
        assert {page.total for page in pages} == {len(expected)}
    assert pages[0].previous is None
    if pages[-1].items:
        earlier_pages = await read_back(read, pages[-1])
        earlier_ids = [id_of(item) for page in earlier_pages for item in page.items]
        last_ids = [id_of(item) for item in pages[-1].items]
        if not any(page.is_partial for page in (*pages, *earlier_pages)):
            assert earlier_ids + last_ids == list(expected)
        assert set(earlier_ids) | set(last_ids) == set(expected)


def insert_all(table: Any) -> Any:
    return insert(table).values({c.name: bindparam(c.name, None, type_=c.type) for c in table.c})


def instants(rng: random.Random) -> Iterator[datetime]:
    """Yield instants of a few days, with duplicates."""
    while True:
        yield NOW - timedelta(days=rng.randrange(4), milliseconds=rng.randrange(5))


# ---- invitations -----------------------------------------------------------------------------------------------------


def fields_of(filter_: InvitationFilter) -> set[str]:
    default = InvitationFilter()
    return {name for name in InvitationFilter.__slots__ if getattr(filter_, name) != getattr(default, name)}


def random_filter(rng: random.Random) -> tuple[InvitationFilter, Callable[[InvitationModel], bool]]:
    """Return a combination of up to three filters of different fields, and its condition."""
    filter_, conditions = InvitationFilter(), list[Callable[[InvitationModel], bool]]()
    for other, condition in rng.sample(SINGLE[1:], rng.randrange(4)):
        if not fields_of(filter_) & fields_of(other):
            filter_ = replace(filter_, **{name: getattr(other, name) for name in fields_of(other)})
            conditions.append(condition)
    return filter_, lambda row: all(condition(row) for condition in conditions)


async def test_invitations(database: Database, limits: Callable[..., None], rng: random.Random) -> None:
    limits(invitation_lists, "_LIST")
    rows = list(make_rows(50, seed=rng.randrange(1000)))
    await database.transact(lambda: store(rows))
    for _ in range(12):
        (filter_, holds), by = random_filter(rng), rng.choice(["createdAt", "expiresAt", "acceptedAt", "inviteEmail"])
        order, limit = SortOrder(by, descending=rng.random() < 0.5), rng.choice([3, 5, 9])
        read = reading(invitation_lists.list_invitations, database, filter_, order=order, limit=limit, now=NOW)
        matching = sorted(filter(holds, rows), key=lambda row: row.sorted_by(by), reverse=order.descending)
        await check(read, lambda details: details.invitation.id, [row.id for row in matching])
        ids = [row.id for row in sorted(filter(holds, rows), key=lambda row: row.id, reverse=True)]
        await check(reading(invitation_lists.list_ids, database, filter_, now=NOW), lambda id_: id_, ids)
        assert await invitation_lists.count_invitations(database, filter_, now=NOW) in {len(ids), None}


# ---- users and groups ------------------------------------------------------------------------------------------------

WORDS = ("ann", "anna", "Bo", "bö", "Löwe", "lang", "", "Zed")


def make_users(rng: random.Random, count: int) -> list[User]:
    return [
        User(
            id=new_id(created_at),
            email=f"U{n}@People.test",
            email_key=f"{rng.choice(['ann', 'bo', 'u'])}{n}@people.test",
            first_name=rng.choice(WORDS),
            last_name=rng.choice(WORDS),
            role=rng.choice(["team", "customer", None]),
            blocked=rng.random() < 0.3,
            email_verified=rng.random() < 0.7,
        )
        for n, created_at in zip(range(count), instants(rng), strict=False)
    ]


def make_groups(rng: random.Random, count: int) -> list[tuple[UUID, str, str]]:
    """Return ids, keys and names."""
    return [
        (new_id(created_at), f"{rng.choice(['ann', 'spring', 'z'])}{n}", rng.choice(WORDS) + rng.choice(["", " x"]))
        for n, created_at in zip(range(count), instants(rng), strict=False)
    ]


def store_people(
    db: Database, users: list[User], group_rows: list[tuple[UUID, str, str]], members: dict[UUID, set[UUID]]
) -> Work[None]:
    for id_, key, name in group_rows:
        values = {"id": id_, "key": key, "name": name, "translations": {}, "search_name": name.casefold()}
        yield step(insert_all(groups), **values)
    for user in users:
        yield insert_user(user)
        if members[user.id]:
            yield join_groups(db.dialect_name, user.id, list(members[user.id]))


def is_found(user: User, q: str) -> bool:
    texts = (f"{user.first_name} {user.last_name}".strip().casefold(), user.last_name.casefold())
    return user.email_key.startswith(q.lower()) or any(text.startswith(q.casefold()) for text in texts)


def matches_search(user: User, search: UserSearch, members: dict[UUID, set[UUID]]) -> bool:
    return all((
        search.q is None or is_found(user, search.q),
        search.role in {None, user.role},
        search.group_id is None or search.group_id in members[user.id],
        user.blocked or not search.blocked,
        not (user.email_verified and search.unverified),
        search.email_key in {None, user.email_key},
    ))  # fmt: skip


async def test_users_and_groups(database: Database, limits: Callable[..., None], rng: random.Random) -> None:
    limits(user_lists, "_LIST")
    limits(group_lists, "_LIST", "_COUNTED_LIST")
    users, group_rows = make_users(rng, 40), make_groups(rng, 20)
    members = {user.id: {g[0] for g in rng.sample(group_rows, rng.randrange(6))} for user in users}
    await database.transact(lambda: store_people(database, users, group_rows, members))
    for _ in range(12):
        search = UserSearch(
            q=rng.choice([None, None, "AN", "bö", "l", "nobody"]),
            role=rng.choice([None, None, "team", "nothing"]),
            group_id=rng.choice([None, None, group_rows[0][0], group_rows[1][0]]),
            blocked=rng.random() < 0.3,
            unverified=rng.random() < 0.3,
            email_key=rng.choice([None, None, None, users[0].email_key]),
        )
        order = SortOrder(rng.choice(["createdAt", "email", "name"]), descending=rng.random() < 0.5)
        keys = {
            user.id: ({"email": user.email_key, "name": user.last_name.casefold()}.get(order.by, ""), user.id)
            for user in users
            if matches_search(user, search, members)
        }
        read = reading(user_lists.list_users, database, search, order=order, limit=rng.choice([2, 5, 9]))
        await check(read, lambda user: user.id, sorted(keys, key=keys.__getitem__, reverse=order.descending))
    for _ in range(12):
        q, member = rng.choice([None, "an", "SP", "bo"]), rng.choice([None, users[0].id, users[1].id])
        order = SortOrder(rng.choice(["createdAt", "name"]), descending=rng.random() < 0.5)
        matching = [
            (name.casefold() if order.by == "name" else "", id_)
            for id_, key, name in group_rows
            if (q is None or name.casefold().startswith(q.casefold()) or key.startswith(q))
            and (member is None or id_ in members[member])
        ]
        expected = [id_ for _, id_ in sorted(matching, reverse=order.descending)]
        read = reading(group_lists.list_groups, database, member_id=member, q=q, order=order, limit=3)
        await check(read, lambda group: group.id, expected)
        if member is None:
            read = reading(group_lists.list_counted_groups, database, q, order=order, limit=3)
            await check(read, lambda model: model.group.id, expected)


# ---- content ---------------------------------------------------------------------------------------------------------


GrantModel = tuple[dict[str, Any], UUID, int, ContentRole]  # object, subject, kind of subject, role


def store_content(objects: list[dict[str, Any]], grants: list[GrantModel]) -> Work[None]:
    for model in objects:
        yield step(insert_all(content), **model)
    for model, subject, kind, role in grants:
        values = {"subject_id": subject, "subject_kind": kind, "type": model["type"], "role": int(role)}
        yield step(insert_all(content_grants), content_id=model["id"], **values)


async def test_content(
    database: Database, limits: Callable[..., None], rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(content_lists, "_OBJECTS_OF_TYPE", "_GRANTED", "_USER_HOLDERS")
    limits(access, "_VISIBLE_OBJECTS")
    monkeypatch.setattr(content_lists, "GRANTS_PAGE_SIZE", 4)
    users, group_rows = make_users(rng, 6), make_groups(rng, 4)
    members = {user.id: {g[0] for g in rng.sample(group_rows, rng.randrange(4))} for user in users}
    objects: list[dict[str, Any]] = [
        {
            "id": new_id(created_at),
            "type": rng.choice(["notes", "articles"]),
            "key": f"{rng.choice(['ann', 'k'])}{n}",
            "owner_id": rng.choice(users).id,
            "visibility": rng.randrange(3),
            "title": title,
            "search_title": title.casefold(),
            "version": 1,
            "updated_at": NOW,
        }
        for n, created_at, title in zip(range(50), instants(rng), iter(lambda: rng.choice(WORDS), None), strict=False)
    ]
    subjects = [(user.id, 1) for user in users] + [(group[0], 2) for group in group_rows]
    grants = [
        (model, *subject, rng.choice(list(ContentRole)))
        for model in objects
        if model["visibility"]
        for subject in rng.sample(subjects, rng.randrange(6))
    ]
    await database.transact(lambda: store_people(database, users, group_rows, members))
    await database.transact(lambda: store_content(objects, grants))
    for _ in range(9):
        type_, q = rng.choice(["notes", "articles"]), rng.choice([None, "AN", "bö", "z"])
        order = SortOrder(rng.choice(["createdAt", "title"]), descending=rng.random() < 0.5)
        keys = {
            model["id"]: (model["search_title"] if order.by == "title" else "", model["id"])
            for model in objects
            if model["type"] == type_
            and (q is None or model["search_title"].startswith(q.casefold()) or model["key"].startswith(q))
        }
        expected = sorted(keys, key=keys.__getitem__, reverse=order.descending)
        read = reading(content_lists.list_objects, database, type_, q, order=order, limit=rng.choice([3, 9]))
        await check(read, lambda model: model.object.id, expected)
        subject, need = random_subject(rng, members), rng.choice([level for level in Level if level])
        visible = [
            model["id"]
            for model in objects
            if model["type"] == type_ and compute_level(subject, access_of(model, grants)) >= need
        ]
        order = SortOrder("createdAt", descending=rng.random() < 0.5)
        filter_ = access.AccessFilter(subject, type_, need)
        expected = sorted(visible, reverse=order.descending)
        read = reading(access.list_visible, database, filter_, order=order, limit=rng.choice([3, 9]))
        await check(read, lambda pair: pair[0].id, expected)
    for subject_id, _ in subjects:
        granted = sorted((g[0]["type"], int(g[3]), g[0]["id"]) for g in grants if g[1] == subject_id)
        read = reading(content_lists.list_granted, database, subject_id)
        await check(read, lambda model: model.object.id, [id_ for *_, id_ in granted], counted=False)
    for model in objects[:20]:
        people = sorted(g[1] for g in grants if g[0] is model and g[2] == 1)
        read = reading(content_lists.list_user_holders, database, model["id"])
        await check(read, lambda holder: holder.id, people, counted=False)
    owned = sorted((model["type"], model["id"]) for model in objects if model["owner_id"] == users[0].id)
    page = await content_lists.list_owned(database, users[0].id)
    assert [granted.object.id for granted in page.items] == [id_ for _, id_ in owned][:4]
    assert (page.next is not None) == (len(owned) > 4)


def random_subject(rng: random.Random, members: dict[UUID, set[UUID]]) -> Subject:
    user_id = rng.choice([None, *members])
    own_groups = frozenset(members[user_id]) if user_id else frozenset[UUID]()
    return Subject(user_id, own_groups, reads_all=rng.random() < 0.1, writes_all=rng.random() < 0.1)


def access_of(model: dict[str, Any], grants: list[GrantModel]) -> Access:
    roles = {subject_id: role for object_, subject_id, _, role in grants if object_ is model}
    return Access(model["owner_id"], Visibility(model["visibility"]), roles)


# ---- events ----------------------------------------------------------------------------------------------------------


def store_events(events: list[Event]) -> Work[None]:
    for event in events:
        yield insert_event(event)


def matches_audit(event: Event, filter_: AuditFilter) -> bool:
    return all((
        filter_.actor_type in {None, event.actor.type},
        filter_.actors is None or event.actor.id in filter_.actors,
        filter_.action in {None, event.type},
        filter_.objects is None or event.subject_id in filter_.objects,
        filter_.since is None or id_instant(event.id) >= filter_.since,
        filter_.until is None or id_instant(event.id) < filter_.until,
    ))  # fmt: skip


async def test_audit_log_and_histories(
    database: Database, limits: Callable[..., None], rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(audit_log, "_LIST")
    limits(subject_history, "_OF_SUBJECT")
    monkeypatch.setattr(subject_history, "PAGE_SIZE", 4)
    subjects = [new_id(NOW) for _ in range(5)]
    actors = [OPERATOR, *(Actor(ActorType.ADMIN, new_id(NOW)) for _ in range(3)), Actor(ActorType.USER, new_id(NOW))]
    names = ["group.created", "group.updated", "user.created"]
    events = [
        new_event(rng.choice(names), rng.choice(subjects), by=rng.choice(actors), now=created_at)
        for _, created_at in zip(range(80), instants(rng), strict=False)
    ]
    await database.transact(lambda: store_events(events))
    newest = sorted(events, key=lambda event: event.id, reverse=True)
    days = [None, None, *(NOW - timedelta(days=day) for day in range(4))]
    for _ in range(12):
        filter_ = AuditFilter(
            actor_type=rng.choice([None, None, *ActorType]),
            actors=rng.choice([None, None, (), tuple(model.id for model in actors[1:3] if model.id)]),
            action=rng.choice([None, None, *names]),
            objects=rng.choice([None, None, (), tuple(subjects[:1]), tuple(subjects[:4])]),
            since=rng.choice(days),
            until=rng.choice(days),
        )
        expected = [event.id for event in newest if matches_audit(event, filter_)]
        read = reading(audit_log.list_audit, database, filter_, limit=rng.choice([3, 9]))
        await check(read, lambda entry: entry.recorded.event.id, expected, counted=False)
    for subject in subjects:
        event_ids = [event.id for event in newest if event.subject_id == subject]
        read = reading(subject_history.list_history, database, subject)
        await check(read, lambda model: model.event.id, event_ids, counted=False)
        read = reading(subject_history.list_events, database, subject, limit=7)
        await check(read, lambda model: model.event.id, event_ids[::-1])


# ---- mails, jobs, keys -----------------------------------------------------------------------------------------------


def mail_values(rng: random.Random, created_at: datetime, subjects: list[UUID]) -> dict[str, Any]:
    state = rng.choice(list(DeliveryState))
    is_due = state is DeliveryState.QUEUED or (state is DeliveryState.DEFERRED and rng.random() < 0.5)
    return {
        "id": new_id(created_at),
        "kind": "invitation",
        "subject_id": rng.choice(subjects),
        "generation": 1,
        "priority": rng.randrange(3),
        "state": state.value,
        "due_at": created_at + timedelta(minutes=rng.randrange(50)) if is_due else None,
        "attempts": 0,
    }


async def test_mail_queue(database: Database, limits: Callable[..., None], rng: random.Random) -> None:
    limits(mail_queue, "_LIST")
    subjects = [new_id(NOW) for _ in range(3)]
    mails = [mail_values(rng, created_at, subjects) for _, created_at in zip(range(80), instants(rng), strict=False)]
    mails.sort(key=lambda mail: mail["id"], reverse=True)

    def work() -> Work[None]:
        for mail in mails:
            yield step(insert_all(outbox), **mail)

    await database.transact(work)
    for state in (None, *DeliveryState):
        expected = [mail["id"] for mail in mails if state is None or mail["state"] == state.value]
        read = reading(mail_queue.list_mails, database, state, limit=6, now=NOW)
        await check(read, lambda mail: mail.id, expected, counted=False)
    about = await mail_queue.list_mails_about(database, subjects[0], now=NOW)
    assert [mail.id for mail in about.items] == [mail["id"] for mail in mails if mail["subject_id"] == subjects[0]]


async def test_jobs_and_their_rows(database: Database, limits: Callable[..., None], rng: random.Random) -> None:
    limits(job_lists, "_LIST")
    limits(job_rows, "_LIST")
    creators = [Actor(ActorType.ADMIN, new_id(NOW)), Actor(ActorType.API_KEY, new_id(NOW))]
    job_models: list[dict[str, Any]] = [
        {
            "id": new_id(created_at),
            "kind": "invite",
            "state": rng.choice(["DRAFT", "QUEUED", "DONE"]),
            "creator": rng.choice(creators),
            "media_type": "text/csv",
            "options": {},
            "total": rng.choice([None, 3]),
            **dict.fromkeys(("done", "created", "skipped", "refused"), 0),
        }
        for _, created_at in zip(range(40), instants(rng), strict=False)
    ]
    job_models.sort(key=lambda job: job["id"], reverse=True)
    statuses = [rng.choice(["CREATE", "DUPLICATE", "REFUSED"]) for _ in range(40)]

    def work() -> Work[None]:
        for job in job_models:
            values = {name: value for name, value in job.items() if name != "creator"}
            yield step(insert_all(jobs), **values, actor_type=job["creator"].type.value, actor_id=job["creator"].id)
        for job in job_models[:2]:
            rows = [JobRow(row=number, status=status) for number, status in enumerate(statuses, 1)]
            yield job_rows.insert_rows(database.dialect_name, job["id"], rows)

    await database.transact(work)
    is_draft = [job["state"] == "DRAFT" for job in job_models]
    for creator in (None, *creators):
        is_own = [creator is None or job["creator"] is creator for job in job_models]
        expected = [
            job["id"] for job, own, draft in zip(job_models, is_own, is_draft, strict=True) if own and not draft
        ]
        read = reading(job_lists.list_jobs, database, created_by=creator, limit=4)
        await check(read, lambda job: job.id, expected, counted=False)
    since = NOW - timedelta(days=2)
    expected = [
        job["id"]
        for job, draft in zip(job_models, is_draft, strict=True)
        if draft and job["creator"] is creators[0] and job["total"] and id_instant(job["id"]) >= since
    ]
    read = reading(job_lists.list_drafts, database, creators[0], since=since, limit=4)
    await check(read, lambda job: job.id, expected, counted=False)
    for row_filter in (RowFilter(), RowFilter(("REFUSED",)), RowFilter(("CREATE", "REFUSED")), RowFilter(("MEMBER",))):
        numbers = [
            n for n, status in enumerate(statuses, 1) if not row_filter.statuses or status in row_filter.statuses
        ]
        read = reading(job_rows.list_rows, database, job_models[0]["id"], limit=6, row_filter=row_filter)
        await check(read, lambda row: row.row, numbers)


async def test_api_keys(database: Database, limits: Callable[..., None], rng: random.Random) -> None:
    limits(key_lists, "_KEYS")
    keys: list[dict[str, Any]] = [
        {
            "id": new_id(created_at),
            "name": f"key {n}",
            "digest": bytes([n]) * 32,
            **{name: ["*"] for name in ("scopes", "may_grant", "may_grant_groups")},
            "made_by_type": "OPERATOR",
            "revoked_at": rng.choice([None, None, NOW]),
        }
        for n, created_at in zip(range(30), instants(rng), strict=False)
    ]

    def work() -> Work[None]:
        for key in keys:
            yield step(insert_all(api_keys), **key)

    await database.transact(work)
    for order in (ASCENDING, DESCENDING):
        expected = sorted((key["id"] for key in keys if key["revoked_at"] is None), reverse=order.descending)
        read = reading(key_lists.list_keys, database, order=order, limit=4)
        await check(read, lambda key: key.id, expected)
