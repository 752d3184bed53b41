"""Content at two sizes: access checks, and the list of visible objects, compared with one indexed SELECT.

The bare driver writes the rows: 5 grants per object, one of them for a group; one object in a hundred is PUBLIC and of
another type. The user who lists sees 25 objects, 20 by own grants and 5 through a group; every other user is in five
groups and sees many more.
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
from bench.measure import Measurement, database_ms, percentiles, processor_ms
from bench.requests import Requests, new_email

from latchstring.domain.ids import new_id

SMALL, LARGE = 2_000, 200_000
GRANTS = 5  # per object
COUNTS = {1: 1000, 32: 4000}
BATCH_COUNTS = {1: 200, 32: 600}
ACCEPT_COUNTS = {1: 300, 32: 1500}
GROUPS = 200
VISIBLE = 25
TYPE, OTHER_TYPE = "articles", "notes"
PASSWORD = "correct horse 9 Battery"  # noqa: S105  # of a temporary database
BASELINE = "SELECT id FROM content WHERE type = {0} AND key = {1}"
MeasurePath = Callable[[Installation, str, Callable[[int], list[str]], int, int], Measurement]

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
    """The rows written so far."""

    users: list[UUID]
    groups: list[UUID]
    size: int = 0


class Seeder:
    """Writes objects, grants and users into a database, much faster than through the API."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.random = random.Random(42)
        self.start = datetime.now(UTC) - timedelta(days=30)

    def create_users(self, count: int) -> Library:
        users = [new_id(self.start) for _ in range(count)]
        groups = [new_id(self.start) for _ in range(GROUPS)]
        self.write("users", (self._user_row(number, id_) for number, id_ in enumerate(users)))
        self.write("groups", ((id_, f"g{number}", "G", "{}") for number, id_ in enumerate(groups)))
        members = ((user, group) for user in users for group in self.random.sample(groups, 5))
        self.write("group_members", members)
        return Library(users, groups)

    def grow(self, library: Library, size: int) -> None:
        """Add objects up to this number. Ids are in the order of keys."""
        numbers = range(library.size, size)
        ids = [new_id(self.start + timedelta(seconds=number)) for number in numbers]
        self.write(
            "content", (self._object_row(library, number, id_) for number, id_ in zip(numbers, ids, strict=True))
        )
        self.write("content_grants", self._grant_rows(library, ids))
        library.size = size
        self.analyze()

    def share(self, library: Library, user_id: UUID) -> None:
        """Give a user access to 25 objects, 5 of them through a group without other access."""
        group = new_id(self.start)
        object_ids = self._ids_by_key([f"k{number}" for number in self.random.sample(range(library.size), VISIBLE)])
        self.write("groups", iter([(group, f"own-{group}", "G", "{}")]))
        self.write("group_members", iter([(user_id, group)]))
        user_grants = [(id_, user_id, 1, TYPE, 2) for id_ in object_ids[:20]]
        group_grants = [(id_, group, 2, TYPE, 1) for id_ in object_ids[20:]]
        self.write("content_grants", iter(user_grants + group_grants))

    def _user_row(self, number: int, id_: UUID) -> tuple[Any, ...]:
        address = f"seed{number}@people.test"
        return (id_, address, address, True, "Ann", "Seed", "ann seed", "seed", False)

    def _object_row(self, library: Library, number: int, id_: UUID) -> tuple[Any, ...]:
        is_public = number % 100 == 99
        type_, visibility = (OTHER_TYPE, 2) if is_public else (TYPE, 1)
        owner = self.random.choice(library.users)
        return (id_, type_, f"k{number}", owner, visibility, f"Title {number}", 1, self.start)

    def _grant_rows(self, library: Library, ids: list[UUID]) -> Rows:
        for id_ in ids:
            for user in self.random.sample(library.users, GRANTS - 1):
                yield (id_, user, 1, TYPE, self.random.randint(1, 3))
            yield (id_, self.random.choice(library.groups), 2, TYPE, self.random.randint(1, 3))

    def write(self, table: str, rows: Rows) -> None:
        if self.installation.postmaster is None:
            placeholders = ", ".join("?" * len(COLUMNS[table]))
            statement = f"INSERT INTO {table} ({', '.join(COLUMNS[table])}) VALUES ({placeholders})"  # noqa: S608  # our own names
            with closing(self._sqlite()) as connection, connection:
                connection.executemany(statement, (tuple(map(_to_sqlite, row)) for row in rows))
        else:
            self._on_postgres(lambda c: c.copy_records_to_table(table, records=rows, columns=COLUMNS[table]))

    def analyze(self) -> None:
        if self.installation.postmaster is not None:
            self._on_postgres(lambda connection: connection.execute("VACUUM ANALYZE content, content_grants"))

    def _ids_by_key(self, keys: list[str]) -> list[UUID]:
        if self.installation.postmaster is None:
            with closing(self._sqlite()) as connection:
                rows = (connection.execute("SELECT id FROM content WHERE key = ?", [key]).fetchone() for key in keys)
                return [UUID(row[0]) for row in rows]
        statement = "SELECT id FROM content WHERE key = ANY($1)"
        rows = self._on_postgres(lambda connection: connection.fetch(statement, keys))
        return [cast("UUID", row["id"]) for row in rows]

    def _sqlite(self) -> sqlite3.Connection:
        return sqlite3.connect(self.installation.database.partition(":///")[2], timeout=30)

    def _on_postgres(self, use: Callable[[Any], Any]) -> Any:
        async def run() -> Any:
            connection = await asyncpg.connect(self.installation.database.replace("postgresql+asyncpg", "postgresql"))
            try:
                return await use(connection)
            finally:
                await connection.close()

        return asyncio.run(run())


def _to_sqlite(value: Any) -> Any:
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

    def _access_check(self) -> dict[str, str]:
        user, number = self.random.choice(self.library.users), self.random.randrange(self.library.size)
        return {"userId": str(user), "contentType": TYPE, "key": f"k{number}", "role": "VIEWER"}

    def check(self, count: int) -> list[str]:
        return [self._check_request(1) for _ in range(count)]

    def check_100(self, count: int) -> list[str]:
        return [self._check_request(100) for _ in range(count)]

    def _check_request(self, checks: int) -> str:
        return self.requests.raw("POST", "/api/access/check", {"checks": [self._access_check() for _ in range(checks)]})

    def accept(self, count: int) -> list[str]:
        """Accept an invitation to one object for an existing account; each request is for another user."""
        path = f"/api/content/{TYPE}/invitations/accept"
        tokens = self.requests.invite(self.requests.create_users(count), self._random_grant)
        return [self.requests.raw("POST", path, {"token": token}, signed=False) for token in tokens]

    def _random_grant(self) -> dict[str, object]:
        number = self.random.randrange(self.library.size // 100) * 100  # not one of the other type
        return {"content": [{"contentType": TYPE, "key": f"k{number}", "role": "EDITOR"}]}

    def list_visible(self, count: int) -> list[str]:
        credential = f"Authorization: Bearer {self.token}\r\n"
        path = f"/api/content/{TYPE}?limit={VISIBLE}"
        return [self.requests.raw("GET", path, signed=False, headers=credential)] * count


def measure_all(
    installation: Installation, requests: Requests, scale: float, measure_path: MeasurePath
) -> list[Measurement]:
    """Measure each path at both sizes and concurrencies, after the baseline of the same size and concurrency."""
    seeder = Seeder(installation)
    library = seeder.create_users(LARGE // 20)
    results = list[Measurement]()
    for size in (SMALL, LARGE):
        seeder.grow(library, size)
        content_requests = ContentRequests(requests, library)
        seeder.share(library, content_requests.reader)
        suffix = f"of {size:,}"
        for concurrency, count in COUNTS.items():
            baseline = measure_baseline(installation, library, concurrency, int(count * scale), suffix)
            batches = int(BATCH_COUNTS[concurrency] * scale)
            lines = [
                measure_path(
                    installation, f"check 1 {suffix}", content_requests.check, concurrency, int(count * scale)
                ),
                measure_path(installation, f"check 100 {suffix}", content_requests.check_100, concurrency, batches),
                measure_path(
                    installation,
                    f"list {VISIBLE} visible {suffix}",
                    content_requests.list_visible,
                    concurrency,
                    int(count * scale),
                ),
            ]
            if size == LARGE:
                accepts = int(ACCEPT_COUNTS[concurrency] * scale)
                lines.append(
                    measure_path(
                        installation, f"accept, one object {suffix}", content_requests.accept, concurrency, accepts
                    )
                )
            results += [baseline, *(replace(line, ratio=line.rate / baseline.rate) for line in lines)]
    return results


def measure_baseline(
    installation: Installation, library: Library, concurrency: int, count: int, suffix: str
) -> Measurement:
    """Measure one SELECT by type and key per request with the bare driver in this process."""
    keys = [f"k{random.randrange(library.size)}" for _ in range(count)]
    own_start, database_start = processor_ms(os.getpid()), database_ms(installation)
    seconds, latencies = (_select_on_sqlite if installation.postmaster is None else _select_on_postgres)(
        installation, keys, concurrency
    )
    p50, p99 = percentiles(latencies)
    database_used = None if installation.postmaster is None else (database_ms(installation) - database_start) / count
    used = (processor_ms(os.getpid()) - own_start) / count
    name = f"baseline: one SELECT {suffix}"
    return Measurement(installation.name, name, concurrency, count, count / seconds, p50, p99, used, database_used)


def _select_on_sqlite(installation: Installation, keys: list[str], _concurrency: int) -> tuple[float, list[float]]:
    statement, latencies = BASELINE.format("?", "?"), list[float]()
    with closing(sqlite3.connect(installation.database.partition(":///")[2])) as connection:
        start = time.perf_counter()
        for key in keys:
            started_at = time.perf_counter()
            connection.execute(statement, (TYPE, key)).fetchall()
            latencies.append((time.perf_counter() - started_at) * 1000)
        return time.perf_counter() - start, latencies


def _select_on_postgres(installation: Installation, keys: list[str], concurrency: int) -> tuple[float, list[float]]:
    return asyncio.run(_select(installation.database.replace("postgresql+asyncpg", "postgresql"), keys, concurrency))


async def _select(url: str, keys: list[str], concurrency: int) -> tuple[float, list[float]]:
    connections = [await asyncpg.connect(url) for _ in range(concurrency)]
    statement, latencies, remaining = BASELINE.format("$1", "$2"), list[float](), iter(keys)

    async def select(connection: Any) -> None:
        for key in remaining:
            started_at = time.perf_counter()
            await connection.fetch(statement, TYPE, key)
            latencies.append((time.perf_counter() - started_at) * 1000)

    start = time.perf_counter()
    await asyncio.gather(*map(select, connections))
    seconds = time.perf_counter() - start
    for connection in connections:
        await connection.close()
    return seconds, latencies
