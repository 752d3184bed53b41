"""Content at two sizes: asking who may do what, and listing what somebody may see, beside one indexed SELECT.

The rows are written by the bare driver: 5 grants an object, one of them a group's, one object in a hundred PUBLIC of
another type. The person who lists sees 25 of them, 20 by grants of her own and 5 through a group; everybody else is
in five groups and sees much more.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
from bench.installation import Installation
from bench.measure import Measured, database_ms, processor_ms, summed_up
from bench.requests import Requests, new_email

from latchstring.domain.ids import new_id

SMALL, LARGE = 2_000, 200_000
GRANTS = 5  # an object
COUNTS = {1: 1000, 32: 4000}
BATCH_COUNTS = {1: 200, 32: 600}
ACCEPTS = {1: 300, 32: 1500}
GROUPS = 200
VISIBLE = 25
TYPE, OTHER_TYPE = "articles", "notes"
PASSWORD = "correct horse 9 Battery"  # noqa: S105  # of somebody in a database that lives for a minute
FLOOR = "SELECT id FROM content WHERE type = {0} AND key = {1}"
MeasurePath = Callable[[Installation, str, Callable[[int], list[str]], int, int], Measured]

COLUMNS = {
    table: columns.split()
    for table, columns in {
        "users": "id email_key email email_verified first_name last_name search_name search_last_name blocked",
        "groups": "id key name translations",
        "group_members": "user_id group_id",
        "content": "id type key owner_id visibility title version updated_at",
        "content_grants": "content_id subject_id subject_kind type role",
    }.items()
}
Rows = Iterator[tuple[Any, ...]]


@dataclass
class Library:
    """What has been written so far."""

    users: list[UUID]
    groups: list[UUID]
    size: int = 0


class Seeder:
    """Writes objects, grants and people into one database, much faster than through the API."""

    def __init__(self, installation: Installation) -> None:
        self.at = installation
        self.random = random.Random(42)
        self.start = datetime.now(UTC) - timedelta(days=30)

    def people(self, count: int) -> Library:
        users = [new_id(self.start) for _ in range(count)]
        groups = [new_id(self.start) for _ in range(GROUPS)]
        self.write("users", (self._user(number, id_) for number, id_ in enumerate(users)))
        self.write("groups", ((id_, f"g{number}", "G", "{}") for number, id_ in enumerate(groups)))
        members = ((user, group) for user in users for group in self.random.sample(groups, 5))
        self.write("group_members", members)
        return Library(users, groups)

    def grow(self, library: Library, size: int) -> None:
        """More objects, up to this many; ids in the order of keys."""
        numbers = range(library.size, size)
        ids = [new_id(self.start + timedelta(seconds=number)) for number in numbers]
        self.write("content", (self._object(library, number, id_) for number, id_ in zip(numbers, ids, strict=True)))
        self.write("content_grants", self._grants(library, ids))
        library.size = size
        self.analyze()

    def share(self, library: Library, user_id: UUID) -> None:
        """Let somebody see 25 objects, some of them through a group that sees nothing else."""
        group = new_id(self.start)
        chosen = self._ids_by_key([f"k{number}" for number in self.random.sample(range(library.size), VISIBLE)])
        self.write("groups", iter([(group, f"own-{group}", "G", "{}")]))
        self.write("group_members", iter([(user_id, group)]))
        mine = [(one, user_id, 1, TYPE, 2) for one in chosen[:20]]
        self.write("content_grants", iter(mine + [(one, group, 2, TYPE, 1) for one in chosen[20:]]))

    def _user(self, number: int, id_: UUID) -> tuple[Any, ...]:
        address = f"seed{number}@people.test"
        return (id_, address, address, True, "Ann", "Seed", "ann seed", "seed", False)

    def _object(self, library: Library, number: int, id_: UUID) -> tuple[Any, ...]:
        is_public = number % 100 == 99
        type_, visibility = (OTHER_TYPE, 2) if is_public else (TYPE, 1)
        owner = self.random.choice(library.users)
        return (id_, type_, f"k{number}", owner, visibility, f"Title {number}", 1, self.start)

    def _grants(self, library: Library, ids: list[UUID]) -> Rows:
        for id_ in ids:
            for user in self.random.sample(library.users, GRANTS - 1):
                yield (id_, user, 1, TYPE, self.random.randint(1, 3))
            yield (id_, self.random.choice(library.groups), 2, TYPE, self.random.randint(1, 3))

    def write(self, table: str, rows: Rows) -> None:
        if self.at.postmaster is None:
            marks = ", ".join("?" * len(COLUMNS[table]))
            statement = f"INSERT INTO {table} ({', '.join(COLUMNS[table])}) VALUES ({marks})"  # noqa: S608  # our names
            with closing(self._sqlite()) as connection, connection:
                connection.executemany(statement, (tuple(map(_for_sqlite, row)) for row in rows))
        else:
            self._on_postgres(lambda c: c.copy_records_to_table(table, records=rows, columns=COLUMNS[table]))

    def analyze(self) -> None:
        if self.at.postmaster is not None:
            self._on_postgres(lambda connection: connection.execute("VACUUM ANALYZE content, content_grants"))

    def _ids_by_key(self, keys: list[str]) -> list[UUID]:
        if self.at.postmaster is None:
            with closing(self._sqlite()) as connection:
                found = (connection.execute("SELECT id FROM content WHERE key = ?", [key]).fetchone() for key in keys)
                return [UUID(row[0]) for row in found]
        statement = "SELECT id FROM content WHERE key = ANY($1)"
        rows = self._on_postgres(lambda connection: connection.fetch(statement, keys))
        return [cast("UUID", row["id"]) for row in rows]

    def _sqlite(self) -> sqlite3.Connection:
        return sqlite3.connect(self.at.database.partition(":///")[2], timeout=30)

    def _on_postgres(self, use: Callable[[Any], Any]) -> Any:
        async def run() -> Any:
            connection = await asyncpg.connect(self.at.database.replace("postgresql+asyncpg", "postgresql"))
            try:
                return await use(connection)
            finally:
                await connection.close()

        return asyncio.run(run())


def _for_sqlite(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else value


class ContentRequests:
    """The requests of each measured path."""

    def __init__(self, requests: Requests, library: Library) -> None:
        self.requests, self.library = requests, library
        self.random = random.Random(7)
        email = new_email()
        body = {"email": email, "firstName": "Ada", "lastName": "Bench", "password": PASSWORD}
        self.reader = UUID(requests.call("POST", "/api/users", body)["id"])
        session = requests.call("POST", "/api/auth/login", {"email": email, "password": PASSWORD})
        self.token = session["accessToken"]

    def _question(self) -> dict[str, str]:
        user, number = self.random.choice(self.library.users), self.random.randrange(self.library.size)
        return {"userId": str(user), "contentType": TYPE, "key": f"k{number}", "role": "VIEWER"}

    def check(self, count: int) -> list[str]:
        return [self._asked(1) for _ in range(count)]

    def check_100(self, count: int) -> list[str]:
        return [self._asked(100) for _ in range(count)]

    def _asked(self, many: int) -> str:
        return self.requests.raw("POST", "/api/access/check", {"checks": [self._question() for _ in range(many)]})

    def accept(self, count: int) -> list[str]:
        """Accept an invitation to one object where the account exists; each request is of a person of its own."""
        path = f"/api/content/{TYPE}/invitations/accept"
        tokens = self.requests.invited(self.requests.people(count), self._right)
        return [self.requests.raw("POST", path, {"token": token}, signed=False) for token in tokens]

    def _right(self) -> dict[str, object]:
        number = self.random.randrange(self.library.size // 100) * 100  # of the type, which one in a hundred is not
        return {"content": [{"contentType": TYPE, "key": f"k{number}", "role": "EDITOR"}]}

    def list_visible(self, count: int) -> list[str]:
        credential = f"Authorization: Bearer {self.token}\r\n"
        path = f"/api/content/{TYPE}?limit={VISIBLE}"
        return [self.requests.raw("GET", path, signed=False, headers=credential)] * count


def measure_all(at: Installation, requests: Requests, scale: float, measure_path: MeasurePath) -> list[Measured]:
    """Each path at both sizes and concurrencies, the floor of the same size and concurrency before it."""
    seeder = Seeder(at)
    library = seeder.people(LARGE // 20)
    found = list[Measured]()
    for size in (SMALL, LARGE):
        seeder.grow(library, size)
        mine = ContentRequests(requests, library)
        seeder.share(library, mine.reader)
        of = f"of {size:,}"
        for concurrency, count in COUNTS.items():
            base = measure_floor(at, library, concurrency, int(count * scale), of)
            batches = int(BATCH_COUNTS[concurrency] * scale)
            lines = [
                measure_path(at, f"check 1 {of}", mine.check, concurrency, int(count * scale)),
                measure_path(at, f"check 100 {of}", mine.check_100, concurrency, batches),
                measure_path(at, f"list {VISIBLE} visible {of}", mine.list_visible, concurrency, int(count * scale)),
            ]
            if size == LARGE:
                accepts = int(ACCEPTS[concurrency] * scale)
                lines.append(measure_path(at, f"accept, one object {of}", mine.accept, concurrency, accepts))
            found += [base, *(replace(line, ratio=line.rate / base.rate) for line in lines)]
    return found


def measure_floor(at: Installation, library: Library, concurrency: int, count: int, of: str) -> Measured:
    """One SELECT by type and key a request, by the bare driver in this process."""
    keys = [f"k{random.randrange(library.size)}" for _ in range(count)]
    mine, database = processor_ms(os.getpid()), database_ms(at)
    seconds, latencies = (_select_on_sqlite if at.postmaster is None else _select_on_postgres)(at, keys, concurrency)
    p50, p99 = summed_up(latencies)
    database_used = None if at.postmaster is None else (database_ms(at) - database) / count
    used = (processor_ms(os.getpid()) - mine) / count
    name = f"floor: one SELECT {of}"
    return Measured(at.name, name, concurrency, count, count / seconds, p50, p99, used, database_used)


def _select_on_sqlite(at: Installation, keys: list[str], _concurrency: int) -> tuple[float, list[float]]:
    statement, latencies = FLOOR.format("?", "?"), list[float]()
    with closing(sqlite3.connect(at.database.partition(":///")[2])) as connection:
        start = time.perf_counter()
        for key in keys:
            begun = time.perf_counter()
            connection.execute(statement, (TYPE, key)).fetchall()
            latencies.append((time.perf_counter() - begun) * 1000)
        return time.perf_counter() - start, latencies


def _select_on_postgres(at: Installation, keys: list[str], concurrency: int) -> tuple[float, list[float]]:
    return asyncio.run(_select(at.database.replace("postgresql+asyncpg", "postgresql"), keys, concurrency))


async def _select(url: str, keys: list[str], concurrency: int) -> tuple[float, list[float]]:
    connections = [await asyncpg.connect(url) for _ in range(concurrency)]
    statement, latencies, todo = FLOOR.format("$1", "$2"), list[float](), iter(keys)

    async def ask(connection: Any) -> None:
        for key in todo:
            begun = time.perf_counter()
            await connection.fetch(statement, TYPE, key)
            latencies.append((time.perf_counter() - begun) * 1000)

    start = time.perf_counter()
    await asyncio.gather(*map(ask, connections))
    seconds = time.perf_counter() - start
    for connection in connections:
        await connection.close()
    return seconds, latencies
