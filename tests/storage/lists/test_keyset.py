"""Lists of users: the right rows, each once, in every order, with every filter."""

from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import insert

from latchstring.domain.account import User
from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.pagination import Cursor, SortOrder
from latchstring.domain.views.users import UserSearch
from latchstring.storage.engine.database import Database, Work, step
from latchstring.storage.engine.tables import groups
from latchstring.storage.lists import keyset
from latchstring.storage.users.lists import count_role, list_users
from latchstring.storage.users.users import insert_user, join_groups

pytestmark = pytest.mark.reads

USER_COUNT = 23
ORDERS = [SortOrder(by, descending=descending) for by in ("createdAt", "email", "name") for descending in (False, True)]


async def insert_users(db: Database) -> dict[str, User]:
    """Insert users: every second a customer, every third blocked, every fifth unverified, every seventh in a group."""
    numbers: Iterator[int] = count()
    now = system_clock()
    users = [
        User(
            id=new_id(now),
            email=f"U{n}@People.test",
            email_key=f"u{n % 10}{n}@people.test",
            first_name=f"Ann{n % 4}",
            last_name=("Löwe", "lang", "")[n % 3],
            role="customer" if n % 2 == 0 else "team",
            blocked=n % 3 == 0,
            email_verified=n % 5 != 0,
        )
        for n in (next(numbers) for _ in range(USER_COUNT))
    ]
    group_id = new_id(now)

    def work() -> Work[None]:
        yield step(insert(groups).values(id=group_id, key="spring", name="Spring", translations={}))
        for n, user in enumerate(users):
            yield insert_user(user)
            if n % 7 == 0:
                yield join_groups(db.dialect_name, user.id, [group_id])

    await db.transact(work)
    return {"group": User(group_id, "", "", "", "")} | {user.email_key: user for user in users}


async def read_all(db: Database, search: UserSearch, order: SortOrder) -> tuple[list[User], int | None]:
    cursor: Cursor | None = None
    users: list[User] = []
    while True:
        page = await list_users(db, search, order=order, cursor=cursor, limit=5)
        users += page.items
        cursor = page.next
        if cursor is None:
            return users, page.total


def value(user: User, by: str) -> tuple[object, object]:
    folded = user.last_name.casefold()
    return ({"createdAt": user.id, "email": user.email_key, "name": folded}[by], user.id)


@pytest.mark.parametrize("max_candidates", [keyset.MAX_CANDIDATES, 3], ids=["candidates", "index scan"])
async def test_every_filter_in_every_order(
    database: Database, monkeypatch: pytest.MonkeyPatch, max_candidates: int
) -> None:
    """With a small limit every filter has too many candidates, so that index scans are used."""
    monkeypatch.setattr(keyset, "MAX_CANDIDATES", max_candidates)
    users_by_key = await insert_users(database)
    group_id = users_by_key.pop("group").id
    users = list(users_by_key.values())
    expected_by_search = {
        UserSearch(): users,
        UserSearch(role="customer"): [user for user in users if user.role == "customer"],
        UserSearch(blocked=True): [user for user in users if user.blocked],
        UserSearch(unverified=True): [user for user in users if not user.email_verified],
        UserSearch(group_id=group_id): users[::7],
        UserSearch(q="LÖW"): [user for user in users if user.last_name == "Löwe"],
        UserSearch(q="ann1 l"): [u for u in users if u.name.casefold().startswith("ann1 l")],
        UserSearch(q="U1"): [user for user in users if user.email_key.startswith("u1")],
        UserSearch(q="ann", role="team", blocked=True): [u for u in users if u.role == "team" and u.blocked],
        UserSearch(q="nobody"): [],
    }
    for search, expected in expected_by_search.items():
        for order in ORDERS:
            listed, total = await read_all(database, search, order)
            ordered = sorted(expected, key=lambda u: value(u, order.by), reverse=order.descending)
            assert [user.id for user in listed] == [user.id for user in ordered], (search, order)
            assert total in {len(expected), None}
    assert (await count_role(database, "team")).number == USER_COUNT // 2


def test_page_sizes_include_those_of_the_lists() -> None:
    assert set(keyset.PAGE_SIZES) >= {10, 25, 50, 100}
