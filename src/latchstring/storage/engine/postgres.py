"""PostgreSQL through a pool of asyncpg."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.engine import URL
from sqlalchemy.sql import Executable

from latchstring.domain.errors import StorageBusy, StorageUnreachable
from latchstring.storage.engine.database import (
    ATTEMPTS,
    Conflict,
    ReferenceViolation,
    Row,
    Statements,
    Step,
    Steps,
    TableMissing,
    UniqueViolation,
    Work,
    pause_before,
)

T = TypeVar("T")

CONFLICTS = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
UNREACHABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a step
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


def connect_arguments(url: URL) -> dict[str, Any]:
    """What asyncpg.connect takes, from an SQLAlchemy URL; a `host` in the query may be a socket's folder."""
    query = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    found = {
        "host": query.pop("host", None) or url.host,
        "port": int(query.pop("port", 0)) or url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "ssl": query.pop("ssl", None) or query.pop("sslmode", None),
    }
    return {key: value for key, value in found.items() if value is not None}


class Postgres:
    """A pool of connections, each with the settings that hot-path measurements asked for (decision 0008)."""

    dialect_name = "postgresql"

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._statements = Statements(asyncpg_dialect())  # type: ignore[no-untyped-call]

    @classmethod
    async def connect(
        cls, url: URL, *, isolation: str = "read committed", pool_size: int = 12, statement_cache: int = 512
    ) -> "Postgres":
        """Open the pool. statement_cache: 0 behind PgBouncer in transaction mode."""

        async def keep(_connection: object) -> None:
            """No reset query on release: it would be a second round trip, and nothing here sets session state."""

        try:
            pool = await asyncpg.create_pool(
                **connect_arguments(url),
                min_size=1,
                max_size=pool_size,
                max_queries=2**31,
                reset=keep,
                statement_cache_size=statement_cache,
                max_cached_statement_lifetime=0,
                server_settings={
                    "application_name": "latchstring",
                    "plan_cache_mode": "force_generic_plan",
                    "jit": "off",
                    "lock_timeout": "5s",
                    "default_transaction_isolation": isolation,
                },
            )
        except UNREACHABLE as error:
            raise StorageUnreachable("The database does not answer.") from error
        return cls(pool)

    async def fetch(self, statement: Executable, /, **values: Any) -> list[Row]:
        return await self._repeat(lambda: self._run_alone(Step(statement, values)))

    write = fetch

    async def transact(self, work: Callable[[], Work[T]]) -> T:
        return await self._repeat(lambda: self._run_work(work))

    async def close(self) -> None:
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _repeat(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for number in range(ATTEMPTS):
            await pause_before(number)
            try:
                return await attempt()
            except Conflict as conflict:
                last = conflict
            except asyncpg.UniqueViolationError as error:
                raise UniqueViolation(error.constraint_name or "") from error
            except asyncpg.ForeignKeyViolationError as error:
                raise ReferenceViolation(error.constraint_name or "") from error
            except asyncpg.UndefinedTableError as error:
                raise TableMissing from error
            except UNREACHABLE as error:
                raise StorageUnreachable("The database does not answer.") from error
        if isinstance(last.__cause__, asyncpg.LockNotAvailableError):
            raise LockTimeout from last
        raise StorageBusy("Too many changed the same thing at once.") from last

    async def _run_alone(self, one: Step) -> list[Row]:
        async with self._pool.acquire() as connection:
            try:
                return await self._run_step(connection, one)
            except CONFLICTS as error:
                raise Conflict from error
            except UNREACHABLE:
                connection.terminate()  # the pool makes a new one instead
                raise

    async def _run_work(self, work: Callable[[], Work[T]]) -> T:
        async with self._pool.acquire() as connection:
            try:
                async with connection.transaction():
                    return await self._drive(connection, work())
            except CONFLICTS as error:
                raise Conflict from error
            except UNREACHABLE:
                connection.terminate()
                raise

    async def _drive(self, connection: Any, work: Work[T]) -> T:
        rows: list[Row] | None = None
        try:
            while True:
                one = work.send(rows) if rows is not None else next(work)
                rows = await self._run_step(connection, one)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # the work's own type
        finally:
            work.close()

    async def _run_step(self, connection: Any, one: Step | Steps) -> list[Row]:
        compiled = self._statements[one.statement]
        if isinstance(one, Steps):
            await connection.executemany(compiled.text, [compiled.arguments(values) for values in one.many])
            return []
        raw = await connection.fetch(compiled.text, *compiled.arguments(one.values))
        return [compiled.row(row) for row in raw]


class LockTimeout(StorageBusy):
    """Somebody else held a row for the five seconds one waits."""
