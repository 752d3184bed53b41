"""Lists of users: the right rows, each once, in every order, whichever filter begins."""

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

MANY = 23
ORDERS = [SortOrder(by, descending=descending) for by in ("createdAt", "email", "name") for descending in (False, True)]


async def furnish(db: Database) -> dict[str, User]:
    """Users of whom every second is a customer, every third blocked, every fifth unproved, every seventh in a group."""
    numbers: Iterator[int] = count()
    at = system_clock()
    users = [
        User(
            id=new_id(at),
            email=f"U{n}@People.test",
            email_key=f"u{n % 10}{n}@people.test",
            first_name=f"Ann{n % 4}",
            last_name=("Löwe", "lang", "")[n % 3],
            role="customer" if n % 2 == 0 else "team",
            blocked=n % 3 == 0,
            email_verified=n % 5 != 0,
        )
        for n in (next(numbers) for _ in range(MANY))
    ]
    group_id = new_id(at)

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
    seen: list[User] = []
    while True:
        page = await list_users(db, search, order=order, cursor=cursor, limit=5)
        seen += page.items
        cursor = page.next
        if cursor is None:
            return seen, page.total


def value(user: User, by: str) -> tuple[object, object]:
    folded = user.last_name.casefold()
    return ({"createdAt": user.id, "email": user.email_key, "name": folded}[by], user.id)


@pytest.mark.parametrize("bound", [keyset.MOST_CANDIDATES, 3], ids=["by the fewest", "along the order"])
async def test_every_filter_in_every_order(database: Database, monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    """With a small bound every filter finds too many, so that the other way is taken."""
    monkeypatch.setattr(keyset, "MOST_CANDIDATES", bound)
    known = await furnish(database)
    group_id = known.pop("group").id
    users = list(known.values())
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
            seen, total = await read_all(database, search, order)
            ordered = sorted(expected, key=lambda u: value(u, order.by), reverse=order.descending)
            assert [user.id for user in seen] == [user.id for user in ordered], (search, order)
            assert total in {len(expected), None}
    assert (await count_role(database, "team")).number == MANY // 2


def test_the_bounds_of_pages_are_those_the_lists_ask_for() -> None:
    assert set(keyset.PAGE_SIZES) >= {10, 25, 50, 100}
